"""What decided on a criterion, as a person reads it (spec/audiences.md, 14)."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from actors.audiences.answers import Reason
from actors.audiences.criteria import LocationWithin
from actors.audiences.engine.leaves.carts import CartLeaf
from actors.audiences.engine.leaves.coded import CodedLeaf
from actors.audiences.engine.leaves.events import EventLeaf
from actors.audiences.engine.leaves.numbers import NumberLeaf
from actors.audiences.engine.leaves.places import PlaceLeaf, distance_m
from actors.audiences.engine.leaves.references import ReferenceLeaf
from actors.audiences.engine.leaves.sequences import SequenceLeaf
from actors.audiences.engine.sources import (
    ConsentSource,
    ListedSource,
    LiveSource,
    SectionSource,
    SegmentSource,
)
from actors.audiences.engine.terms import Leaf

_COUNTED = {"count": "event", "days": "day", "sessions": "session"}
_CONSENT = {"true": "consented", "false": "not consented"}
_NOTHING: dict[str, Any] = {}  # as a leaf says that a value is missing


def reason(result: bool, decided: Iterable[tuple[Leaf, Any]]) -> Reason:
    """Return why a criterion holds or not.

    Args:
        result: what it gives.
        decided: its leaves, each with what its family's `explain` returned.
    """
    texts = [
        [] if found == _NOTHING else _TEXTS[type(leaf)](leaf, found) for leaf, found in decided
    ]
    values = dict.fromkeys(text for each in texts for text in each)
    return Reason(result, tuple(values), is_missing=bool(texts) and not values)


def _coded(leaf: CodedLeaf, found: Any) -> list[str]:
    source = leaf.source.source if isinstance(leaf.source, SectionSource) else leaf.source
    if isinstance(source, LiveSource):
        return []  # that there is a section decides nothing alone
    if isinstance(source, ListedSource | SegmentSource):
        return ["member"]
    if isinstance(source, ConsentSource) and source.field == "consented":
        return [_CONSENT[found]]
    return _texts(found)


def _number(leaf: NumberLeaf, found: Any) -> list[str]:
    if isinstance(found, list):
        return _texts(found)
    return [_plain(found) if leaf.kind == "number" else _instant(found)]


def _event(leaf: EventLeaf, found: float) -> list[str]:
    counted = _COUNTED.get(leaf.reduction)
    if counted is None:
        return [f"{leaf.reduction} {_plain(found)}"]
    return [f"{_plain(found)} {counted}" if found == 1 else f"{_plain(found)} {counted}s"]


def _cart(_: CartLeaf, found: Any) -> list[str]:
    if found["added_ms"] is None:
        return []
    values = [f"added to cart {_instant(found['added_ms'])}"]
    if found["bought_ms"] is not None:
        values.append(f"purchased {_instant(found['bought_ms'])}")
    return values


def _sequence(_: SequenceLeaf, found: Any) -> list[str]:
    return [
        f"step {place}: {count} {'event' if count == 1 else 'events'}"
        for place, count in enumerate(found["events_by_step"], 1)
    ]


def _place(leaf: PlaceLeaf, found: Any) -> list[str]:
    latitude, longitude = found["latitude"], found["longitude"]
    values = [f"{latitude}, {longitude}"]
    if isinstance(leaf.area, LocationWithin):
        away_m = distance_m(latitude, longitude, leaf.area.latitude, leaf.area.longitude)
        values.append(f"{round(away_m)} m away")
    return values


def _reference(_: ReferenceLeaf, found: Any) -> list[str]:
    both = (found["value"], found["other"])
    return [text for each in both if each != _NOTHING for text in _texts(each)]


def _texts(value: Any) -> list[str]:
    """Return a stored value; null and an empty list have to be told from none."""
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)] or ["empty list"]
    return ["null" if value is None else str(value)]


def _plain(number: float) -> str:
    return str(int(number)) if number.is_integer() else repr(number)


def _instant(at_ms: float) -> str:
    try:
        moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):  # a year that no calendar has
        return _plain(float(at_ms))
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(at_ms) % 1000:03d}Z"


_TEXTS: dict[type, Callable[[Any, Any], list[str]]] = {
    CodedLeaf: _coded,
    NumberLeaf: _number,
    EventLeaf: _event,
    CartLeaf: _cart,
    SequenceLeaf: _sequence,
    PlaceLeaf: _place,
    ReferenceLeaf: _reference,
}
