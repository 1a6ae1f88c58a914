"""The entries of all streams, by row: what came, what is kept, and how it is read.

The entries of a row lie in the order (stream, time, event), so that what a stream has of a row is
one run in order of time. New entries wait until somebody reads; then those of all rows are merged
in at once.
"""

import struct
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from msgspec.structs import astuple

from actors.audiences.engine.arrays import FAR, Bools, Codes, Floats, Ints, Places, grown
from actors.audiences.engine.entry_columns import (
    PLAIN,
    VALUES,
    WIDE,
    coming_changes,
    order_of,
    plain_columns,
    run_starts,
    wide_columns,
)
from actors.audiences.engine.growing import Growing
from actors.audiences.engine.segments import Columns, SegmentStore

_MOST_WAITING = 4096  # rows: entries that wait take ten times as much memory as others

_double = struct.Struct("<d")
_integer = struct.Struct("<q")


def bits_of(number: float) -> int:
    """Return the bits of a double as an integer: how a number is kept in an entry."""
    bits: int = _integer.unpack(_double.pack(number))[0]
    return bits


class Entry(Struct, array_like=True, frozen=True, gc=False):
    """One entry of a stream.

    Attributes:
        stream: its number.
        t_ms: event time.
        event: counts the events of one user; entries of one event have the same.
        value: as the stream takes it; a number as `bits_of`; 0 if it takes none.
        weight: of a stream that takes weights.
        first, last: the ticks of evaluation at which it counts.
    """

    stream: int
    t_ms: int
    event: int
    value: int
    weight: float = 1.0
    first: int = -FAR
    last: int = FAR


class Happened(NamedTuple):
    """Entries of value 0 that one event makes in several streams, each once."""

    t_ms: int
    event: int
    streams: tuple[int, ...]


class Entries(Struct, frozen=True):
    """The entries of some rows, in the order (row, stream, time, event).

    Attributes:
        place: which of the rows asked for.
        weight: `None` where all are 1.
        changes: (place, stream, tick) of entries that begin or cease to count by themselves.
        run_start: where the entries of another row or stream begin.
    """

    place: Ints
    stream: Codes
    event: Codes
    t_ms: Ints
    value: Ints
    weight: Floats | None
    changes: tuple[Ints, Codes, Ints]
    run_start: Ints

    @property
    def number(self) -> Floats:
        """The values of streams of numbers."""
        return self.value.view(np.float64)


