"""Reads a batch whose values need little coercion: the common case, several times faster.

What it reads it reads as `actors.batches.reading.read_fields` would; everything else it leaves to
that.
"""

from functools import lru_cache
from typing import Annotated, Any, Union

import msgspec
import orjson
from msgspec import UNSET, Meta, Struct

from actors.batches.attributes import ROUNDED
from actors.batches.coerce import to_uuid
from actors.batches.events import EVENT_TYPES, EventType
from actors.batches.exact import Shape, shape_of
from actors.batches.parse import is_too_deep
from actors.batches.read_events import finish_event
from actors.batches.reading import Coerce, Fields, Invalid, Reading
from actors.batches.times import FUTURE_MS
from actors.model.batches import Event
from actors.model.workspaces import Limits

# Members that nearly every event has: `_events` looks at them itself.
_EVERY_EVENT = {
    "timestamp_unixtime_ms": Annotated[int, Meta(ge=1, le=(1 << 63) - 1)],
    "session_uuid": str,
}


class EventShape(Struct, frozen=True):
    """An event type's name, what is special about it, and the shape of its data."""

    name: str
    kind: EventType
    data: Shape


class BatchShape(Struct, frozen=True):
    """How the batches of a workspace are read; `events` by the type of their entries."""

    decoder: msgspec.json.Decoder[Any]
    batch: Shape
    events: dict[type, EventShape]


class BatchReader:
    """Reads batches by the table of their fields."""

    def __init__(self, table: dict[str, Coerce]) -> None:
        self._table = table
        self._shape = lru_cache(maxsize=8)(self._make_shape)

    def read(self, raw: bytes, reading: Reading) -> Fields | None:
        """Return the fields of a batch, as `read_fields` would; `None` if that has to read it."""
        drops_before = len(reading.drops)
        shape = self._shape(reading.workspace.limits)
        try:
            found = shape.decoder.decode(raw)
            entries = found.events
            found.events = None
            shape.batch.complete(found, reading)
            fields: Fields = msgspec.to_builtins(found)
            if entries is not None:
                fields["events"] = _events(entries, shape.events, reading.strict())
        except (
            msgspec.DecodeError,
            UnicodeDecodeError,
            orjson.JSONDecodeError,
            RecursionError,  # an edge has taken what nests deeper than there is room for here
            Invalid,
        ):
            del reading.drops[drops_before:]
            return None
        if ROUNDED in reading.drops:
            del reading.drops[drops_before:]
            return None
        return None if is_too_deep(raw) else fields

    def _make_shape(self, limits: Limits) -> BatchShape:
        events: dict[type, EventShape] = {}
        for name, kind in EVENT_TYPES.items():
            data = shape_of(kind.fields, limits, kind.needs, **_EVERY_EVENT, **kind.derived)
            entry = msgspec.defstruct(
                "ExactEvent", [("data", data.type)], tag_field="event_type", tag=name
            )
            events[entry] = EventShape(name, kind, data)
        any_event: Any = Union[tuple(events)]  # noqa: UP007  # made of values, not of names
        batch = shape_of(self._table, limits, events=list[any_event])
        return BatchShape(msgspec.json.Decoder(batch.type), batch, events)


def _events(entries: list[Any], shapes: dict[type, EventShape], reading: Reading) -> list[Event]:
    """Complete the events. Raises Invalid if one of them is not valid."""
    latest_ms = reading.received_ms + FUTURE_MS
    sent_uuid = kept_uuid = None  # nearly always all events of a batch are of one session
    events: list[Event] = []
    for entry in entries:
        shape = shapes[type(entry)]
        body = entry.data
        timestamp_ms = body.timestamp_unixtime_ms
        if timestamp_ms is not None and timestamp_ms > latest_ms:
            raise Invalid("is counted where it is coerced.")
        uuid = body.session_uuid
        if uuid is not None:
            if uuid != sent_uuid:
                sent_uuid, kept_uuid = uuid, to_uuid(uuid, reading)
            body.session_uuid = kept_uuid
        shape.data.complete(body, reading)
        for name, _ in shape.data.parts:
            part = getattr(body, name)
            if part is not None:  # whoever asks an event for it gets an object like any other
                setattr(body, name, msgspec.to_builtins(part))
        check = None if shape.kind.needs else shape.kind.check
        if check is not None and (faults := check(_Members(body))):
            raise Invalid(faults)
        event = finish_event(shape.name, shape.kind, body, reading)
        if event is not None:
            events.append(event)
    return events


class _Members:
    """What a check may ask of a body."""

    __slots__ = ("_body",)

    def __init__(self, body: Any) -> None:
        self._body = body

    def get(self, name: str) -> Any:
        value = getattr(self._body, name, None)
        return None if value is UNSET else value
