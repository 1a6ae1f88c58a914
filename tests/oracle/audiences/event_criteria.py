"""Criteria on events (spec/audiences.md, 3.1)."""

import math
from collections.abc import Iterable
from collections.abc import Sequence as Several
from fractions import Fraction

from actors.audiences.criteria import (
    Aggregate,
    CartAbandonment,
    Condition,
    EventCriterion,
    EventFilter,
    Frequency,
    Sequence,
    Step,
    Where,
)
from tests.oracle.audiences.value_tests import holds
from tests.oracle.audiences.windows import Now, is_within, period
from tests.oracle.events import (
    Row,
    SeenEvent,
    commerce_action,
    custom_attribute,
    event_field,
    rows,
)
from tests.oracle.texts import MISSING, Stored, folded, number

MOST_DISTINCT = 10_000


def event_holds(criterion: EventCriterion, events: Several[SeenEvent], now: Now) -> bool:
    """Evaluate `event` over the events inside the lookback."""
    found: list[tuple[SeenEvent, list[Row]]] = []
    for seen in events:
        if is_within(criterion.recency, seen.t_ms, now):
            matching = matching_rows(criterion.filter, seen, now)
            if matching:
                found.append((seen, matching))
    if not _count_holds(criterion.frequency, found):
        return False
    if criterion.aggregate is None:
        return True
    value = aggregate(criterion.aggregate, [row for _, each in found for row in each])
    if value is None:
        return False
    # The test is of the number itself, not of a text that might round it.
    test = criterion.aggregate.test
    return holds(test, repr(value), now, _no_reference)


def matching_rows(wanted: EventFilter, seen: SeenEvent, now: Now) -> list[Row]:
    """Return the rows by which an event matches; none if it does not."""
    event = seen.event
    if not _is_of_type(wanted.event_type, seen) or not _is_through(wanted, seen):
        return []
    if wanted.event_names:
        member = "screen_name" if event.event_type == "screen_view" else "event_name"
        if event.get(member) not in wanted.event_names:
            return []
    if (
        wanted.custom_event_types
        and event.get("custom_event_type") not in wanted.custom_event_types
    ):
        return []
    if wanted.commerce_actions and commerce_action(event) not in wanted.commerce_actions:
        return []
    if wanted.where is None:
        return rows(seen)
    return [row for row in rows(seen) if _where_holds(wanted.where, row, now)]


def aggregate(wanted: Aggregate, matching: Several[Row]) -> float | None:
    """Return the number made of the matching rows; `None` if no row has a usable value."""
    values = [
        (row, value)
        for row in matching
        if isinstance(value := row.value(wanted.attribute_category, wanted.attribute_name), str)
    ]
    if wanted.function == "unique_values_count":
        distinct = {value for _, value in values}
        return float(min(len(distinct), MOST_DISTINCT)) if distinct else None
    is_weighted = wanted.use_product_quantity and wanted.attribute_category == "product_attribute"
    if wanted.function in ("min", "max"):
        is_weighted = False
    numbers = [
        (weight, found)
        for row, value in values
        if (found := number(value)) is not None
        if (weight := row.weight if is_weighted else 1.0) > 0
    ]
    if not numbers:
        return None
    match wanted.function:
        case "min":
            return min(found for _, found in numbers)
        case "max":
            return max(found for _, found in numbers)
    total = _added(weight * found for weight, found in numbers)
    if wanted.function == "sum":
        return total
    return total / _added(weight for weight, _ in numbers)


def _added(terms: Iterable[float]) -> float:
    """Add, and round once; a sum that no double is as large as is infinite."""
    known = list(terms)
    if not all(map(math.isfinite, known)):
        return sum(known)
    exact = sum(map(Fraction, known))
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def cart_abandonment_holds(
    criterion: CartAbandonment, events: Several[SeenEvent], now: Now
) -> bool:
    """Evaluate `cart_abandonment`."""
    added = [
        seen.t_ms
        for seen in events
        if is_within(criterion.recency, seen.t_ms, now)
        and commerce_action(seen.event) == "add_to_cart"
        and matching_rows(criterion.filter, seen, now)
    ]
    if not added:
        return False
    is_bought = any(
        commerce_action(seen.event) == "purchase"
        and seen.t_ms >= max(added)
        and _is_through(criterion.filter, seen)
        for seen in events
    )
    return not is_bought and now - max(added) >= criterion.wait_ms