class EntryStore:
    """Entries of all rows.

    `wide` streams have their own segments, with more columns. So have the values of the others, as
    most streams take none: those of a row lie in the order of the entries that have one.
    """

    def __init__(self) -> None:
        self._plain = SegmentStore(PLAIN)
        self._values = SegmentStore(VALUES)
        self._wide = SegmentStore(WIDE)
        self._is_wide: Bools = np.zeros(0, np.bool_)  # by stream
        self._has_values: Bools = np.zeros(0, np.bool_)
        self._is_kept: Bools = np.zeros(0, np.bool_)
        self._waiting: dict[int, list[Entry]] = {}
        self._happened: dict[int, list[Happened]] = {}  # waiting too
        self._next_event = Growing(np.int32)
        # What was merged in last, as it is read next: nearly always those rows are evaluated.
        self._fresh: tuple[Ints, Ints, Columns] | None = None

    @property
    def nbytes(self) -> int:
        """The bytes of all arrays."""
        stores = (self._plain, self._values, self._wide)
        return sum(store.nbytes for store in stores) + self._next_event.nbytes

    @property
    def total(self) -> int:
        """How many entries there are."""
        return self._plain.total + self._wide.total

    @property
    def entry_bytes(self) -> int:
        """The bytes of one plain entry without a value."""
        return self._plain.entry_bytes

    @property
    def value_bytes(self) -> int:
        """The bytes of the value of a plain entry."""
        return self._values.entry_bytes

    @property
    def wide_entry_bytes(self) -> int:
        """The bytes of one entry of a wide stream."""
        return self._wide.entry_bytes

    def know_stream(self, number: int, *, is_wide: bool, has_values: bool) -> None:
        """Keep the entries of a stream from now on; its number was never used before."""
        if number >= len(self._is_kept):
            size = 2 * number + 64
            self._is_kept = grown(self._is_kept, size, 0)
            self._is_wide = grown(self._is_wide, size, 0)
            self._has_values = grown(self._has_values, size, 0)
        self._is_kept[number] = True
        self._is_wide[number] = is_wide
        self._has_values[number] = has_values

    def forget_stream(self, number: int) -> None:
        """Keep the entries of a stream no longer; rows lose them when they are next written."""
        self._is_kept[number] = False

    def know(self, rows: int) -> None:
        """Make room for rows."""
        self._next_event.grow(rows)

    def next_event(self, row: int) -> int:
        """Return the number of the row's next event."""
        return int(self._next_event.array[row])

    def add(self, row: int, entries: Iterable[Entry]) -> None:
        """Add entries of later events than the row has."""
        came = list(entries)
        if came:
            self._waiting.setdefault(row, []).extend(came)
            self._note_event(row, max(entry.event for entry in came))

    def add_happened(self, row: int, happened: Sequence[Happened]) -> None:
        """Add what later events make, one at least, in their order."""
        self._happened.setdefault(row, []).extend(happened)
        self._note_event(row, happened[-1].event)

    def _note_event(self, row: int, event: int) -> None:
        self._next_event.array[row] = max(int(self._next_event.array[row]), event + 1)
        if len(self._waiting) + len(self._happened) > _MOST_WAITING:
            self.merge(-FAR)

    def add_columns(self, rows: Places, came: Columns, since_ms: int) -> None:
        """Add entries to rows that have none, except those that are older than `since_ms`.

        Args:
            rows: each once.
            came: `place` (which of the rows), `stream`, `event`, `t_ms` and `value`; they always
                count, and weigh 1.
            since_ms: see above.
        """
        np.maximum.at(self._next_event.array, rows[came["place"]], came["event"] + 1)
        of_wide = self._is_wide[came["stream"]]
        if of_wide.any():
            wide = {name: column[of_wide] for name, column in came.items()}
            for name, always in (("first", -FAR), ("last", FAR), ("weight", 1.0)):
                wide[name] = np.full(len(wide["place"]), always, WIDE[name])
            self._merge_wide(rows, wide, since_ms)
            came = {name: column[~of_wide] for name, column in came.items()}
        self._merge_plain(rows, came, since_ms)

    def replace(self, row: int, entries: Iterable[Entry]) -> None:
        """Let a row have these entries alone."""
        self.clear(row)
        self.add(row, entries)

    def clear(self, row: int) -> None:
        """Let a row have no entries."""
        self._waiting.pop(row, None)
        self._happened.pop(row, None)
        self._fresh = None
        for store in (self._plain, self._values, self._wide):
            store.clear(row)
        self._next_event.array[row] = 0

    def merge(self, since_ms: int) -> None:
        """Merge in what waits; the rows concerned lose what is older than `since_ms`."""
        waiting, self._waiting = self._waiting, {}
        happened, self._happened = self._happened, {}
        place_of = {row: at for at, row in enumerate(sorted({*waiting, *happened}))}
        rows = np.fromiter(place_of, np.int64, len(place_of))
        entries = [(place_of[row], *astuple(one)) for row, some in waiting.items() for one in some]
        events = list(chain.from_iterable(happened.values()))
        counts = np.fromiter(map(len, happened.values()), np.int64, len(happened))
        event_places = np.fromiter(map(place_of.__getitem__, happened), np.int64).repeat(counts)
        if not (entries or events):
            return
        came = plain_columns(entries, events, event_places)
        if entries:
            of_wide = self._is_wide[came["stream"]]
            if of_wide.any():
                wide = wide_columns(entries, of_wide.nonzero()[0])
                self._merge_wide(rows, wide, since_ms)
                came = {name: column[~of_wide] for name, column in came.items()}
        self._merge_plain(rows, came, since_ms)

    def read(self, rows: Places, ticks: Ints) -> Entries:
        """Return the entries of rows.

        Args:
            rows: which.
            ticks: of evaluation, one for all or one for each of `rows`.
        """
        place, columns = self._read_plain(rows)
        nothing = np.zeros(0, np.int64)
        changes = (nothing, np.zeros(0, np.int32), nothing)
        weight: Floats | None = None
        if self._wide.total:
            of_wide, wide = self._wide.read(rows)
            if len(of_wide):
                now = ticks[of_wide] if len(ticks) > 1 else ticks
                first, last = wide["first"], wide["last"]
                changes = coming_changes(of_wide, wide, now)
                counts = ((first <= now) & (last >= now)).nonzero()[0]
                weight = np.concatenate([np.ones(len(place)), wide["weight"][counts]])
                place = np.concatenate([place, of_wide[counts]])
                columns = {
                    name: np.concatenate([column, wide[name][counts]])
                    for name, column in columns.items()
                }
                order = order_of(place, columns)
                place, weight = place[order], weight[order]
                columns = {name: column[order] for name, column in columns.items()}
        return Entries(
            place,
            columns["stream"],
            columns["event"],
            columns["t_ms"],
            columns["value"],
            weight,
            changes,
            run_starts(place, columns["stream"]),
        )

    def _read_plain(self, rows: Ints) -> tuple[Ints, Columns]:
        fresh, self._fresh = self._fresh, None
        if fresh is not None and np.array_equal(fresh[0], rows):
            return fresh[1:]
        place, columns = self._plain.read(rows)
        values = np.zeros(len(place), np.int64)
        if self._values.total:
            _, found = self._values.read(rows)
            values[self._has_values[columns["stream"]]] = found["value"]
        return place, {**columns, "value": values}

    def _merge_plain(self, rows: Ints, came: Columns, since_ms: int) -> None:
        places, columns = self._merged(*self._read_plain(rows), came, since_ms)
        values = columns["value"]
        plain = {name: columns[name] for name in PLAIN}
        self._plain.write(rows, _lengths(places, rows), plain)
        with_value = self._has_values[columns["stream"]]
        if self._values.total or with_value.any():
            lengths = _lengths(places[with_value], rows)
            self._values.write(rows, lengths, {"value": values[with_value]})
        self._fresh = rows, places, columns

    def _merge_wide(self, rows: Ints, came: Columns, since_ms: int) -> None:
        places, columns = self._merged(*self._wide.read(rows), came, since_ms)
        self._wide.write(rows, _lengths(places, rows), columns)

    def _merged(
        self, old_place: Ints, old: Columns, came: Columns, since_ms: int
    ) -> tuple[Ints, Columns]:
        """Return what there was and what came, in order, without what is kept no longer."""
        places = np.concatenate([old_place, came["place"]])
        columns = {name: np.concatenate([old[name], came[name]]) for name in old}
        stays = self._is_kept[columns["stream"]] & (columns["t_ms"] >= since_ms)
        if not stays.all():
            places = places[stays]
            columns = {name: column[stays] for name, column in columns.items()}
        order = order_of(places, columns)
        return places[order], {name: column[order] for name, column in columns.items()}


def _lengths(places: Ints, rows: Ints) -> Ints:
    """Return how many entries each of the rows has."""
    return np.bincount(places, minlength=len(rows)).astype(np.int64)
