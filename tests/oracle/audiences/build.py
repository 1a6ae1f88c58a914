"""Short ways to write criteria in tests."""

from typing import Any

from actors.audiences.criteria import (
    Condition,
    Criterion,
    EventCategory,
    EventCriterion,
    EventFilter,
    Frequency,
    Group,
    Named,
    Node,
    Recency,
    Test,
    UserAttribute,
    UserAttributeList,
    ValueType,
    Where,
)


def named(criterion: Criterion, name: str | None = None) -> Named:
    """Make a criterion a node."""
    return Named(criterion, name)


def passing(type_: ValueType, operator: str, value: Any = None, **operands: Any) -> Test:
    """Make a test; a list or tuple is `values`, any other number than a boolean a float."""
    if isinstance(value, list | tuple):
        return Test(type_, operator, values=tuple(_operand(each) for each in value), **operands)
    kept = {name: _operand(each) for name, each in operands.items()}
    return Test(type_, operator, value=_operand(value), **kept)


def attribute(name: str, type_: ValueType, operator: str, value: Any = None, **rest: Any) -> Named:
    """Make a criterion `user_attribute`."""
    return Named(UserAttribute(name, passing(type_, operator, value, **rest)))


def list_attribute(name: str, operator: str, value: Any = None) -> Named:
    """Make a criterion `user_attribute_list`."""
    return Named(UserAttributeList(name, passing("list", operator, value)))


def where(
    name: str,
    operator: str,
    value: Any = None,
    category: EventCategory = "event_attribute",
    type_: ValueType = "string",
) -> Condition:
    """Make a condition of an event's row."""
    return Condition(name, category, passing(type_, operator, value))


def event(
    of: EventFilter | str,
    recency: Recency | None = None,
    frequency: tuple[Any, ...] = ("greater_than", 0),
    **more: Any,
) -> Named:
    """Make a criterion `event`: of a filter, or of all custom events of a name.

    `frequency` is (operator, value) or ("between", least, most), and `of` after that if wanted.
    """
    wanted = EventFilter("custom_event", (of,)) if isinstance(of, str) else of
    operator, *operands = frequency
    unit: Any = operands.pop() if isinstance(operands[-1], str) else "events"
    if operator == "between":
        counted = Frequency(operator, min_value=operands[0], max_value=operands[1], of=unit)
    else:
        counted = Frequency(operator, operands[0], of=unit)
    return Named(EventCriterion(wanted, recency or Recency(), counted, **more))


def purchase(wanted: Where | None = None) -> EventFilter:
    """Make the filter of purchases with a row that is as wanted."""
    return EventFilter("commerce_event", commerce_actions=("purchase",), where=wanted)


def within_last(duration_ms: int) -> Recency:
    """Make the recency `within_last`."""
    return Recency("within_last", duration_ms=duration_ms)


def both(*nodes: Node) -> Group:
    """Make a group `and`."""
    return Group("and", nodes)


def either(*nodes: Node) -> Group:
    """Make a group `or`."""
    return Group("or", nodes)


def negated(node: Node) -> Group:
    """Make a group `not`."""
    return Group("not", (node,))


def exclude(*nodes: Node) -> Group:
    """Make a group `exclude`."""
    return Group("exclude", nodes)


def _operand(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else value
