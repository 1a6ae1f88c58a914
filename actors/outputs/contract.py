"""What an output is: the contract between the forwarder and every `actors/outputs/*.py`.

An output is one of two kinds. A `StreamOutput` sends requests: the forwarder hands it one
request's worth of deliveries and keeps order, retries and concurrency itself. A `BulkOutput`
collects many deliveries into few uploads (files, warehouse loads): its bundles keep what they were
given outside the forwarder's memory, until one upload settles all of it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct
from pydantic import BaseModel, ConfigDict

from actors.clock import Clock
from actors.model import Delivery
from actors.outputs.egress import EgressRules
from actors.pipeline.settings import Takes


class OutputSettings(BaseModel):
    """Base of every module's settings: typed, closed, and silent about the values it refuses."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class Delivered(Struct, frozen=True):
    """The receiver has it.

    `is_suspension`: it wants nothing more of the connection until that is resumed.
    """

    http_status: int | None = None
    excerpt: str = ""
    is_suspension: bool = False


class Retry(Struct, frozen=True):
    """It may work later.

    `retry_after_s`: the receiver asks for silence from the whole output. `is_refusal`: a warehouse
    refuses our login or what we may do; a connection on which that lasts is faulted
    (spec/connections.md, 1.3).
    """

    excerpt: str
    http_status: int | None = None
    retry_after_s: float | None = None
    is_refusal: bool = False


class Fatal(Struct, frozen=True):
    """It will never work. `reason` becomes the dead letter's (spec/connections.md, 3.7)."""

    reason: str
    excerpt: str
    http_status: int | None = None


class Split(Struct, frozen=True):
    """Too large as it is: to be sent in smaller parts, or to be given up where there are none."""

    excerpt: str
    http_status: int | None = None


class Refused(Struct, frozen=True):
    """Nothing can be sent until somebody acts: the connection is faulted, and the delivery waits.

    Of an upload of a `BulkOutput` it is final. Source: spec/connections.md, 1.3.
    """

    reason: str
    excerpt: str
    http_status: int | None = None


Outcome = Delivered | Retry | Fatal | Split | Refused


class RequestLimits(Struct, frozen=True):
    """How much one request may carry: deliveries, bytes of payload, and how long to wait for it.

    `max_changes`: how many changes of membership, where a message is about one audience. Such a
    request has what waits of one subscription, of each user one change; nothing waits for more, and
    it keeps its parts when it is repeated (actors/forwarding/changes.py). `None`: changes go
    together as other deliveries do, whatever their audience.
    """

    max_deliveries: int = 1
    max_bytes: int = 1024 * 1024
    max_wait_ms: int = 0
    max_changes: int | None = None


class Output(Protocol):
    """What both kinds have in common."""

    async def start(self) -> None:
        """Get ready to send. Called before anything else, and again after `stop` to go on."""
        ...

    async def stop(self) -> None:
        """Let go of connections and files; may be called twice. Nothing is sent after it."""
        ...

    async def test(self) -> Outcome:
        """Try the settings on the receiver, once, with something that it can tell from data.

        `actors.outputs.probe` makes an answer for people of it.
        """
        ...


