"""Entries in a profile's record."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.audiences.engine.arrays import FAR
from actors.audiences.engine.entries import Entry, EntryStore, Happened
from actors.audiences.engine.packing import (
    pack_entries,
    pack_happened,
    trim_entries,
    unpack_entries,
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


def identity_of(stream: int) -> int:
    """Return what streams are called here."""
    return 1000 + stream


@given(entries, entries)
def test_what_is_joined_is_read_back(some: list[Entry], others: list[Entry]) -> None:
    """Bytes of several batches are one after the other."""
    packed = pack_entries(some, identity_of) + pack_entries(others, identity_of)
    assert unpack_entries(packed, lambda identity: identity - 1000) == some + others


@given(st.lists(st.builds(Happened, times, st.integers(0, 2**31 - 1), st.just((3, 1, 2)))))
def test_what_events_make_in_several_streams_is_kept_as_entries(some: list[Happened]) -> None:
    """There is one form on disk."""
    made = [Entry(stream, each.t_ms, each.event, 0) for each in some for stream in each.streams]
    assert pack_happened(some, identity_of) == pack_entries(made, identity_of)


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
