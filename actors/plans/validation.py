"""Looks at a batch with the eyes of a data plan (spec/data-plans.md, 2.2 and 3.3)."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from msgspec import Struct

from actors.batches.attributes import SOURCE_FEED
from actors.batches.identities import DEVICE_IDENTITIES
from actors.model.batches import Batch, Event
from actors.plans.document import PlanDocument
from actors.plans.findings import Finding
from actors.plans.matching import (
    ATTRIBUTES,
    IDENTITIES,
    Get,
    Match,
    is_plannable,
    match_of,
)

DEVICE_STAMP = "mp_deviceid"
NOT_PLANNED = "alias"  # an identity type that plans do not have
NAMED_DEVICE_IDENTITIES = frozenset(DEVICE_IDENTITIES)


class Looked(NamedTuple):
    """An event as validation looks at it: `data` returns a copy of its data as JSON values."""

    event_type: str
    get: Get
    data: Callable[[], dict[str, Any]]


class Entry(Struct, frozen=True):
    """An event, or one of the two objects of the user, with what was found there.

    `index`: of the event in its batch, `None` if it is no event.
    """

    index: int | None
    match: Match
    findings: list[Finding]


def validate(
    plan: PlanDocument,
    events: Iterable[Looked],
    user_attributes: Mapping[str, Any],
    identities: Mapping[str, str],
) -> list[Entry]:
    """Return what is wrong: of the events in their order, then of attributes and identities.

    Args:
        plan: what is expected.
        events: of the batch.
        user_attributes: as the batch sets them.
        identities: see `identities_of`.
    """
    entries: list[Entry] = []
    for index, event in enumerate(events):
        if not is_plannable(event.event_type):
            continue
        match = match_of(event.event_type, event.get)
        if match is None:
            continue
        point = plan.events.get(match.key)
        if point is None:
            unplanned = Finding("unplanned", match.name, actual=match.name)
            entries.append(Entry(index, match, [unplanned]))
        elif point.node is not None:
            found: list[Finding] = []
            view = {"event_type": event.event_type, "data": event.data()}
            point.node.check(view, None, found)
            if found:
                entries.append(Entry(index, match, found))
    for match, point, value in (
        (ATTRIBUTES, plan.user_attributes, user_attributes),
        (IDENTITIES, plan.user_identities, identities),
    ):
        if point is not None and point.node is not None:
            found = []
            point.node.check(value, None, found)
            if found:
                entries.append(Entry(None, match, found))
    return entries


def validate_batch(plan: PlanDocument, batch: Batch) -> list[Entry]:
    """Validate a batch that was decoded; see `validate`."""
    return validate(plan, map(_looked, batch.events), batch.user_attributes, identities_of(batch))


def identities_of(batch: Batch) -> dict[str, str]:
    """Return the identities that plans know, of the user and of the device (2.4)."""
    found = {
        name: value
        for name, value in batch.user_identities.items()
        if value and name != NOT_PLANNED
    }
    device = batch.device_info
    for name in NAMED_DEVICE_IDENTITIES & device.keys():
        if device[name]:
            found[name] = device[name]
    if batch.mp_deviceid:
        found[DEVICE_STAMP] = batch.mp_deviceid
    return found


def _looked(event: Event) -> Looked:
    return Looked(event.event_type, event.get, lambda: _data_of(event))


def _data_of(event: Event) -> dict[str, Any]:
    """Return the data of an event without what it was given here and nobody has sent."""
    data = event.data
    attributes = data.get("custom_attributes")
    if attributes and SOURCE_FEED in attributes:
        del attributes[SOURCE_FEED]
        if not attributes:
            del data["custom_attributes"]
    return data
