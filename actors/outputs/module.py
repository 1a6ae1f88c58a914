"""What a module of outputs says of itself: the settings it has, and how an output is opened."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from actors.outputs.contract import BulkOutput, StreamOutput
from actors.outputs.environment import OutputEnvironment
from actors.pipeline.settings import Takes

SettingProblem = tuple[tuple[str, ...], str]  # where in the settings, and what is wrong
HIDDEN = "***********"  # in place of a secret that is shown
EVERYTHING = Takes()


class OutputSettings(BaseModel):
    """Base of every module's settings: typed, closed, and silent about the values it refuses."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


def no_problems(settings: Any, kind: str) -> Iterable[SettingProblem]:
    """Return what modules say whose settings fit outputs of every kind of theirs."""
    return ()


def takes_everything(_: Any) -> Takes:
    """Return what most outputs take."""
    return EVERYTHING


def no_domain(_: Any) -> str:
    """Return where an output is that is in no domain."""
    return ""


class Target(NamedTuple):
    """A URL that requests go to, and the setting that has it.

    `allow_insecure`: whether that may be plain http though the operator has not opened it.
    """

    setting: str
    url: str
    allow_insecure: bool


def no_targets(_: Any) -> Iterable[Target]:
    """Return where an output sends whose settings have no URL."""
    return ()


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
        targets: tells of validated settings which URLs are requested, as far as they have them.
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
    targets: Callable[[Any], Iterable[Target]] = no_targets
    connection_settings_model: type[OutputSettings] | None = None
    gets_audience_ids: bool = False
    gets_aliases: bool = False
    batch_wait_s: float = 0.0
    is_tried_when_saved: bool = False
    problems: Callable[[Any, str], Iterable[SettingProblem]] = no_problems
    whole_batches: Callable[[Any], Iterable[SettingProblem]] | None = None
