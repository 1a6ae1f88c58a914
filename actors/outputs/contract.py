"""What an output is: the contract between the forwarder and every `actors/outputs/*.py`.

An output is one of two kinds. A `StreamOutput` sends requests: the forwarder hands it one
request's worth of deliveries and keeps order, retries and concurrency itself. A `BulkOutput`
collects many deliveries into few uploads (files, warehouse loads): its bundles keep what they were
given outside the forwarder's memory, until one upload settles all of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct

from actors.model.deliveries import Delivery


class Delivered(Struct, frozen=True):
    """The receiver has it.

    `is_suspension`: it wants nothing more of the connection until that is resumed.
    """

    http_status: int | None = None
    excerpt: str = ""
    is_suspension: bool = False


class Retry(Struct, frozen=True):
    """It may work later.

    `retry_after_s`: the receiver asks for silence from the whole output; it gets an hour at most.
    `is_refusal`: a warehouse refuses our login or what we may do; a connection on which that lasts
    is faulted (spec/connections.md, 1.3). `is_lost`: a bundle no longer has what was added to it,
    so that sending it again has no use; it is discarded, and another is filled with the same
    deliveries.
    """

    excerpt: str
    http_status: int | None = None
    retry_after_s: float | None = None
    is_refusal: bool = False
    is_lost: bool = False


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

    Of an upload of a `BulkOutput` for a connection of an input it is final.
    Source: spec/connections.md, 1.3.
    """

    reason: str
    excerpt: str
    http_status: int | None = None


Failed = Retry | Fatal | Split | Refused
Outcome = Delivered | Failed


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
            OSError: they could not be written; the bundle has to be discarded. Where the disk has
                no room for them it is tried again and again, else as often as an upload.
        """
        ...

    async def send(self) -> Outcome:
        """Upload what was added; may be called again after a `Retry`, unless that `is_lost`.

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