class StreamOutput(Output, Protocol):
    """An output that sends requests."""

    @property
    def limits(self) -> RequestLimits:
        """What the forwarder may put into one `send`."""
        ...

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Send one request's worth; return one outcome per delivery, in their order.

        What the receiver or the network does is an outcome, never an exception.
        """
        ...


class SubscriptionTerms(Struct, frozen=True):
    """An audience at an output, as one that has to agree to it is asked.

    Attributes:
        connection: its number in the outbox.
        audience: number of the audience; `name`: what receivers are told of it.
        settings: of the subscription, as written; they may hold secrets.
    """

    connection: int
    audience: int
    name: str
    settings: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"SubscriptionTerms(connection={self.connection}, audience={self.audience})"


@runtime_checkable
class SubscribedOutput(Protocol):
    """A stream output whose receiver has to agree to a subscription before it gets any of it."""

    async def subscribe(self, terms: SubscriptionTerms) -> Outcome:
        """Have the receiver agree; `Delivered` when it does, or has agreed to the same before."""
        ...


@runtime_checkable
class RegisteredOutput(Protocol):
    """An output whose receiver says itself what it wants, and may have to be authorized at.

    Nothing here raises; calls come from other processes.
    """

    async def refresh_registration(self) -> list[str]:
        """Ask the receiver what it wants; return every problem. Until then the former holds."""
        ...

    async def registration(self) -> dict[str, Any] | None:
        """Return what holds, `None` if nothing is known."""
        ...

    async def begin_authorization(self, redirect_uri: str) -> str | None:
        """Return where somebody is sent to authorize the output, `None` if that has no use."""
        ...

    async def end_authorization(self, code: str, state: str) -> str | None:
        """Take what they came back with; return what is wrong with it, `None` if nothing is."""
        ...


class Bundle(Protocol):
    """Deliveries of one connection and group, on their way into one upload.

    `add` and `send` are never called at the same time.
    """

    @property
    def is_full(self) -> bool:
        """It must be sent before more is added to its group."""
        ...

    async def add(self, deliveries: Sequence[Delivery]) -> int:
        """Take deliveries in order until full; return how many were taken.

        Raises:
            OSError: no room for them; the bundle has to be discarded.
        """
        ...

    async def send(self) -> Outcome:
        """Upload what was added; may be called again after a `Retry`.

        The same first delivery gives the same object, so that repeating an upload whose settlement
        was lost replaces it.
        """
        ...

    async def discard(self) -> None:
        """Forget what was added and was not sent."""
        ...


@runtime_checkable  # the forwarder tells the two kinds apart by what they offer
class BulkOutput(Output, Protocol):
    """An output that collects deliveries into uploads.

    A delivery for which `group`, `open_bundle` or `add` raises what it should not becomes a dead
    letter.
    """

    @property
    def max_wait_ms(self) -> int:
        """How long a bundle may stay open after its first delivery."""
        ...

    def group(self, delivery: Delivery) -> str:
        """Return which deliveries may share a bundle: those with the same answer."""
        ...

    def open_bundle(self, input_id: str, group: str, first: Delivery) -> Bundle:
        """Begin a bundle of an input's deliveries; `first` will be the first one added."""
        ...


class WorkspaceNames(Struct, frozen=True):
    """The workspace of an output, and its account, by number and name."""

    number: int = 0
    name: str = ""
    account_number: int = 0
    account_name: str = ""


class ConnectionTerms(Struct, frozen=True):
    """What an output has to know of one of its connections, where modules have settings for them.

    `settings` are as written and may hold secrets.
    """

    input_name: str
    settings: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"ConnectionTerms(input_name={self.input_name!r})"


class OutputPlace(Struct, frozen=True, kw_only=True):
    """Where an output stands in its workspace.

    Attributes:
        number, kind: the output's.
        workspace: the output's.
        connections: number to connection, where the module has settings of its own for them.
    """

    number: int = 0
    kind: str = "event"
    workspace: WorkspaceNames = WorkspaceNames()
    connections: Mapping[int, ConnectionTerms] = {}


NOWHERE = OutputPlace()


class OutputState(Protocol):
    """What an output keeps beyond its process: small values by name, on disk when it returns.

    Both raise ShardUnavailable when they are not answered in time, and StoreFull.
    """

    async def output_state(self, output: str) -> dict[str, bytes]:
        """Return all that is kept of an output (its id)."""
        ...

    async def keep_output_state(self, output: str, changes: Mapping[str, bytes | None]) -> None:
        """Keep values, and forget those that are `None`."""
        ...


class KeepsNothing:
    """`OutputState` of outputs that are opened to be tried, not to deliver."""

    async def output_state(self, output: str) -> dict[str, bytes]:
        """Return nothing."""
        return {}

    async def keep_output_state(self, output: str, changes: Mapping[str, bytes | None]) -> None:
        """Let go of it."""


KEEPS_NOTHING = KeepsNothing()
# Counts what an output leaves out of its own accord: connection number, reason, how many events.
CountDrop = Callable[[int, str, int], None]


