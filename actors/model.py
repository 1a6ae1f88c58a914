"""The types that travel between edge, shards and forwarders, and what the shards keep.

Wire names are those of spec/events-api.md. Times are milliseconds since 1970 (UTC) unless a name
says otherwise. Everything here is encoded with msgspec, records as arrays to keep them small.
"""

from typing import Any, Literal

from msgspec import UNSET, Struct, field, json, to_builtins

from actors.calculated.state import CalculatedState
from actors.errors import Problem

Environment = Literal["production", "development"]
Channel = Literal["native", "javascript", "pixel", "partner", "server_to_server"]
AttributeText = str | list[str] | None  # a tag is an attribute whose value is null

ENVIRONMENTS: tuple[Environment, Environment] = ("production", "development")

_to_json = json.Encoder().encode


class UserSplit(Struct, frozen=True):
    """How an input's users are divided (spec/rules.md, 9).

    `groups`: name, and end of its buckets of `actors.pipeline.sampling`; the last one ends them.
    """

    id: str
    groups: tuple[tuple[str, int], ...]


class InputInfo(Struct, frozen=True):
    """What a shard has to know of the input that a batch came through.

    `platform` is the value that `device_info.platform` gets when a batch has none, `None` for an
    unbound feed; `os` the input's own word (`iOS`, `MobileWeb`, `Unknown`, ...).
    """

    number: int
    id: str
    name: str
    kind: Literal["platform", "feed"]
    os: str
    platform: str | None = None
    is_partner: bool = False
    is_debug: bool = False
    restrict_device_id: bool = False
    split: UserSplit | None = None


class Limits(Struct, frozen=True):
    """Limits of spec/events-api.md, 14. Lengths in Unicode code points."""

    event_name_length: int = 256
    event_attributes: int = 100
    event_attribute_name_length: int = 256
    event_attribute_value_length: int = 4096
    user_attributes: int = 100
    user_attribute_name_length: int = 256
    user_attribute_value_length: int = 4096
    user_attribute_list_entries: int = 1000
    user_attribute_entry_length: int = 512
    product_attributes: int = 100
    unique_event_names: int = 1000
    devices: int = 100  # spec/profiles.md, 11
    real_time_bytes_per_user: int = 30_000_000  # spec/profiles.md, 4 and 11


class WorkspaceInfo(Struct, frozen=True):
    """What the shards have to know of the workspace; made from the workspace document.

    Attributes:
        number, account, organization: integer ids; `scope`: number of the identity scope.
        inputs: number to input.
        gdpr_purposes: canonical (trimmed, lower-case) names, `None` if GDPR is not enabled.
        partner_identities: registered names.
        priority, login_ids, unique_ids, immutable_ids: IDSync keys (spec/identity.md, 3).
        default_tier: `personalize`, `preserve` or `connect`; `tiers`: event name to tier.
        att_default: ATT status of Apple devices that send none.
        alias_delay_ms: from the acceptance of an alias until it is applied.
        neighbours: number of each other workspace of the scope to its `profile_idle_days`.
    """

    number: int
    id: str
    name: str
    account: int
    organization: int
    scope: int
    inputs: dict[int, InputInfo]
    priority: tuple[str, ...]
    login_ids: frozenset[str]
    unique_ids: frozenset[str]
    immutable_ids: frozenset[str]
    strategy: str = "default"
    search_requires_immutable: bool = False
    gdpr_purposes: frozenset[str] | None = None
    is_ccpa_enabled: bool = False
    partner_identities: frozenset[str] = frozenset()
    limits: Limits = Limits()
    default_tier: str = "personalize"
    tiers: dict[str, str] = {}
    att_default: str | None = None
    events_days: int = 730
    audience_event_days: int = 30
    profile_idle_days: int = 30
    dedup_days: int = 30
    alias_delay_ms: int = 24 * 60 * 60 * 1000
    neighbours: dict[int, int] = {}


class BatchContext(Struct, array_like=True):
    """What the edge knows of a batch besides its bytes.

    Attributes:
        input: number of the input whose key was used.
        api_key: that key; deduplication is by key.
        channel: how the batch came (spec/events-api.md, 15).
        received_ms: time of receipt.
        is_historical: it came to /v2/bulkevents/historical.
        is_lenient: the client batch endpoint's rules hold (spec/events-api.md, 16): invalid events
            are left out, invalid batch fields count as absent.
        updates_attributes: a client's `user_attributes` are what is to be set, no snapshot.
        ip: address of the client where the channel takes it from the connection, else `None`.
        user_agent: likewise the request's User-Agent.
    """

    input: int
    api_key: str
    channel: Channel
    received_ms: int
    is_historical: bool = False
    is_lenient: bool = False
    ip: str | None = None
    user_agent: str | None = None
    updates_attributes: bool = False


