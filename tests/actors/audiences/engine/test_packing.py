"""Entries in a profile's record."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.audiences.engine.arrays import FAR
from actors.audiences.engine.entries import Entry, EntryStore, Happened
from actors.audiences.engine.packing import (
    HappenedPacker,
    pack_entries,
    trim_entries,
    unpack_entries,
    unpack_many,
)

times = st.integers(-(2**60), 2**60)
ticks = st.integers(-FAR, FAR)
entries = st.lists(
    st.builds(
        Entry,
        st.integers(0, 9),
        times,
        st.integers(0, 2**31 - 1),
        st.integers(-(2**63), 2**63 - 1),
        st.sampled_from([1.0, 0.5, 3.0]),
        ticks,
        ticks,
    ),
    max_size=20,
)


_FIELDS = ("stream", "t_ms", "event", "value")


def identity_of(stream: int) -> int:
    """Return what streams are called here."""
    return 1000 + stream


@given(entries, entries)
def test_what_is_joined_is_read_back(some: list[Entry], others: list[Entry]) -> None:
    """Bytes of several batches are one after the other."""
    packed = pack_entries(some, identity_of) + pack_entries(others, identity_of)
    assert unpack_entries(packed, lambda identity: identity - 1000) == some + others


@given(st.lists(entries, max_size=5))
def test_many_users_are_read_at_once_as_one_by_one(users: list[list[Entry]]) -> None:
    """Those with an entry that does not always count, or has a weight, are named instead."""
    known = {1000 + stream: stream for stream in range(7)}.get  # of ten
    packed = [pack_entries(each, identity_of) for each in users]
    columns, special = unpack_many(packed, known)
    for place, each in enumerate(users):
        plain = all((one.weight, one.first, one.last) == (1.0, -FAR, FAR) for one in each)
        assert (place in special) is not plain
        of_user = columns["place"] == place
        rows = zip(*(columns[name][of_user].tolist() for name in _FIELDS), strict=True)
        expected = unpack_entries(packed[place], known) if plain else []
        assert list(rows) == [(e.stream, e.t_ms, e.event, e.value) for e in expected]


def test_many_users_with_half_a_record_are_an_error() -> None:
    """As for one of them."""
    with pytest.raises(struct.error):
        unpack_many([b"", b"x" * 27], lambda identity: identity)


happenings = st.lists(
    st.builds(
        Happened,
        times,
        st.integers(0, 2**31 - 1),
        st.lists(st.integers(0, 9), min_size=1, unique=True).map(tuple),
    ),
    max_size=10,
)


def entries_of(happened: list[Happened]) -> list[Entry]:
    """Return what events make, one by one."""
    return [Entry(stream, each.t_ms, each.event, 0) for each in happened for stream in each.streams]


@given(entries, happenings, entries, st.sampled_from([0, 1000, 2**62]))
def test_what_events_make_in_several_streams_is_read_back_as_entries(
    some: list[Entry], happened: list[Happened], others: list[Entry], first: int
) -> None:
    """Also between others, and if identities are so small that they cannot be listed."""
    packed = (
        pack_entries(some, lambda stream: first + stream)
        + HappenedPacker(lambda stream: first + stream).pack(happened)
        + pack_entries(others, lambda stream: first + stream)
    )
    expected = [*some, *entries_of(happened), *others]
    assert unpack_entries(packed, lambda identity: identity - first) == expected
    odd = [each for each in expected if each.stream % 2]
    assert unpack_entries(packed, lambda each: each - first if each % 2 else None) == odd


@given(st.lists(happenings, max_size=5))
def test_what_events_of_many_users_make_is_read_at_once(users: list[list[Happened]]) -> None:
    """In the order in which it was packed."""
    packer = HappenedPacker(identity_of)
    known = {1000 + stream: stream for stream in range(7)}.get  # of ten
    columns, special = unpack_many([packer.pack(each) for each in users], known)
    assert special == []
    found = zip(*(columns[name].tolist() for name in ("place", *_FIELDS)), strict=True)
    assert list(found) == [
        (place, each.stream, each.t_ms, each.event, 0)
        for place, happened in enumerate(users)
        for each in entries_of(happened)
        if each.stream < 7
    ]


def test_an_event_in_many_streams_takes_little_room() -> None:
    """The time and number of the event are there once, and three streams take a record."""
    packed = HappenedPacker(identity_of).pack([Happened(5, 0, (0, 1, 2, 3, 4, 5))])
    assert len(packed) == 3 * 28


@pytest.mark.parametrize("kept", [1, 2])
def test_a_list_that_is_cut_off_is_refused(kept: int) -> None:
    """One by one and many at a time."""
    packed = HappenedPacker(identity_of).pack([Happened(5, 0, (0, 1, 2, 3))])[: 28 * kept]
    with pytest.raises(struct.error):
        unpack_entries(packed, lambda identity: identity)
    with pytest.raises(struct.error):
        unpack_many([packed], lambda identity: identity)


@given(happenings, times)
def test_trimming_leaves_the_events_that_can_be_seen(
    happened: list[Happened], since_ms: int
) -> None:
    """With all streams that they are in."""
    packer = HappenedPacker(identity_of)
    younger = [each for each in happened if each.t_ms >= since_ms]
    assert trim_entries(packer.pack(happened), since_ms) == packer.pack(younger)


def test_the_next_event_comes_after_all_whatever_their_order() -> None:
    """Entries of one batch are kept by their kind, not by event."""
    store = EntryStore()
    store.know(1)
    store.add(0, [Entry(1, 2, 6, 0), Entry(2, 2, 5, 0)])
    assert store.next_event(0) == 7


@given(entries)
def test_streams_that_are_gone_are_left_out(some: list[Entry]) -> None:
    """With all that belongs to their entries."""
    packed = pack_entries(some, identity_of)
    found = unpack_entries(packed, lambda identity: identity - 1000 if identity % 2 else None)
    assert found == [entry for entry in some if entry.stream % 2]


@given(entries, times)
def test_trimming_leaves_what_can_be_seen(some: list[Entry], since_ms: int) -> None:
    """What is younger, with all that belongs to it."""
    trimmed = trim_entries(pack_entries(some, identity_of), since_ms)
    kept = [entry for entry in some if entry.t_ms >= since_ms]
    assert trimmed == pack_entries(kept, identity_of)


def test_damaged_records_are_refused() -> None:
    """A part of a record is no record."""
    packed = pack_entries([Entry(1, 2, 3, 4)], identity_of)
    with pytest.raises(struct.error):
        unpack_entries(packed[:-1], lambda _: 1)
