"""Deliveries as what is written of them: events, users, consent, memberships, aliases."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import orjson
from msgspec import Struct, field

from actors.model.deliveries import Delivery
from actors.outputs.file_columns import as_integer, as_text
from actors.outputs.file_rows import Row, rows
from actors.outputs.warehouse import columns

OTHER_EVENTS = "otherevents"
CONSENT_TABLES = ("consent_rejected", "consent_given")
NUL = b"\\u0000"  # the only way in which JSON can have it


class FeedTable(Struct, frozen=True):
    """Where the events of a feed go. `is_split`: not there, but as those of apps."""

    name: str
    is_split: bool = False


class EventRow(Struct):
    """One event. `own`: what its own table is called, if it may have one."""

    event_id: int
    time_ms: int | None
    table: str
    own: str | None
    values: list[Any]
    attributes: dict[str, str | None]


class UserRow(Struct):
    """A user as a batch shows them."""

    mpid: int
    seen_ms: int
    identities: dict[str, str]
    attributes: dict[str, Any]


class Membership(Struct):
    """A user entered or left an audience."""

    audience: int
    mpid: int
    time_ms: int
    is_member: bool


class Readings(Struct):
    """What a load writes."""

    events: list[EventRow] = field(default_factory=list)
    consent: list[EventRow] = field(default_factory=list)
    users: list[UserRow] = field(default_factory=list)
    memberships: list[Membership] = field(default_factory=list)
    aliases: list[tuple[int, int, int | None, int | None, int]] = field(default_factory=list)


class Reader:
    """Reads deliveries of one output."""

    def __init__(self, *, has_attribute_columns: bool, has_device_stamp: bool) -> None:
        """Args: whether attributes of users become columns, and the device's stamp is kept."""
        self._has_attribute_columns = has_attribute_columns
        self._has_device_stamp = has_device_stamp

    def read(self, delivery: Delivery, feed: FeedTable | None, now_ms: int, into: Readings) -> None:
        """Add what is in one delivery.

        Raises:
            ValueError: it is not what outputs are sent.
        """
        payload = delivery.payload
        if NUL in payload:  # no warehouse takes it in a text
            payload = orjson.dumps(_without_nul(orjson.loads(payload)))
        message = orjson.loads(payload)
        if not isinstance(message, dict):
            raise ValueError("a payload must be an object")
        match message.get("type"), message.get("message_type"):
            case "audience_membership_change", _:
                into.memberships += _memberships(message)
            case "audience_subscription", _:
                pass  # of its members nothing is said
            case _, "alias_request":
                into.aliases.append(_alias(message, delivery.created_ms))
            case _:
                self._read_batch(payload, delivery, feed, now_ms, into)

    def _read_batch(
        self,
        payload: bytes,
        delivery: Delivery,
        feed: FeedTable | None,
        now_ms: int,
        into: Readings,
    ) -> None:
        row = None
        for row in rows(payload, delivery.delivery_id, now_ms):
            event_id = as_integer(row.data.get("event_id"))
            if not row.event:
                continue
            if event_id is None:
                raise ValueError("an event must have an id")
            into.events.append(self._event(row, event_id, feed))
        if row is None:
            return
        for index, notice in enumerate(row.batch.get("system_notifications") or ()):
            into.consent.append(self._consent(row, index, notice["data"]))
        mpid = as_integer(row.batch.get("mpid"))
        if mpid is not None:
            seen_ms = as_integer(row.batch.get("timestamp_unixtime_ms")) or delivery.created_ms
            identities = {
                name: text
                for name, value in row.identities.items()
                if (text := as_text(value)) is not None
            }
            attributes = row.batch.get("user_attributes") or {}
            into.users.append(UserRow(mpid, seen_ms, identities, attributes))

    def _event(self, row: Row, event_id: int, feed: FeedTable | None) -> EventRow:
        has_table = feed is not None and not feed.is_split
        attributes = {
            f"ea_{name}": as_text(value)
            for name, value in (row.data.get("custom_attributes") or {}).items()
        }
        if self._has_attribute_columns:
            attributes |= attribute_columns(row.batch.get("user_attributes") or {})
        return EventRow(
            event_id,
            as_integer(row.data.get("timestamp_unixtime_ms")),
            feed.name if feed is not None and has_table else OTHER_EVENTS,
            None if has_table else _own_table(row),
            self._values(row),
            attributes,
        )

    def _consent(self, row: Row, index: int, change: dict[str, Any]) -> EventRow:
        """Make the row of a change; it has an id of its own that is always the same."""
        current = change.get("current") or change.get("old") or {}
        is_given = bool((change.get("current") or {}).get("consented"))
        key = f"{row.batch.get('batch_id')}|{row.batch.get('mpid')}|{index}"
        event_id = int.from_bytes(sha256(key.encode()).digest()[:8]) >> 1
        time_ms = as_integer(current.get("timestamp_unixtime_ms"))
        data = {"event_id": event_id, "timestamp_unixtime_ms": time_ms}
        described = Row(
            row.batch, row.identities, {}, data, row.delivery_id, row.loaded_ms, row.of_batch
        )
        extra = [
            as_text(each)
            for each in (
                current.get("regulation"),
                change.get("purpose"),
                current.get("document"),
                current.get("location"),
                current.get("hardware_id"),
            )
        ]
        values = self._values(described) + extra
        return EventRow(event_id, time_ms, CONSENT_TABLES[is_given], None, values, {})

    def _values(self, row: Row) -> list[Any]:
        values = columns.values(row)
        if self._has_device_stamp:
            values.append(as_text(row.batch.get("mp_deviceid")))
        return values


def attribute_columns(attributes: dict[str, Any]) -> dict[str, str | None]:
    """Return the attributes of a user by what their columns are called."""
    return {f"ua_{name}": as_text(value) for name, value in attributes.items()}


def _own_table(row: Row) -> str | None:
    data = row.data
    name = data.get("event_name")
    if row.event.get("event_type") == "custom_event" and name:
        return f"event_{data.get('custom_event_type') or 'unknown'}_{name}"
    if row.event.get("event_type") == "commerce_event":
        return f"ecomm_{name or _commerce_name(data)}"
    return None


def _commerce_name(data: dict[str, Any]) -> str:
    if isinstance(action := data.get("product_action"), dict):
        return str(action.get("action") or "unknown")
    if isinstance(action := data.get("promotion_action"), dict):
        return f"promotion_{action.get('action') or 'unknown'}"
    return "impression" if data.get("product_impressions") else "unknown"


def _memberships(message: dict[str, Any]) -> Iterator[Membership]:
    for change in message["changes"]:
        if change["action"] != "attribute_update":
            yield Membership(
                message["audience"]["id"],
                change["mpid"],
                message["timestamp_ms"],
                change["action"] == "add",
            )


def _alias(
    message: dict[str, Any], created_ms: int
) -> tuple[int, int, int | None, int | None, int]:
    source, destination, start, end = (
        as_integer(message.get(name))
        for name in ("source_mpid", "destination_mpid", "start_unixtime_ms", "end_unixtime_ms")
    )
    if source is None or destination is None:
        raise ValueError("an alias request must name two users")
    return source, destination, start, end, created_ms


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [_without_nul(each) for each in value]
    if isinstance(value, dict):
        return {_without_nul(name): _without_nul(each) for name, each in value.items()}
    return value
