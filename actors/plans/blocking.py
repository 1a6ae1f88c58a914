"""Takes what is blocked out of a batch, and remembers the batch as it was.

Source: spec/data-plans.md, 4.
"""

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from actors.batches.attributes import SOURCE_FEED
from actors.model.batches import Batch, Event
from actors.plans.findings import Path
from actors.plans.validation import NAMED_DEVICE_IDENTITIES
from actors.plans.verdict import Verdict


class Blocked(Struct):
    """A batch of which something was blocked.

    Attributes:
        entered: the batch as it entered validation; it stays as it is, but for its ids.
        verdict: what was blocked; its events are those that follow from it, too.
        copies: events with attributes removed: as they entered, and as they go on.
    """

    entered: Batch
    verdict: Verdict
    copies: list[tuple[Event, Event]]

    def take_ids(self, batch_id: int) -> None:
        """Take over the ids that were given: the batch's, and those of the events that entered."""
        self.entered.batch_id = batch_id
        for entered, left in self.copies:
            left.event_id = entered.event_id


def block(batch: Batch, verdict: Verdict) -> tuple[Batch, Blocked]:
    """Return what is left of a batch, which is not changed, and what was blocked.

    Of a batch that is dropped as a whole its ids are left, and whose it is where it says that.
    """
    if verdict.drops_batch:
        left = _nothing_of(batch)
        return left, Blocked(batch, verdict, [])
    verdict.events |= set(_changes(batch, verdict))
    drops = list(batch.drops)
    drops += ["unplanned_event"] * len(verdict.events)
    events: list[Event] = []
    copies: list[tuple[Event, Event]] = []
    for index, event in enumerate(batch.events):
        if index in verdict.events:
            continue
        if index in verdict.attributes:
            drops += ["unplanned_event_attribute"] * len(verdict.attributes[index])
            copies.append((event, _without(event, verdict.attributes[index])))
            event = copies[-1][1]
        events.append(event)
    drops += ["unplanned_user_attribute"] * len(verdict.user_attributes)
    drops += ["unplanned_user_identity"] * len(verdict.identities)
    left = replace(
        batch,
        events=events,
        user_attributes=_but(batch.user_attributes, verdict.user_attributes),
        user_identities=_but(batch.user_identities, verdict.identities),
        device_info=_but(batch.device_info, verdict.identities),
        drops=drops,
    )
    return left, Blocked(batch, verdict, copies)


def _but(members: dict[str, Any], names: list[str]) -> dict[str, Any]:
    if not names:
        return members
    return {name: value for name, value in members.items() if name not in names}


def _nothing_of(batch: Batch) -> Batch:
    drops = [*batch.drops, *["unplanned_batch"] * max(len(batch.events), 1)]
    return Batch(
        environment=batch.environment,
        timestamp_ms=batch.timestamp_ms,
        mpid=batch.mpid,
        device_info=_but(batch.device_info, list(NAMED_DEVICE_IDENTITIES)),
        source_request_id=batch.source_request_id,
        batch_id=batch.batch_id,
        is_batch_id_sent=batch.is_batch_id_sent,
        drops=drops,
    )


def _changes(batch: Batch, verdict: Verdict) -> list[int]:
    """Return the indices of the events that tell of changes of what is dropped."""
    if not verdict.user_attributes and not verdict.identities:
        return []
    found = []
    for index, event in enumerate(batch.events):
        if event.event_type == "user_attribute_change":
            if event.get("user_attribute_name") in verdict.user_attributes:
                found.append(index)
        elif event.event_type == "user_identity_change":
            data = event.data
            sides = (data.get("new") or {}, data.get("old") or {})
            if any(each.get("identity_type") in verdict.identities for each in sides):
                found.append(index)
    return found


def _without(event: Event, paths: list[Path]) -> Event:
    """Return an event without some members of its data; paths begin with `data`.

    The attribute that names its feed stays, also where all of them go (spec/events-api.md, 2.1).
    """
    data = event.data
    feed = (data.get("custom_attributes") or {}).get(SOURCE_FEED)
    for _, *where, name in paths:
        holder: Any = data
        for part in where:
            holder = holder[part]
        del holder[name]
    if feed is not None:
        data.setdefault("custom_attributes", {})[SOURCE_FEED] = feed
    return Event(event.event_type, event.timestamp_ms, data, event.event_id)
