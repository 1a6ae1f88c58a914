"""What a shard keeps of a user."""

from typing import Any, Literal

from msgspec import Struct, field

from actors.calculated.state import CalculatedState
from actors.model.batches import AttributeText
from actors.model.workspaces import Environment


class ProfileKey(Struct, frozen=True, array_like=True, order=True):
    """What names one profile: (identity scope, environment, MPID)."""

    scope: int
    environment: Environment
    mpid: int


class Lookup(Struct, array_like=True):
    """One identity by which a profile can be found; `value` in its canonical form.

    `link` orders the links of one (type, value): the greater was made later. `linked_ms` is when it
    was made, by the clock, 0 if that is not known.
    """

    type: str
    value: str
    link: int
    linked_ms: int = 0


class IdentityValue(Struct, array_like=True):
    """The value of one identity type that a profile shows, trimmed, as sent."""

    value: str
    first_seen_ms: int
    updated_ms: int


class AttributeValue(Struct, array_like=True):
    """The value of one user attribute and where it came from."""

    value: AttributeText
    updated_ms: int
    input: int


class ConsentRecord(Struct, array_like=True):
    """One purpose's consent. `timestamp_ms` is the client's; `updated_ms` when it was stored."""

    consented: bool
    timestamp_ms: int
    updated_ms: int
    document: str | None = None
    location: str | None = None
    hardware_id: str | None = None


class Device(Struct, array_like=True):
    """One device of a workspace section (spec/profiles.md, 2.3).

    `fields` has the stored members of device_info and application_info under their wire names,
    with the device application stamp; `identities` the profile's names of the device's identities
    (`google_advertising_id`); `integration_attributes` module id to key to value; `updated_ms`
    the time that a field or identity stands for, where that is not `fields_ms`.
    """

    key: str
    first_seen_ms: int
    last_seen_ms: int
    fields: dict[str, Any] = field(default_factory=dict)
    identities: dict[str, str] = field(default_factory=dict)
    integration_attributes: dict[str, dict[str, str]] = field(default_factory=dict)
    push_token: str | None = None
    push_registered: bool | None = None
    updated_ms: dict[str, int] = field(default_factory=dict)
    fields_ms: int = 0  # 0: the same as `last_seen_ms`


class Attribution(Struct, array_like=True):
    """An install or uninstall, kept per device."""

    event: Literal["install", "uninstall"]
    service_provider: str | None
    publisher: str | None
    campaign: str | None
    timestamp_ms: int
    device_key: str | None = None


class Seen(Struct, array_like=True):
    """First and last receipt time."""

    first_seen_ms: int
    last_seen_ms: int


class GroupMembership(Struct, array_like=True):
    """A user's group of one definition (spec/identity.md, 13): its value, and what is inherited.

    `attributes`: id of the group attribute to its value.
    """

    value: str
    attributes: dict[str, AttributeText]


class Scored(Struct, array_like=True, frozen=True):
    """What a prediction gave a user, each 0 to 1: of six and of four decimals."""

    score: float
    percentile: float


class Section(Struct, array_like=True):
    """The part of a profile that belongs to one workspace (spec/profiles.md, 2.2)."""

    first_seen_ms: int
    last_seen_ms: int
    inputs: dict[int, Seen] = field(default_factory=dict)
    user_attributes: dict[str, AttributeValue] = field(default_factory=dict)
    consent_state: dict[str, dict[str, ConsentRecord]] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)
    attribution: list[Attribution] = field(default_factory=list)
    location: dict[str, Any] | None = None
    location_updated_ms: int = 0
    newest_log_id: int = 0  # head of this user's chain of stored batches; 0: none
    open_sessions: dict[int, int] = field(default_factory=dict)  # session id to its start
    newest_historical_id: int = 0  # head of the chain of historical batches, which is apart
    is_aged_out: bool = False  # only the times and the chains are left (spec/profiles.md, 6)
    groups: dict[int, GroupMembership] = field(default_factory=dict)  # by number of the definition
    calculated: dict[int, CalculatedState] = field(default_factory=dict)  # by number
    audiences: dict[int, int] = field(default_factory=dict)  # number to member since, ms
    # What audiences have to know of the events, as `actors.audiences.engine` keeps it.
    entries: bytes = b""
    # Of the definitions that `calculated` and `entries` were made for, see audiences.in_force.
    epoch: int = 0
    entries_epoch: int = 0
    predictions: dict[int, Scored] = field(default_factory=dict)  # by number
    # Subscriptions of audiences that the user is in, and of which they could not be told.
    untold: list[int] = field(default_factory=list)
    # Real-time evaluation sees batches of greater log ids; see `actors.profiles.recent`.
    recent_from_id: int = 0
    step_bytes: int = 0
    steps: list[int] = field(default_factory=list)
    # Calculated attributes whose values went as the user aged out, until their feed notes it.
    lost_attributes: list[int] = field(default_factory=list)
    # A bulk deletion is about it (spec/profiles.md, 10); one that is made after it was not there.
    is_leaving: bool = False


class StatusMessage(Struct, array_like=True):
    """That an alias was applied to a profile: `mpid` is the other one (spec/profiles.md, 2.1)."""

    kind: Literal["aliased_to", "merged_from"]
    mpid: int
    timestamp_ms: int


class Profile(Struct, array_like=True):
    """All that is kept of one MPID (spec/profiles.md, 2.1), with its identity record.

    A profile without a section is an identity record alone: it is found by its lookups and is not
    yet, or no longer, readable.
    """

    created_timestamp_ms: int
    last_stored_timestamp_ms: int = 0
    is_opted_out: bool = False
    limit_ad_tracking: bool | None = None
    lookups: list[Lookup] = field(default_factory=list)
    user_identities: dict[str, IdentityValue] = field(default_factory=dict)
    partner_identities: dict[str, str] = field(default_factory=dict)
    workspaces: dict[int, Section] = field(default_factory=dict)
    opt_out_updated_ms: int = 0  # time that `is_opted_out` stands for; 0: never set
    source_mpid: int | None = None  # of a record made under profile link: who it was before
    status_messages: list[StatusMessage] = field(default_factory=list)
    # What audiences over several workspaces have to know, by the workspace that they are managed
    # in; only what a `Section` has for audiences is used, and `is_aged_out`: none is live.
    joint: dict[int, Section] = field(default_factory=dict)
    # The retention of the identity record is over: nothing comes to the profile any more, and the
    # coordinator takes the lookups away before the rest goes.
    is_expired: bool = False


class ConsentChange(Struct):
    """A record that a batch changed: becomes a system notification of the outgoing batch."""

    regulation: Literal["gdpr", "ccpa"]
    purpose: str
    old: ConsentRecord | None
    current: ConsentRecord | None
