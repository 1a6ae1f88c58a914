"""Values made of many events, compared with a number (spec/audiences.md, 14.1)."""

from actors.audiences.language.members import Json, is_number
from actors.audiences.language.problems import pointer
from actors.audiences.language.sdk.comparisons import Comparison
from actors.audiences.language.sdk.events import EventMembers, attribute_of
from actors.audiences.language.sdk.operands import Aggregation, Literal, NotTranslatable

_FUNCTIONS = {"sum": "sum", "min": "min", "max": "max", "avg": "average"}

# Members that every event has: how many there are is how many events there are.
_EVERY = ("event_id", "timestamp", "event_type")


def aggregation_criterion(comparison: Comparison, left: Aggregation) -> Json:
    """Return the event criterion that compares an aggregation.

    Raises:
        NotTranslatable: there is none.
    """
    found = EventMembers(left.place)
    if left.condition is not None:
        found.add_expression(left.condition, left.condition_place)
    if left.operator == "list":
        _add_value(found, comparison, left)
        return found.to_criterion()
    operator = comparison.scalar_operator
    number = _number(comparison)
    if left.operator == "count":
        if left.operand.path not in _EVERY:
            raise NotTranslatable(
                pointer(left.operand.place, "path"), f"must be one of {', '.join(_EVERY)}."
            )
        return found.to_criterion() | {"frequency": {"operator": operator, "value": number}}
    aggregate = {
        "function": _FUNCTIONS[left.operator],
        **attribute_of(left.operand),
        "operator": operator,
        "value": number,
    }
    return found.to_criterion() | {"aggregate": aggregate}


def _add_value(found: EventMembers, comparison: Comparison, left: Aggregation) -> None:
    """Add that the value is the one looked for: the list of all values contains it."""
    if comparison.operator != "contains":
        place = pointer(comparison.place, "operator")
        raise NotTranslatable(place, "must be contains: a list is looked into.")
    found.add(Comparison(comparison.place, "equals", left.operand, comparison.right))


def _number(comparison: Comparison) -> int | float:
    right = comparison.right
    if isinstance(right, Literal) and is_number(right.value):
        value: int | float = right.value
        return int(value) if isinstance(value, float) and value.is_integer() else value
    place = comparison.place if right is None else right.place
    raise NotTranslatable(place, "must be a number.")
