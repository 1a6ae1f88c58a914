"""Whether rows of events satisfy `where` trees, remembered by value (spec/audiences.md, 3.1)."""

from collections.abc import Callable

from actors.audiences.criteria import Condition, Test, Where
from actors.audiences.engine.spans_of_now import (
    ALWAYS,
    NEVER,
    Spans,
    complement,
    intersection,
    union,
)
from actors.audiences.event_rows import Row, reader
from actors.audiences.predicates import is_timed, predicate
from actors.audiences.values import MISSING, StoredValue, parse_date
from actors.audiences.windows import date_window

RowTest = Callable[[Row], bool]
RowSpans = Callable[[Row], Spans]

VALUES_KEPT = 4096  # of one condition: more than most attributes have, and little memory
_LENGTH_KEPT = 128  # characters: a value is whatever a sender likes


def is_short(value: StoredValue) -> bool:
    """Tell whether a value is worth the memory that remembering it takes."""
    return not isinstance(value, str) or len(value) <= _LENGTH_KEPT


def row_test(where: Where) -> RowTest:
    """Compile a tree that does not depend on now."""
    if isinstance(where, Condition):
        return _condition(where)
    nodes = [row_test(node) for node in where.nodes]
    if where.op == "not":
        (node,) = nodes
        return lambda row: not node(row)
    if where.op == "and":
        return lambda row: all(node(row) for node in nodes)
    return lambda row: any(node(row) for node in nodes)


def row_spans(where: Where) -> RowSpans:
    """Compile a tree that depends on now: when does a row satisfy it?"""
    if isinstance(where, Condition):
        if is_timed(where.test):
            return _timed(where)
        holds = _condition(where)
        return lambda row: ALWAYS if holds(row) else NEVER
    nodes = [row_spans(node) for node in where.nodes]
    if where.op == "not":
        (node,) = nodes
        return lambda row: complement(node(row))
    combine = intersection if where.op == "and" else union
    return lambda row: combine([node(row) for node in nodes])


def _condition(condition: Condition) -> RowTest:
    read = reader(condition.attribute_category, condition.attribute_name)
    holds = predicate(condition.test)
    known: dict[StoredValue, bool] = {}

    def test(row: Row) -> bool:
        value = read(row)
        if type(value) is list:
            return holds(value)
        found = known.get(value)
        if found is None:
            found = holds(value)
            if is_short(value):
                if len(known) >= VALUES_KEPT:
                    known.clear()
                known[value] = found
        return found

    return test


def _timed(condition: Condition) -> RowSpans:
    read = reader(condition.attribute_category, condition.attribute_name)
    spans_of = _spans_of(condition.test)

    def spans(row: Row) -> Spans:
        value = read(row)
        if value is MISSING or value is None:
            return NEVER
        texts = [value] if isinstance(value, str) else value
        instants = [instant for text in texts if (instant := parse_date(text)) is not None]
        return union([[spans_of(instant)] for instant in instants])

    return spans


def _spans_of(test: Test) -> Callable[[int], tuple[int, int]]:
    """Return when a date test holds of an instant."""
    window = date_window(test)
    always_first, always_last = ALWAYS[0]
    match test.operator:
        case "within_last":
            return lambda instant: (always_first, 2 * (instant - window.first_ms))
        case "older_than":
            return lambda instant: (2 * (instant - window.last_ms - 1) + 1, always_last)
        case "within_next":
            return lambda instant: (2 * (instant - window.last_ms), 2 * instant - 1)
    raise ValueError(f"{test.operator} does not depend on now")
