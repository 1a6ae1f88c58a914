"""Whether a row of an event satisfies a `where` tree (spec/audiences.md, 3.1, row rule)."""

from collections.abc import Callable

from actors.audiences.criteria import Condition, EventCategory, Where
from actors.audiences.event_rows import Reader, Row, reader
from actors.audiences.predicates import is_timed, timed_predicate

RowPredicate = Callable[[Row, int], bool]  # of a row and now, in ms
ReaderOf = Callable[[EventCategory, str], Reader]


def row_predicate(where: Where, reader_of: ReaderOf = reader) -> RowPredicate:
    """Compile a tree of conditions, for any now.

    Args:
        where: conditions that are to hold on one and the same row.
        reader_of: how an attribute is taken from a row, by category and name.
    """
    if isinstance(where, Condition):
        read = reader_of(where.attribute_category, where.attribute_name)
        holds = timed_predicate(where.test)
        return lambda row, now_ms: holds(read(row), now_ms)
    nodes = [row_predicate(node, reader_of) for node in where.nodes]
    if where.op == "not":
        (node,) = nodes
        return lambda row, now_ms: not node(row, now_ms)
    quantifier = all if where.op == "and" else any
    return lambda row, now_ms: quantifier(node(row, now_ms) for node in nodes)


def is_timed_where(where: Where) -> bool:
    """Tell whether what a tree says of a row can change with time alone."""
    if isinstance(where, Condition):
        return is_timed(where.test)
    return any(is_timed_where(node) for node in where.nodes)