def sequence_holds(criterion: Sequence, events: Several[SeenEvent], now: Now) -> bool:
    """Evaluate `sequence`: follow all chains, of which only the last event matters."""
    first, *others = criterion.steps
    ends = [
        seen
        for seen in events
        if is_within(criterion.recency, seen.t_ms, now) and matching_rows(first.filter, seen, now)
    ]
    for step in others:
        if step.is_absent:
            return any(_stays_without(step, end, events, now) for end in ends)
        ends = [
            seen
            for seen in events
            if matching_rows(step.filter, seen, now)
            and any(seen.place > end.place and _relates(step, end, seen) for end in ends)
        ]
    return bool(ends)


def _stays_without(step: Step, end: SeenEvent, events: Several[SeenEvent], now: Now) -> bool:
    assert step.within_ms is not None, "the language demands it"
    if not now > end.t_ms + step.within_ms:
        return False
    return not any(
        seen.t_ms > end.t_ms
        and _relates(step, end, seen)
        and bool(matching_rows(step.filter, seen, now))
        for seen in events
    )


def _relates(step: Step, before: SeenEvent, seen: SeenEvent) -> bool:
    """Tell whether an event is near enough to the one before, and the same in what is asked."""
    if step.within_ms is not None and seen.t_ms - before.t_ms > step.within_ms:
        return False
    for name in step.same:
        values = [_same_value(each, name) for each in (before, seen)]
        if not all(isinstance(value, str) for value in values):
            return False
        if folded(str(values[0])) != folded(str(values[1])):
            return False
    return True


def _same_value(seen: SeenEvent, name: str) -> Stored:
    if name == "session_id":
        return MISSING if seen.session_id is None else str(seen.session_id)
    custom = custom_attribute(seen.event.get("custom_attributes"), name)
    return event_field(seen, name) if custom is MISSING else custom


def _is_through(wanted: EventFilter, seen: SeenEvent) -> bool:
    return wanted.inputs is None or seen.stored.input in wanted.inputs


def _is_of_type(event_type: str, seen: SeenEvent) -> bool:
    event = seen.event
    is_transition = event.event_type == "application_state_transition"
    match event_type:
        case "any":
            return True
        case "install":
            is_first = is_transition and event.get("is_first_run") is True
            return is_first or event.event_type == "first_run"
        case "upgrade":
            return is_transition and event.get("is_upgrade") is True
    return event.event_type == event_type


def _where_holds(where: Where, row: Row, now: Now) -> bool:
    if isinstance(where, Condition):
        value = row.value(where.attribute_category, where.attribute_name)
        return holds(where.test, value, now, _no_reference)
    results = [_where_holds(node, row, now) for node in where.nodes]
    match where.op:
        case "and":
            return all(results)
        case "or":
            return any(results)
        case "not":
            return not results[0]


def _count_holds(frequency: Frequency, found: Several[tuple[SeenEvent, list[Row]]]) -> bool:
    count: float
    match frequency.of:
        case "events":
            count = len(found)
        case "days":
            count = len({period("day", 0, seen.t_ms) for seen, _ in found})
        case "sessions":
            count = len({seen.session_id for seen, _ in found} - {None})
        case "quantity":
            products = [row for _, each in found for row in each if row.product is not None]
            count = _added(row.weight for row in products)
    match frequency.operator:
        case "equals":
            return count == frequency.value
        case "not_equals":
            return count != frequency.value
        case "greater_than":
            return count > frequency.value
        case "greater_or_equal":
            return count >= frequency.value
        case "less_than":
            return count < frequency.value
        case "less_than_or_equal":
            return count <= frequency.value
        case "between":
            return frequency.min_value <= count <= frequency.max_value


def _no_reference(_: object) -> Stored:
    raise AssertionError("conditions of events refer to no other attribute")
