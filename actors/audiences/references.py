"""What a definition refers to."""

from collections.abc import Iterator
from typing import Any

from actors.audiences.catalog import Catalog
from actors.audiences.criteria import (
    AudienceMembership,
    CalculatedAttribute,
    CartAbandonment,
    EventCriterion,
    EventFilter,
    Named,
    Node,
    Prediction,
    SegmentMembership,
    Sequence,
)

PERSONALIZE = "personalize"
# Whose events are named by something of their own; all others go by their type (spec/rules.md, 8).
_NAMES_OF = {
    "custom_event": "event_names",
    "screen_view": "event_names",
    "commerce_event": "commerce_actions",
}


def criteria(node: Node) -> Iterator[Named]:
    """Yield the criteria of a definition in the order of the document."""
    if isinstance(node, Named):
        yield node
    else:
        for each in node.nodes:
            yield from criteria(each)


def audiences(node: Node) -> list[int]:
    """Return the audiences whose members a definition asks for, each once."""
    found = (each.criterion for each in criteria(node))
    return list(
        dict.fromkeys(each.audience for each in found if isinstance(each, AudienceMembership))
    )


def calculated_attributes(node: Node) -> set[int]:
    """Return the numbers of the calculated attributes that a definition tests."""
    found = (each.criterion for each in criteria(node))
    return {each.calculated_attribute for each in found if isinstance(each, CalculatedAttribute)}


def predictions(node: Node) -> list[str]:
    """Return the predictions that a definition tests."""
    found = (each.criterion for each in criteria(node))
    return [each.prediction for each in found if isinstance(each, Prediction)]


def segments(node: Node) -> list[str]:
    """Return the segments whose members a definition asks for."""
    found = (each.criterion for each in criteria(node))
    return [each.segment for each in found if isinstance(each, SegmentMembership)]


def not_personalized(node: Node, catalog: Catalog) -> list[str]:
    """Return the names of events that a definition tests although their tier hides them from it."""
    names: dict[str, None] = {}
    for filter_ in _filters(node):
        for name in _names(filter_):
            if catalog.tiers.get(name, catalog.default_tier) != PERSONALIZE:
                names[name] = None
    return list(names)


def pointers(sent: Any, key: str, values: set[Any], at: str = "") -> Iterator[str]:
    """Yield JSON pointers of the places where a key has one of some values."""
    if isinstance(sent, dict):
        for name, value in sent.items():
            place = f"{at}/{name.replace('~', '~0').replace('/', '~1')}"
            if name == key and isinstance(value, int | str) and value in values:
                yield place
            yield from pointers(value, key, values, place)
    elif isinstance(sent, list):
        for index, value in enumerate(sent):
            yield from pointers(value, key, values, f"{at}/{index}")


def _filters(node: Node) -> Iterator[EventFilter]:
    for named in criteria(node):
        match named.criterion:
            case EventCriterion():
                yield named.criterion.filter
            case CartAbandonment():
                yield named.criterion.filter
                yield EventFilter("commerce_event", commerce_actions=("purchase",))
            case Sequence():
                yield from (step.filter for step in named.criterion.steps)
            case _:
                continue


def _names(filter_: EventFilter) -> tuple[str, ...]:
    """Return what the events of a filter are called; what can be called anything goes by its type,
    for which the default tier holds."""
    member = _NAMES_OF.get(filter_.event_type)
    found: tuple[str, ...] = () if member is None else getattr(filter_, member)
    return found or (filter_.event_type,)
