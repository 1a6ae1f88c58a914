"""What the coordinator keeps of audiences (spec/audiences.md, 2, 10, 12 and 13).

All of it is frozen: a change is a new object in the place of the old one.
"""

from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from actors.model.workspaces import Environment

AudienceType = Literal["real_time", "standard", "static"]
Status = Literal[
    "draft", "activating", "active", "inactive", "calculating", "ready", "expired", "faulted"
]
Level = Literal["private", "view_only", "usable"]
Canonical = dict[str, Any]  # the canonical JSON of a definition

EVALUATED: frozenset[Status] = frozenset({"activating", "active", "calculating", "ready"})
CONTROL = "Control"


class Variation(Struct, frozen=True, array_like=True):
    """One variation of an A/B test; `share`: hundredths of a percent."""

    name: str
    share: int


class AbTest(Struct, frozen=True, array_like=True):
    """The A/B test of an audience, without `Control`; it is never changed."""

    number: int  # counts the tests of its audience from 1
    variations: tuple[Variation, ...]
    created_by: str
    created_ms: int


class DateRange(Struct, frozen=True, array_like=True):
    """UTC dates that a standard audience looks at, both inclusive.

    `start` `None`: from the beginning. `end` `None`: up to the latest.
    """

    start: str | None = None
    end: str | None = None


class Definition(Struct, frozen=True, array_like=True):
    """A definition as it was sent and as it is understood.

    Attributes:
        sent: the JSON value, in case it is a document of the audience-sdk or a shorthand.
        canonical: what is evaluated.
        inputs: numbers; those of the audience that it was read for.
        calculated: number of every calculated attribute that it names; what a name meant when the
            definition was saved.
        warnings: what its author should know: (JSON pointer, message).
    """

    sent: Any
    canonical: Canonical
    inputs: tuple[int, ...]
    calculated: dict[str, int]
    warnings: tuple[tuple[str, str], ...] = ()


class AccessRequest(Struct, frozen=True, kw_only=True):
    """That an account asks for a level of its own; see `Audience.access_requests`.

    `start`, `end`: UTC dates of the campaign that it is for, both inclusive.
    """

    level: Level
    start: str | None
    end: str | None
    details: str
    platforms: tuple[str, ...]
    requested_by: str
    requested_ms: int


class Audience(Struct, frozen=True, kw_only=True):
    """One audience.

    Attributes:
        number: its id, never given to another one.
        workspaces, inputs: numbers; no inputs are all of them.
        status: as far as it was decided; what follows from time or faults is added when shown.
        revision: of the definition.
        test: the A/B test; `tests`: how many there were.
        range: of a standard audience.
        calculations: of a standard audience, how many were begun; `calculated_ms`: when the last
            one was done.
        document_id: its id in the workspace document, which then manages it.
        journey, milestone: whose audience it is.
        levels: account to what it may do, where that differs from `default_level`.
        access_requests: account to what it asks for, the last time that it did, until its level is
            set.
    """

    number: int
    name: str
    external_name: str
    type: AudienceType
    environment: Environment
    workspaces: tuple[int, ...]
    inputs: tuple[int, ...]
    tags: tuple[str, ...]
    definition: Definition | None
    status: Status
    revision: int
    account: int
    created_by: str
    created_ms: int
    last_modified_by: str
    last_modified_ms: int
    test: AbTest | None = None
    tests: int = 0
    range: DateRange | None = None
    calculations: int = 0
    calculated_ms: int | None = None
    document_id: str | None = None
    journey: int | None = None
    milestone: int | None = None
    default_level: Level = "private"
    levels: dict[int, Level] = {}
    access_requests: dict[int, AccessRequest] = {}


class Fault(Struct, frozen=True, array_like=True):
    """Why a subscription does not send (spec/connections.md, 1.3)."""

    faulted_ms: int
    reason_code: str
    message: str
    first_job_id: str | None = None


class Subscription(Struct, frozen=True, kw_only=True):
    """An audience, or one variation of it, connected to an output (spec/audiences.md, 12.2).

    `settings` are as written and may hold secrets. `withdrawn_attributes` were shared before.
    `receiver`: number of the workspace that the
    output is of, where the audience is shared with another account; `None` for its own.
    """

    number: int
    audience: int
    variation: str | None
    output: int
    is_active: bool
    settings: dict[str, Any]
    shared_user_attributes: tuple[str, ...] = ()
    withdrawn_attributes: tuple[str, ...] = ()
    fault: Fault | None = None
    resumed: int = 0  # how often it was resumed
    sends: int = 0  # how often the members of a standard audience were sent
    last_sent_ms: int | None = None
    is_of_document: bool = False
    created_by: str = ""
    created_ms: int = 0
    receiver: int | None = None

    def __repr__(self) -> str:
        return f"Subscription(number={self.number}, audience={self.audience})"

    def sharing(self, names: tuple[str, ...]) -> "Subscription":
        """Return it with other attributes that are shared."""
        known = dict.fromkeys((*self.withdrawn_attributes, *self.shared_user_attributes))
        withdrawn = tuple(each for each in known if each not in names)
        return replace(self, shared_user_attributes=names, withdrawn_attributes=withdrawn)


class Removal(Struct, frozen=True, kw_only=True):
    """That a subscription has ended, as its output is still to be told (spec/connections.md, 5).

    `receiver`: see `Subscription`.
    """

    subscription: int
    output: int
    audience: int
    name: str
    external_name: str
    environment: Environment
    removed_ms: int
    receiver: int | None = None


class Milestone(Struct, frozen=True, kw_only=True):
    """One milestone of a journey; `position` counts siblings from the left, from 0."""

    number: int
    name: str
    parent: int | None
    position: int
    kind: Literal["criteria", "remaining_users"]
    definition: Definition | None
    audience: int


class Journey(Struct, frozen=True, kw_only=True):
    """A tree of milestones (spec/audiences.md, 13)."""

    number: int
    name: str
    inputs: tuple[int, ...]
    milestones: tuple[Milestone, ...]
    next_milestone: int
    created_by: str
    created_ms: int
    last_modified_by: str
    last_modified_ms: int


class Download(Struct, frozen=True, kw_only=True):
    """A file of members that was asked for (spec/audiences.md, 11).

    `variations`: of these only; `None` for the whole audience.
    """

    id: str
    audience: int
    identity_types: tuple[str, ...]
    variations: tuple[str, ...] | None
    status: Literal["pending", "ready", "failed", "expired"]
    created_ms: int
    file: str | None = None
    size_bytes: int = 0


class ListChange(Struct, frozen=True, array_like=True):
    """MPIDs to be added to and removed from a static audience; waits until all shards have it.

    `is_cleared`: all are removed before, as the audience is deleted.
    """

    audience: int
    add: tuple[int, ...] = ()
    remove: tuple[int, ...] = ()
    is_cleared: bool = False


class Counters(Struct, frozen=True, kw_only=True):
    """What is counted, and what holds for all. `version` counts what shards have to know of."""

    version: int = 0
    next_audience: int = 1  # made through the API
    next_journey: int = 1
    next_subscription: int = 1
    next_change: int = 1
    next_prediction: int = 1
    default_level: Level = "private"
    withheld_identities: dict[int, tuple[str, ...]] = {}
    credits_year: int = 0
    credits_used: int = 0
    leaving: tuple[int, ...] = ()  # audiences whose members are still to be taken off outputs
