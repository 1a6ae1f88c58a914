"""Arrays that grow keep what they hold."""

import mmap

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.audiences.engine.growing import Growing, next_capacity


class NeverLonger(mmap.mmap):
    """Memory on a system that cannot make it longer."""

    def resize(self, newsize: int) -> None:
        raise SystemError(newsize)


@given(
    st.lists(st.integers(1, 20_000), max_size=8),
    st.sampled_from([0, -1, 1 << 59]),
    st.sampled_from([(), (3,)]),
    st.sampled_from([mmap.mmap, NeverLonger]),
)
def test_rows_stay_and_new_ones_are_filled(
    sizes: list[int], fill: int, shape: tuple[int, ...], memory: type[mmap.mmap]
) -> None:
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(mmap, "mmap", memory)
        growing = Growing(np.int64, fill, shape)
        expected = np.zeros((0, *shape), np.int64)
        for size in sizes:
            growing.grow(size)
            new = max(size - len(expected), 0)
            expected = np.concatenate([expected, np.full((new, *shape), fill, np.int64)])
            np.testing.assert_array_equal(growing.array, expected)
            expected[:: size // 7 + 1] = growing.array[:: size // 7 + 1] = size
    assert (len(growing), growing.nbytes) == (len(expected), expected.nbytes)


def test_whoever_keeps_an_array_keeps_what_it_was() -> None:
    growing = Growing(np.float64, np.nan)
    growing.grow(3)
    kept = growing.array[1:]
    kept[:] = 5.0
    growing.grow(10)
    growing.array[1] = 6.0
    assert kept.tolist() == [5.0, 5.0]
    assert growing.array[1:3].tolist() == [6.0, 5.0]
    assert np.isnan(growing.array[3:]).all()


def test_memory_that_nobody_keeps_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    growing = Growing(np.int32, shape=(2,))
    growing.grow(3)
    monkeypatch.setattr(mmap, "mmap", None)  # no other memory
    growing.grow(100_000)
    assert growing.array.shape == (100_000, 2)


def test_without_memory_all_stays_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(mmap.mmap):
        def resize(self, newsize: int) -> None:
            raise OSError(12, "Cannot allocate memory")

    with monkeypatch.context() as patches:
        patches.setattr(mmap, "mmap", Full)
        growing = Growing(np.int64, 7, (2,))
        growing.grow(3)
        for _ in range(2):
            with pytest.raises(OSError, match="memory"):
                growing.grow(10)
        assert growing.array.tolist() == [[7, 7]] * 3


def test_many_rows_get_no_more_new_ones_at_once_than_some() -> None:
    assert [next_capacity(rows) for rows in (0, 1024, 3072)] == [1024, 2048, 6144]
    assert next_capacity(1_000_000) == 1_065_536
