"""A batch and its events: what is known of it beside its bytes, normalised, and in the log."""

from typing import Any, Literal

from msgspec import UNSET, Struct, field, json, to_builtins

from actors.model.workspaces import Environment

Channel = Literal["native", "javascript", "pixel", "partner", "server_to_server"]


AttributeText = str | list[str] | None  # a tag is an attribute whose value is null


_to_json = json.Encoder().encode


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
