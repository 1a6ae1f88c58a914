"""Packed truth."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from actors.audiences.engine.arrays import line_bytes, pack, ranges, transpose, unpack


@given(st.integers(0, 5), st.integers(1, 200), st.integers(0, 2**32))
def test_rows_of_lines_are_lines_of_rows(eights: int, rows: int, seed: int) -> None:
    """Whatever the shape; padding is 0."""
    drawn = np.random.default_rng(seed)
    truth = drawn.random((8 * eights, rows)) < 0.5
    packed = np.zeros((8 * eights, line_bytes(rows)), np.uint8)
    pack(truth, packed)
    turned = transpose(packed)
    assert turned.shape == (8 * line_bytes(rows), eights)
    assert (unpack(turned[:rows], 8 * eights) == truth.T).all()
    assert not turned[rows:].any()
    assert (unpack(packed, rows) == truth).all()


@given(st.lists(st.tuples(st.integers(-5, 50), st.integers(0, 6)), max_size=10))
def test_ranges_are_one_after_the_other(given_ranges: list[tuple[int, int]]) -> None:
    """Empty ones leave nothing."""
    starts, lengths = (np.array([each[at] for each in given_ranges], np.int64) for at in (0, 1))
    expected = [start + at for start, length in given_ranges for at in range(length)]
    assert ranges(starts, lengths).tolist() == expected


@given(arrays(np.uint8, st.tuples(st.integers(1, 4), st.integers(1, 100))))
def test_any_bit_of_a_byte_counts(values: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> None:
    """A line may be made of answers that are a bit of a byte each."""
    packed = np.zeros((values.shape[0], line_bytes(values.shape[1])), np.uint8)
    pack(values, packed)
    assert (unpack(packed, values.shape[1]) == (values != 0)).all()
