"""The list of events of a batch (spec/events-api.md, 12 and 13)."""

from typing import Any

from actors.batches.attributes import add_source_feed
from actors.batches.events import EVENT_TYPES, EVENT_WORD, EventType, is_mislabelled_crash
from actors.batches.reading import (
    MAX_PROBLEMS,
    Check,
    Fault,
    Invalid,
    Members,
    Reading,
    as_array,
    as_object,
    missing,
    read_fields,
    required,
)
from actors.batches.times import session_id
from actors.model.batches import Event

_check_time = required("timestamp_unixtime_ms", word=EVENT_WORD)


def to_events(value: Any, reading: Reading) -> list[Event]:
    """Coerce `events`. Where invalid values are skipped, an invalid event is left out whole."""
    entries = as_array(value)
    if reading.is_historical and not entries:
        raise Invalid("must not be empty on this path.")
    strict = reading.strict()
    drops = reading.drops
    events: list[Event] = []
    faults: list[Fault] = []
    for index, entry in enumerate(entries):
        drops_before = len(drops)
        try:
            event = _read_event(entry, strict)
        except Invalid as error:
            if reading.skips_invalid:
                drops[drops_before:] = ["invalid_event"]
                continue
            faults += error.within(f"[{index}]")
            if len(faults) >= MAX_PROBLEMS:
                break
        else:
            if event is not None:
                events.append(event)
    if faults:
        raise Invalid(faults)
    return events


def _read_event(entry: Any, reading: Reading) -> Event | None:
    as_object(entry)
    name, data = entry.get("event_type"), entry.get("data")
    if type(name) is str and name not in EVENT_TYPES:
        name = name.lower()
    known = EVENT_TYPES.get(name) if type(name) is str else None
    if known is None or type(data) is not dict:
        raise Invalid(_frame_faults(name, known, data))
    if name == "commerce_event" and is_mislabelled_crash(data):
        name = "crash_report"
        known = EVENT_TYPES[name]
    check = _historical_check(known.check) if reading.is_historical else known.check
    try:
        fields = read_fields(data, known.fields, reading, check)
    except Invalid as error:
        raise Invalid(error.within("data")) from None
    return finish_event(name, known, known.body(**fields), reading)


def finish_event(name: str, known: EventType, body: Any, reading: Reading) -> Event | None:
    """Complete an event by what follows from its data; `None` if the event is left out."""
    timestamp_ms = body.timestamp_unixtime_ms
    if timestamp_ms is None:
        timestamp_ms = body.timestamp_unixtime_ms = reading.received_ms
    if body.event_start_unixtime_ms is None:
        body.event_start_unixtime_ms = timestamp_ms
    uuid = body.session_uuid
    if uuid is not None:
        body.session_id = session_id(uuid)
    if reading.input.kind == "feed":
        add_source_feed(body, reading.input.name)
    if known.finish is not None and not known.finish(body, reading):
        return None
    return Event(name, timestamp_ms, body)


def _historical_check(check: Check | None) -> Check:
    """Add to a check that the event says when it happened (5.6)."""

    def check_all(data: Members) -> list[Fault]:
        return _check_time(data) + (check(data) if check else [])

    return check_all


def _frame_faults(name: Any, known: EventType | None, data: Any) -> list[Fault]:
    faults: list[Fault] = []
    if name in (None, ""):
        faults.append(missing("event_type", EVENT_WORD))
    elif known is None:
        faults += Invalid("must be an event type.").within("event_type")
    if data in (None, ""):
        faults.append(missing("data", EVENT_WORD))
    elif type(data) is not dict:
        faults += Invalid("must be an object.").within("data")
    return faults