class Event(Struct, eq=False):
    """One event, normalised: every value coerced, every name in its canonical form.

    `body` holds what is stored and forwarded as the event's `data`, in the form that its reader
    has made: a struct of its type's members, or a dict. `timestamp_ms` is the event time
    (spec/events-api.md, 13.1), also in the body. `event_id` is 0 until the shard has assigned it.
    `json` is the body as JSON once `to_json` was called.
    """

    event_type: str
    timestamp_ms: int
    body: Any
    event_id: int = 0
    json: bytes = b""

    def get(self, member: str) -> Any:
        """Return a member of the data, `None` if it is absent."""
        body = self.body
        if type(body) is dict:
            return body.get(member)
        value = getattr(body, member, None)
        return None if value is UNSET else value

    def put(self, member: str, value: Any) -> None:
        """Set a member of the data that its type knows."""
        if type(self.body) is dict:
            self.body[member] = value
        else:
            setattr(self.body, member, value)
        self.json = b""

    def to_json(self) -> bytes:
        """Return the data as JSON; encoded once, for the log and all payloads."""
        if not self.json:
            self.json = _to_json(self.body)
        return self.json

    @property
    def data(self) -> dict[str, Any]:
        """The data as JSON values, made anew; not to be changed."""
        data: dict[str, Any] = to_builtins(self.body)
        return data

    def __eq__(self, other: object) -> bool:
        """Compare what they say, whatever the form of their bodies."""
        if not isinstance(other, Event):
            return NotImplemented
        return (self.event_type, self.timestamp_ms, self.event_id, self.data) == (
            other.event_type,
            other.timestamp_ms,
            other.event_id,
            other.data,
        )


class Batch(Struct, omit_defaults=True):
    """One batch, normalised by `actors.batches.decode.decode_batch`.

    Attributes:
        environment: never `unknown`.
        timestamp_ms: the batch's own time (spec/events-api.md, 13.1).
        mpid: as sent; `None` when absent, null or 0.
        user_identities: canonical batch names (`customer_id`, `other_id_2`) to trimmed values.
        user_attributes: coerced, limits applied.
        consent_state: regulation to purpose to record, or to `None` where the purpose is removed.
            Purposes canonical, invalid and undefined records already left out.
        location: the batch's location (spec/events-api.md, 11.2), `None` if it has none.
        batch_id: as sent, or 0 until the shard has assigned one.
        drops: reasons of everything that was cut or left out, one entry each time.
    """

    environment: Environment
    timestamp_ms: int
    events: list[Event] = field(default_factory=list)
    mpid: int | None = None
    mp_deviceid: str | None = None
    user_identities: dict[str, str] = field(default_factory=dict)
    partner_identities: dict[str, str] = field(default_factory=dict)
    partner_identity: str | None = None
    user_attributes: dict[str, AttributeText] = field(default_factory=dict)
    deleted_user_attributes: list[str] = field(default_factory=list)
    device_info: dict[str, Any] = field(default_factory=dict)
    application_info: dict[str, Any] = field(default_factory=dict)
    consent_state: dict[str, dict[str, dict[str, Any] | None]] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    location: dict[str, Any] | None = None
    integration_attributes: dict[str, dict[str, str | None]] = field(default_factory=dict)
    attribution_info: dict[str, str | None] = field(default_factory=dict)
    ip: str | None = None
    sdk_version: str | None = None
    source_request_id: str | None = None
    batch_id: int = 0
    is_batch_id_sent: bool = False
    drops: list[str] = field(default_factory=list)


# -- Profiles -------------------------------------------------------------------------------------


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


class ConsentChange(Struct):
    """A record that a batch changed: becomes a system notification of the outgoing batch."""

    regulation: Literal["gdpr", "ccpa"]
    purpose: str
    old: ConsentRecord | None
    current: ConsentRecord | None


# -- The event log --------------------------------------------------------------------------------


class StoredBatch(Struct, omit_defaults=True):
    """One batch in the event log.

    Attributes:
        log_id: key in the log: unique in the deployment, increasing within a shard.
        previous_log_id: the same user's batch before this one, 0 if there is none; of a historical
            batch the historical one before it.
        batch: as normalised, with the events that their tier allows to keep.
        input: number of the input.
        mpid: the profile's MPID, `None` if unattributed.
    """

    log_id: int
    previous_log_id: int
    workspace: int
    scope: int
    mpid: int | None
    input: int
    received_ms: int
    channel: Channel
    is_historical: bool
    device_key: str | None
    batch: Batch


