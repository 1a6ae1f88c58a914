"""Entries as columns: how they are made of single ones, their order, and where runs begin."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from actors.audiences.engine.arrays import FAR, Codes, Ints, Places
from actors.audiences.engine.segments import Columns, Types

PLAIN: Types = {"stream": np.int32, "event": np.int32, "t_ms": np.int64}
VALUES: Types = {"value": np.int64}
WIDE: Types = {**PLAIN, **VALUES, "first": np.int64, "last": np.int64, "weight": np.float64}
_BITS = 63

_Fields = tuple[Any, ...]


def plain_columns(
    entries: list[_Fields], events: Sequence[tuple[int, int, tuple[int, ...]]], places: Places
) -> Columns:
    """Return entries, and then those that events make, as columns.

    Args:
        entries: the place of the row and the fields of `Entry`, each.
        events: the fields of `Happened`, each.
        places: the places of the rows that have those events.
    """
    parts: list[Columns] = []
    if entries:
        place, stream, t_ms, event, value, *_ = zip(*entries, strict=True)
        parts.append(
            {
                "place": np.array(place, np.int64),
                "stream": np.array(stream, np.int32),
                "event": np.array(event, np.int32),
                "t_ms": np.array(t_ms, np.int64),
                "value": np.array(value, np.int64),
            }
        )
    if events:
        t_ms, event, streams = zip(*events, strict=True)
        counts = np.fromiter(map(len, streams), np.int64, len(streams))
        total = int(counts.sum())
        parts.append(
            {
                "place": places.repeat(counts),
                "stream": np.fromiter(chain.from_iterable(streams), np.int32, total),
                "event": np.array(event, np.int32).repeat(counts),
                "t_ms": np.array(t_ms, np.int64).repeat(counts),
                "value": np.zeros(total, np.int64),
            }
        )
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def wide_columns(entries: list[_Fields], which: Places) -> Columns:
    """Return some of the entries with all columns."""
    place, stream, t_ms, event, value, weight, first, last = zip(
        *(entries[at] for at in which.tolist()), strict=True
    )
    return {
        "place": np.array(place, np.int64),
        "stream": np.array(stream, np.int32),
        "event": np.array(event, np.int32),
        "t_ms": np.array(t_ms, np.int64),
        "value": np.array(value, np.int64),
        "weight": np.array(weight, np.float64),
        "first": np.array(first, np.int64),
        "last": np.array(last, np.int64),
    }


def order_of(place: Ints, columns: Columns) -> Places:
    """Return the order (place, stream, time); what is equal in these is in order of event."""
    if not len(place):
        return np.zeros(0, np.intp)
    stream, t_ms = columns["stream"].astype(np.int64), columns["t_ms"]
    run = place * (int(stream.max()) + 1) + stream
    earliest = int(t_ms.min())
    bits = (int(t_ms.max()) - earliest).bit_length()
    if int(run.max()).bit_length() + bits <= _BITS:
        sort_by: Ints = (run << bits) | (t_ms - earliest)
        return sort_by.argsort(kind="stable")
    return np.lexsort((t_ms, run))


def run_starts(place: Ints, stream: Codes) -> Ints:
    """Return where the entries of another row or stream begin."""
    if not len(place):
        return np.zeros(0, np.int64)
    is_start = np.empty(len(place), np.bool_)
    is_start[0] = True
    np.not_equal(place[1:], place[:-1], out=is_start[1:])
    is_start[1:] |= stream[1:] != stream[:-1]
    return is_start.nonzero()[0]


def coming_changes(place: Ints, wide: Columns, now: Ints) -> tuple[Ints, Codes, Ints]:
    """Return when entries begin or cease to count, each next time."""
    first, last = wide["first"], wide["last"]
    ticks = np.where(first > now, first, np.where((last >= now) & (last < FAR), last + 1, FAR))
    coming = (ticks < FAR).nonzero()[0]
    return place[coming], wide["stream"][coming].astype(np.int32), ticks[coming]
