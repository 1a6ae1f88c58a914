"""Entries as they were added, whichever segments their parts lie in."""

from typing import NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.audiences.engine.arrays import FAR
from actors.audiences.engine.entries import Entry, EntryStore, Happened

ROWS = 2
NOTHING, OTHER, NUMBER, TEXT, WIDE = range(5)  # streams
VALUED = {NUMBER, TEXT, WIDE}
NOW = np.array([0])

rows = st.integers(0, ROWS - 1)
times = st.integers(-5, 5)


class Added(NamedTuple):
    """An event, with an entry of each stream that has a value here, and what the others make."""

    row: int
    t_ms: int
    values: dict[int, int]
    happened: tuple[int, ...]


class Cleared(NamedTuple):
    row: int


class Merged(NamedTuple):
    since_ms: int


class Forgotten(NamedTuple):
    stream: int


events = st.builds(
    Added,
    rows,
    times,
    st.dictionaries(st.sampled_from(sorted(VALUED)), st.integers(-9, 9), max_size=3),
    st.lists(st.sampled_from([NOTHING, OTHER]), unique=True).map(tuple),
)
steps = st.one_of(
    events,
    events,
    events,
    st.builds(Cleared, rows),
    st.builds(Merged, times | st.just(-FAR)),
    st.builds(Forgotten, st.sampled_from([OTHER, TEXT])),
)


def made() -> EntryStore:
    store = EntryStore()
    for stream in range(5):
        store.know_stream(stream, is_wide=stream == WIDE, has_values=stream in VALUED)
    store.know(ROWS)
    return store


@settings(max_examples=400, deadline=None)
@given(
    st.lists(steps, min_size=3, max_size=25),
    st.permutations([*range(ROWS)] * 2),
)
def test_a_row_has_the_entries_that_it_was_given(
    story: list[Added | Cleared | Merged | Forgotten], asked: list[int]
) -> None:
    """In order, without what is too old or of a stream that is gone, once it is written anew.

    Rows with new entries are; what they have of wide streams only if any of them got more of it.
    """
    store = made()
    expected: dict[int, list[Entry]] = {row: [] for row in range(ROWS)}
    came: dict[int, set[int]] = {}  # rows with events that wait
    forgotten: set[int] = set()

    def merge(since_ms: int) -> None:
        store.merge(since_ms)
        is_wide_written = any(
            each.stream == WIDE and each.event in came[row]
            for row in came
            for each in expected[row]
        )
        for row in came:
            expected[row] = [
                each
                for each in expected[row]
                if (each.stream == WIDE and not is_wide_written)
                or (each.t_ms >= since_ms and each.stream not in forgotten)
            ]
        came.clear()

    for step in story:
        match step:
            case Added(row, t_ms, values, happened):
                event = store.next_event(row)
                some = [Entry(stream, t_ms, event, value) for stream, value in values.items()]
                store.add(row, some)
                expected[row] += some
                if happened:
                    store.add_happened(row, [Happened(t_ms, event, happened)])
                    expected[row] += [Entry(stream, t_ms, event, 0) for stream in happened]
                if some or happened:
                    came.setdefault(row, set()).add(event)
            case Cleared(row):
                store.clear(row)
                expected[row] = []
                came.pop(row, None)
            case Merged(since_ms):
                merge(since_ms)
            case Forgotten(stream):
                store.forget_stream(stream)
                forgotten.add(stream)
    merge(-FAR)
    found = store.read(np.array(asked, np.int64), NOW)
    read = list(zip(found.place, found.stream, found.t_ms, found.event, found.value, strict=True))
    assert read == [
        (place, each.stream, each.t_ms, each.event, each.value)
        for place, row in enumerate(asked)
        for each in sorted(expected[row], key=lambda each: (each.stream, each.t_ms, each.event))
    ]
    assert store.total == sum(map(len, expected.values()))


def test_values_take_memory_only_where_there_are_any() -> None:
    store = made()
    store.know(1000)
    for row in range(1000):
        store.add(row, [Entry(NOTHING, 0, 0, 0)] * 16)
    store.merge(-FAR)
    without = store.nbytes
    assert without < 2 * 1000 * 16 * store.entry_bytes
    store.add(0, [Entry(NUMBER, 0, 1, 7)])
    store.merge(-FAR)
    assert store.nbytes < without + 30_000
