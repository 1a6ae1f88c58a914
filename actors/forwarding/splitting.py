"""Deliveries that are too large for their receiver, cut in two (spec/connections.md, 3.2)."""

from hashlib import sha256
from typing import Any

import orjson
from msgspec.structs import replace

from actors.forwarding.entries import Entry, Family
from actors.model.deliveries import DeadLetter, Delivery
from actors.steps.enqueue import delivery_id


def halves(entry: Entry) -> list[Entry] | None:
    """Cut an entry in two; `None` if it has a single event and cannot be cut.

    The parts have chunk ids `n.0` and `n.1`, belong to the entry's family and stay out of the
    outbox: after a crash the whole delivery is sent, and cut, again.
    """
    delivery = entry.delivery
    payload: dict[str, Any] = orjson.loads(delivery.payload)
    events: list[dict[str, Any]] = payload.get("events") or []
    if len(events) < 2:
        return None
    family = entry.family or Family(delivery, open=1, failed={})
    family.open += 1
    middle = len(events) // 2
    chunk = entry.chunk or _chunk(entry, payload)
    parts = []
    for number, half in enumerate((events[:middle], events[middle:])):
        part_chunk = f"{chunk}.{number}"
        part = _with_events(delivery, payload, half)
        part.delivery_id = delivery_id(
            entry.stream.connection.id, payload.get("batch_id", ""), part_chunk
        )
        parts.append(
            Entry(part, entry.stream, entry.rereads, part_chunk, family, entry.most_together)
        )
    return parts


def _chunk(entry: Entry, payload: dict[str, Any]) -> str:
    """Return the chunk of a whole delivery: 0, or its own id if it is a part come back.

    A replayed dead letter may be such a part; its parts must not get the ids of its siblings.
    """
    whole = delivery_id(entry.stream.connection.id, payload.get("batch_id", ""), 0)
    return "0" if entry.delivery.delivery_id == whole else entry.delivery.delivery_id


def _with_events(
    delivery: Delivery, payload: dict[str, Any], events: list[dict[str, Any]]
) -> Delivery:
    first = events[0].get("data") or {}
    return replace(
        delivery,
        payload=orjson.dumps({**payload, "events": events}),
        first_event_ms=first.get("timestamp_unixtime_ms") or 0,
        event_count=len(events),
    )


def joined(family: Family) -> DeadLetter:
    """Make one dead letter of all parts that failed; the outbox knows them as one delivery."""
    letters = [family.failed[chunk] for chunk in sorted(family.failed)]
    parts = [letter.delivery for letter in letters]
    last = letters[-1]
    if sum(part.event_count for part in parts) == family.parent.event_count:
        # Nothing of it got through: it is kept, and can be replayed, as it was.
        tried = last.delivery
        whole = replace(
            family.parent, attempts=tried.attempts, first_attempt_ms=tried.first_attempt_ms
        )
        return replace(last, delivery=whole)
    if len(parts) == 1:
        return last
    payloads = [orjson.loads(part.payload) for part in parts]
    events = [event for payload in payloads for event in payload["events"]]
    rest = _with_events(last.delivery, payloads[0], events)
    ids = "|".join(part.delivery_id for part in parts)
    rest.delivery_id = f"dl_{sha256(ids.encode()).hexdigest()[:32]}"
    return replace(last, delivery=rest)
