"""What is made of the entries inside a window: counts, sums, distinct values.

Every function takes the entries, and cells that have at least one entry inside.
"""

from collections.abc import Callable
from math import fsum, nan
from typing import Literal

import numpy as np

from actors.audiences.engine.arrays import Floats, Ints
from actors.audiences.engine.cells import Cells
from actors.audiences.engine.entries import Entries
from actors.audiences.values import DAY_MS

Reduction = Literal["count", "days", "sessions", "sum", "min", "max", "average", "unique"]

# Where no entry is inside, these are 0; the others have no value.
COUNTS: frozenset[Reduction] = frozenset({"count", "days", "sessions"})

_SMALLER = 2.0**-64  # more values are never in one sum
_MOST_UNIQUE = 10_000  # spec/calculated-attributes.md, 2.2


def _starts(cells: Cells) -> Ints:
    return cells.count.cumsum() - cells.count


def _days(entries: Entries, cells: Cells) -> Floats:
    days = entries.t_ms[cells.inside()] // DAY_MS
    return _changes(days, _starts(cells))


def _distinct(entries: Entries, cells: Cells) -> Floats:
    values = entries.value[cells.inside()]
    cell = np.arange(len(cells.count)).repeat(cells.count)
    return _changes(values[np.lexsort((values, cell))], _starts(cells))


def _unique(entries: Entries, cells: Cells) -> Floats:
    return np.minimum(_distinct(entries, cells), _MOST_UNIQUE)


def _changes(values: Ints, starts: Ints) -> Floats:
    """Count the values, each run of equal ones once, of groups that begin at `starts`."""
    is_new = np.ones(len(values), np.bool_)
    is_new[1:] = values[1:] != values[:-1]
    is_new[starts] = True
    return np.add.reduceat(is_new, starts, dtype=np.float64)


def _sum(entries: Entries, cells: Cells) -> Floats:
    return _exact_sums(entries.number[cells.inside()], cells)


def _average(entries: Entries, cells: Cells) -> Floats:
    inside = cells.inside()
    total = _exact_sums(entries.number[inside], cells)
    if entries.weight is None:
        return total / cells.count
    return total / _exact_sums(entries.weight[inside], cells)


def _exact_sums(values: Floats, cells: Cells) -> Floats:
    """Sum each cell so that the result does not depend on the order.

    A sum of integers that are not large is exact as it is; any other is rounded once.
    """
    starts = _starts(cells)
    with np.errstate(over="ignore", invalid="ignore"):  # those are added again below
        sums = np.add.reduceat(values, starts)
    is_whole = np.logical_and.reduceat((values == np.rint(values)) & (abs(values) < 2**40), starts)
    for cell in (~is_whole & (cells.count > 1)).nonzero()[0].tolist():
        start = int(starts[cell])
        sums[cell] = _rounded_sum(values[start : start + int(cells.count[cell])].tolist())
    return sums


def _rounded_sum(values: list[float]) -> float:
    """Add, and round once; infinite where no double is as large, no number where both ends are."""
    try:
        return fsum(values)
    except OverflowError:  # on the way; the sum itself may be a double
        return fsum([value * _SMALLER for value in values]) / _SMALLER
    except ValueError:
        return nan


def _least(entries: Entries, cells: Cells) -> Floats:
    return np.minimum.reduceat(entries.number[cells.inside()], _starts(cells))


def _greatest(entries: Entries, cells: Cells) -> Floats:
    return np.maximum.reduceat(entries.number[cells.inside()], _starts(cells))


REDUCTIONS: dict[Reduction, Callable[[Entries, Cells], Floats]] = {
    "days": _days,
    "sessions": _distinct,
    "sum": _sum,
    "min": _least,
    "max": _greatest,
    "average": _average,
    "unique": _unique,
}


def reduce_cells(kinds: list[Reduction], of_series: Ints, entries: Entries, cells: Cells) -> Floats:
    """Return a value for every cell; NaN where there is none.

    Args:
        kinds: the reductions that occur.
        of_series: series to index into `kinds`.
    """
    values = cells.count.astype(np.float64)
    if kinds == ["count"]:
        return values
    kind_of = of_series[cells.series]
    has_some = cells.count > 0
    for kind, reduction in enumerate(kinds):
        if reduction == "count":
            continue
        is_kind = kind_of == kind
        some = (is_kind & has_some).nonzero()[0]
        if len(some):
            values[some] = REDUCTIONS[reduction](entries, cells.only(some))
        if reduction not in COUNTS:
            values[is_kind & ~has_some] = np.nan
    return values