@dataclass(frozen=True)
class OutputEnvironment:
    """What an output is handed besides its settings.

    Attributes:
        output: id of the output.
        egress: where requests may go.
        spool_dir: a folder of this output alone, for what does not fit in memory; may not exist.
        workspace, workspace_number: the output's workspace, as the document calls it.
        inputs: number of a connection to the id of its input.
        place: of the output in its workspace.
        state: what it keeps beyond its process.
        count_drop: told of what it leaves out.
        python_dir: where the operator's own classes are; `None`: there are none.
    """

    output: str
    clock: Clock
    egress: EgressRules
    spool_dir: Path
    workspace: str = ""
    workspace_number: int = 0
    inputs: Mapping[int, str] = field(default_factory=dict)
    place: OutputPlace = NOWHERE
    state: OutputState = KEEPS_NOTHING
    count_drop: CountDrop = lambda connection, reason, count: None
    python_dir: Path | None = None


SettingProblem = tuple[tuple[str, ...], str]  # where in the settings, and what is wrong


def no_problems(settings: Any, kind: str) -> Iterable[SettingProblem]:
    """Return what modules say whose settings fit outputs of every kind of theirs."""
    return ()


HIDDEN = "***********"  # in place of a secret that is shown


EVERYTHING = Takes()


def takes_everything(_: Any) -> Takes:
    """Return what most outputs take."""
    return EVERYTHING


def no_domain(_: Any) -> str:
    """Return where an output is that is in no domain."""
    return ""


def no_headers(_: Any) -> dict[str, str]:
    """Return the headers of an output that sends none."""
    return {}


@dataclass(frozen=True)
class OutputModule:
    """One kind of output: what the workspace document may say of it, and how to open it.

    Attributes:
        module: its name in the workspace document.
        kinds: the kinds of outputs that it can be.
        accepts_unbound: inputs without a platform may be connected (spec/connections.md, 1.1).
        accepts_attribute_feed: so may the Calculated Attributes feed, whose batches have no events
            (spec/calculated-attributes.md, 7.2).
        settings_model: validates `settings`; secrets are `SecretStr`.
        send_as_batch_default: whether a payload holds a whole batch where a connection says
            nothing (spec/connections.md, 6).
        gets_audience_ids: batches come with the audiences that their user is in, where it does not
            shape them itself.
        gets_aliases: aliases are sent also where a connection does not ask for them.
        batch_wait_s: for how long batches are collected into one where a connection that sends
            them whole does not say (spec/connections.md, 3.6).
        retry_profile: the row of `actors.outputs.retry.PROFILES` that it follows by default.
        connection_settings_model: validates what a connection sets, where that is not what all
            outputs of raw JSON have (`actors.outputs.connection_settings`); the output then shapes
            whole batches itself, unless the model extends theirs.
        is_tried_when_saved: the API tries settings on the receiver before it saves them.
        problems: lists what does not fit an output of a kind: where in its settings, and why.
        whole_batches: lists which settings keep it from sending raw batches as they are, as
            quarantine needs (spec/connections.md, 2.6); `None`: it sends none.
        open: makes the output from validated settings.
        takes: tells of validated settings what such an output takes of its connections' batches:
            platforms, event types, age, identities, size.
        always_takes: what of that is so whatever the settings, to be shown to people.
        domain: tells of validated settings whose the receiver is, for those who made a data subject
            request that it got.
        headers: tells of validated settings the headers that all requests have, to be shown to
            people: `HIDDEN` stands for secrets.
    """

    module: str
    kinds: frozenset[str]
    accepts_unbound: bool
    accepts_attribute_feed: bool
    settings_model: type[OutputSettings]
    send_as_batch_default: bool
    retry_profile: str
    open: Callable[[Any, OutputEnvironment], StreamOutput | BulkOutput]
    takes: Callable[[Any], Takes] = takes_everything
    always_takes: Takes = EVERYTHING
    headers: Callable[[Any], dict[str, str]] = no_headers
    domain: Callable[[Any], str] = no_domain
    connection_settings_model: type[OutputSettings] | None = None
    gets_audience_ids: bool = False
    gets_aliases: bool = False
    batch_wait_s: float = 0.0
    is_tried_when_saved: bool = False
    problems: Callable[[Any, str], Iterable[SettingProblem]] = no_problems
    whole_batches: Callable[[Any], Iterable[SettingProblem]] | None = None