# -- Micro-batches --------------------------------------------------------------------------------


class Item(Struct, array_like=True):
    """One batch of a micro-batch: its bytes as sent, and what the edge knows.

    `unit` numbers the batches of one request that share an identity: after the first of a unit
    that cannot be applied here, the rest of the unit comes back `Deferred`, so that their order
    holds. `mpid` is the answer of the coordinator, or a guess of the edge where `is_guess`.
    """

    raw: bytes
    context: int  # index into MicroBatch.contexts
    unit: int = 0
    mpid: int | None = None
    is_guess: bool = False


class EventName(Struct, frozen=True, array_like=True, order=True):
    """What the limit on distinct event names counts (spec/events-api.md, 14)."""

    event_type: str
    name: str


class EventNames(Struct, array_like=True):
    """Names that the coordinator has admitted; if it takes no more, all that it ever did."""

    admitted: list[EventName]
    is_full: bool


class MicroBatch(Struct, array_like=True):
    """Many batches for one shard, committed together.

    An edge numbers its micro-batches for each shard, so (edge, number) names one of them.
    `event_names` is what the edge has learnt from the coordinator since its last one.
    """

    edge: int
    number: int
    contexts: list[BatchContext]
    items: list[Item]
    event_names: EventNames | None = None


class Accepted(Struct, array_like=True, tag=1):
    """Applied and on disk. `mpid` is `None` for an unattributed batch."""

    mpid: int | None
    events: int


class Duplicate(Struct, array_like=True, tag=2):
    """Applied before; nothing was done. `reason` is the drop reason that is counted."""

    reason: str


class Rejected(Struct, array_like=True, tag=3):
    """Not applied, for the sender to mend."""

    problems: list[Problem]


class Moved(Struct, array_like=True, tag=4):
    """Not applied here: the profile lives in another slot.

    `is_settled`: it is the one for certain; else its own shard has to see whether it is.
    """

    mpid: int
    is_settled: bool = False


class Unresolved(Struct, array_like=True, tag=5):
    """Not applied: its identities are not all attached to one profile; ask the coordinator.

    `identities`: (IDSync type, value as sent, trimmed), in priority order.
    """

    environment: Environment
    identities: list[tuple[str, str]]


class Deferred(Struct, array_like=True, tag=6):
    """Not applied, because a batch of its unit before it was not; send it again after that."""


class Unregistered(Struct, array_like=True, tag=7):
    """Not applied: it has event names that this shard does not know; ask the coordinator."""

    names: list[EventName]


class Elsewhere(Struct, array_like=True, tag=8):
    """Not applied here: with what is blocked of it, it is nobody's, and those lie in their slot."""

    slot: int


Result = Accepted | Duplicate | Rejected | Moved | Unresolved | Deferred | Unregistered | Elsewhere


# -- Delivery -------------------------------------------------------------------------------------


class Delivery(Struct, array_like=True):
    """One thing to be sent to one output: a job of spec/connections.md, 3.1.

    Attributes:
        sequence: place in the shard's outbox; order within a connection and shard.
        connection: number of the connection.
        delivery_id: `dl_...`, the same however often it is made, sent or replayed.
        mpid: whose it is, `None` if nobody's: order is kept per (connection, mpid).
        payload: what to send: the JSON of one outgoing batch.
        created_ms: receipt time of its cause.
        first_event_ms: time of its first event, 0 if it has none.
        event_count: events inside.
        attempts: failed attempts so far; `first_attempt_ms` when the first was made, 0 if none.
        next_attempt_ms: not before this; `delayed_ms` when that was reckoned, 0 if never.
    """

    sequence: int
    connection: int
    delivery_id: str
    mpid: int | None
    payload: bytes
    created_ms: int
    first_event_ms: int = 0
    event_count: int = 0
    environment: Environment = "production"
    attempts: int = 0
    first_attempt_ms: int = 0
    next_attempt_ms: int = 0
    delayed_ms: int = 0


class DeadLetter(Struct, array_like=True):
    """A delivery that failed for good (spec/connections.md, 3.7)."""

    delivery: Delivery
    reason: str
    dead_ms: int
    last_attempt_ms: int
    http_status: int | None = None
    response_excerpt: str | None = None


class Settlement(Struct, array_like=True):
    """What became of deliveries of one connection on one shard; applied in one transaction.

    `done`: sequences to delete; `dead`: to move to the dead letters; `delayed`: to write back with
    their attempts and next attempt.
    """

    connection: int
    done: list[int] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    delayed: list[Delivery] = field(default_factory=list)
