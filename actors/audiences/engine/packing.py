"""How the entries of a user are kept in the profile's record.

Records of 28 bytes, one after the other, little-endian: time (8), stream identity (8), value (8),
event (4). Entries that do not always count are followed by a record with the identity -1: the first
tick in place of the time, the last in place of the value. One with the identity -2 has a weight in
place of the value.
"""

import struct
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from actors.audiences.engine.arrays import FAR
from actors.audiences.engine.entries import Entry, Happened, bits_of
from actors.audiences.engine.segments import Columns

_RECORD = struct.Struct("<qqqI")
_COLUMNS = np.dtype([("t_ms", "<i8"), ("identity", "<i8"), ("value", "<i8"), ("event", "<u4")])
_SPAN = -1
_WEIGHT = -2

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


def pack_happened(happened: Iterable[Happened], identity_of: Callable[[int], int]) -> bytes:
    """Return as bytes, like `pack_entries`, the entries that events make in several streams."""
    pack = _RECORD.pack
    return b"".join(
        [
            pack(t_ms, identity_of(stream), 0, event)
            for t_ms, event, streams in happened
            for stream in streams
        ]
    )


def unpack_entries(packed: bytes, number_of: Callable[[int], int | None]) -> list[Entry]:
    """Return the entries of streams that have a number; others are left out.

    Raises:
        struct.error: these are no whole records.
    """
    entries: list[Entry] = []
    is_known = False
    for t_ms, identity, value, event in _RECORD.iter_unpack(packed):
        if identity >= 0:
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
    identities, which = np.unique(records["identity"], return_inverse=True)
    known = (number_of(each) if each >= 0 else None for each in identities.tolist())
    numbers = np.array([-1 if each is None else each for each in known], np.int32)
    is_special = np.zeros(len(packed), np.bool_)
    is_special[place[records["identity"] < 0]] = True
    stream = numbers[which]
    stays = (stream >= 0) & ~is_special[place]
    columns: Columns = {
        "place": place[stays],
        "stream": stream[stays],
        "event": records["event"][stays].astype(np.int32),
        "t_ms": records["t_ms"][stays],
        "value": records["value"][stays],
    }
    return columns, np.flatnonzero(is_special).tolist()


def trim_entries(packed: bytes, since_ms: int) -> bytes:
    """Return packed entries without those that are older."""
    records = np.frombuffer(packed, _COLUMNS)
    is_entry = records["identity"] >= 0
    # What follows an entry goes with it.
    entry = np.maximum.accumulate(np.where(is_entry, np.arange(len(records)), 0))
    stays = (records["t_ms"] >= since_ms)[entry]
    return packed if stays.all() else records[stays].tobytes()
