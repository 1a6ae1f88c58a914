"""How the entries of a user are kept in the profile's record.

Records of 28 bytes, one after the other, little-endian: time (8), stream identity (8), value (8),
event (4). Entries that do not always count are followed by a record with the identity -1: the first
tick in place of the time, the last in place of the value. One with the identity -2 has a weight in
place of the value.

The entries of value 0 that one event makes in several streams are one record with the identity -3,
and how many streams there are in place of the value. The identities of the streams follow, three to
a record: the complement of one in the identity's place, the others in those of time and value.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from actors.audiences.engine.arrays import FAR, ranges
from actors.audiences.engine.entries import Entry, Happened, bits_of
from actors.audiences.engine.segments import Columns

_RECORD = struct.Struct("<qqqI")
_COLUMNS = np.dtype([("t_ms", "<i8"), ("identity", "<i8"), ("value", "<i8"), ("event", "<u4")])
_SPAN = -1
_WEIGHT = -2
_SEVERAL = -3
_LISTS_KEPT = 4096
_LEAST_LISTED = 16  # lesser identities are not listed: their complements are kept for marks

_double = struct.Struct("<d")
_integer = struct.Struct("<q")


def pack_entries(entries: Iterable[Entry], identity_of: Callable[[int], int]) -> bytes:
    """Return entries as bytes; bytes of several calls may be joined."""
    packed = []
    for entry in entries:
        packed.append(_RECORD.pack(entry.t_ms, identity_of(entry.stream), entry.value, entry.event))
        if entry.first != -FAR or entry.last != FAR:
            packed.append(_RECORD.pack(entry.first, _SPAN, entry.last, entry.event))
        if entry.weight != 1.0:
            packed.append(_RECORD.pack(0, _WEIGHT, bits_of(entry.weight), entry.event))
    return b"".join(packed)


class HappenedPacker:
    """Packs what events make in several streams; the same sets of streams come again and again.

    `identity_of` never gives a number another identity.
    """

    def __init__(self, identity_of: Callable[[int], int]) -> None:
        self._identity_of = identity_of
        self._lists: dict[tuple[int, ...], bytes | None] = {}

    def pack(self, happened: Iterable[Happened]) -> bytes:
        """Return the entries as bytes, to be joined as those of `pack_entries`."""
        packed = b""
        for t_ms, event, streams in happened:
            try:
                listed = self._lists[streams]
            except KeyError:
                listed = self._listed(streams)
            if listed is None:
                packed += pack_entries(
                    (Entry(stream, t_ms, event, 0) for stream in streams), self._identity_of
                )
            else:
                packed += _RECORD.pack(t_ms, _SEVERAL, len(streams), event) + listed
        return packed

    def _listed(self, streams: tuple[int, ...]) -> bytes | None:
        """Return the records with the identities; `None` where they are not worth their while."""
        found = [self._identity_of(stream) for stream in streams]
        listed = None
        if len(found) > 1 and min(found) >= _LEAST_LISTED:
            threes = [[*found[at : at + 3], 0, 0][:3] for at in range(0, len(found), 3)]
            listed = b"".join([_RECORD.pack(b, ~a, c, 0) for a, b, c in threes])
        if len(self._lists) >= _LISTS_KEPT:
            self._lists.clear()
        self._lists[streams] = listed
        return listed


def unpack_entries(packed: bytes, number_of: Callable[[int], int | None]) -> list[Entry]:
    """Return the entries of streams that have a number; others are left out.

    Raises:
        struct.error: these are no whole records.
    """
    entries: list[Entry] = []
    is_known = False
    records = _RECORD.iter_unpack(packed)
    for t_ms, identity, value, event in records:
        if identity == _SEVERAL:
            numbers = [number_of(each) for each in _identities(records, value)]
            entries += [Entry(each, t_ms, event, 0) for each in numbers if each is not None]
        elif identity >= 0:
            number = number_of(identity)
            is_known = number is not None
            if number is not None:
                entries.append(Entry(number, t_ms, event, value))
        elif is_known:
            last = entries[-1]
            if identity == _SPAN:
                entries[-1] = Entry(
                    last.stream, last.t_ms, event, last.value, last.weight, t_ms, value
                )
            else:
                (weight,) = _double.unpack(_integer.pack(value))
                entries[-1] = Entry(
                    last.stream, last.t_ms, event, last.value, weight, last.first, last.last
                )
    return entries


def _identities(records: Iterator[tuple[int, int, int, int]], count: int) -> list[int]:
    """Take the records that list so many identities. Raises struct.error: there are fewer."""
    listed: list[int] = []
    for second, complement, third, _ in islice(records, -(-count // 3)):
        listed += (~complement, second, third)
    if len(listed) < count:
        raise struct.error("a record does not list what it says")
    return listed[:count]


def unpack_many(
    packed: Sequence[bytes], number_of: Callable[[int], int | None]
) -> tuple[Columns, list[int]]:
    """Return the entries of many users at once, as `unpack_entries` does of one.

    Returns:
        The columns `place` (whose of `packed`), `stream`, `event`, `t_ms` and `value`; and the
        places of those who are left out, as not all of their entries always count and weigh 1.

    Raises:
        struct.error: these are no whole records.
    """
    lengths = np.fromiter(map(len, packed), np.int64, len(packed))
    if (lengths % _RECORD.size).any():
        raise struct.error("these are no whole records")
    records = np.frombuffer(b"".join(packed), _COLUMNS)
    place = np.repeat(np.arange(len(packed)), lengths // _RECORD.size)
    marks = records["identity"]
    is_special = np.zeros(len(packed), np.bool_)
    is_special[place[(marks == _SPAN) | (marks == _WEIGHT)]] = True
    is_several = marks == _SEVERAL
    makes = np.where(is_several, records["value"], marks >= 0)
    at = np.repeat(np.arange(len(records)), makes)
    if (marks < -_LEAST_LISTED).sum() != (-(-makes[is_several] // 3)).sum():
        raise struct.error("a record does not list what it says")
    listed = np.stack([~marks, records["t_ms"], records["value"]], axis=1).reshape(-1)
    of_several = is_several[at]
    several = np.flatnonzero(is_several)
    identity = marks[at]
    identity[of_several] = listed[ranges(3 * (several + 1), makes[several])]
    identities, which = np.unique(identity, return_inverse=True)
    known = map(number_of, identities.tolist())
    numbers = np.array([-1 if each is None else each for each in known], np.int32)
    stream = numbers[which]
    stays = (stream >= 0) & ~is_special[place[at]]
    kept = at[stays]
    columns: Columns = {
        "place": place[kept],
        "stream": stream[stays],
        "event": records["event"][kept].astype(np.int32),
        "t_ms": records["t_ms"][kept],
        "value": np.where(is_several[kept], 0, records["value"][kept]),
    }
    return columns, np.flatnonzero(is_special).tolist()


def trim_entries(packed: bytes, since_ms: int) -> bytes:
    """Return packed entries without those that are older."""
    records = np.frombuffer(packed, _COLUMNS)
    is_entry = (records["identity"] >= 0) | (records["identity"] == _SEVERAL)
    # What follows an entry goes with it.
    entry = np.maximum.accumulate(np.where(is_entry, np.arange(len(records)), 0))
    stays = (records["t_ms"] >= since_ms)[entry]
    return packed if stays.all() else records[stays].tobytes()
