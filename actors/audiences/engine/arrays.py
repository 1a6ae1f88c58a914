"""Names of array types, and what several modules do with arrays.

Truth is kept packed: one line of bytes per criterion or group, one bit per row, least significant
bit first, lines padded with zeros to whole words of 64 bits.

A *tick* is half a millisecond since 1970: instant b is tick 2b. What ends with the close of
millisecond b changes at tick 2b + 1, what begins with b at tick 2b; so both kinds of change have
an exact place (spec/audiences.md, 7, `expiration_timestamp_ms`).
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Places = NDArray[np.intp]
Codes = NDArray[np.int32]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]

_ItemT = TypeVar("_ItemT", bound=np.generic)

FAR = 1 << 59  # an instant or a tick that never comes
_SWAPS = tuple(
    (np.uint64(shift), np.uint64(mask))
    for shift, mask in (
        (7, 0x00AA_00AA_00AA_00AA),
        (14, 0x0000_CCCC_0000_CCCC),
        (28, 0x0000_0000_F0F0_F0F0),
    )
)
ONES = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


def line_bytes(rows: int) -> int:
    """Return the bytes of a packed line."""
    return -(-rows // 64) * 8


def pack(truth: NDArray[np.bool_] | Bytes, into: Bytes) -> None:
    """Pack lines of booleans, or of bytes of which any bit is set.

    Args:
        truth: shape (lines, rows).
        into: shape (lines, `line_bytes(rows)`), all 0.
    """
    packed = np.packbits(truth, axis=1, bitorder="little")
    into[:, : packed.shape[1]] = packed


def unpack(packed: Bytes, rows: int) -> Bytes:
    """Return lines of 0 and 1, shape (lines, rows)."""
    return np.unpackbits(packed, axis=1, count=rows, bitorder="little")


def grown(array: NDArray[_ItemT], size: int, fill: int | float) -> NDArray[_ItemT]:
    """Return an array of one dimension that is longer and begins with what `array` holds."""
    larger = np.full(size, fill, dtype=array.dtype)
    larger[: len(array)] = array
    return larger


def ranges(starts: Ints, lengths: Ints) -> Ints:
    """Return the numbers from each start on, as many as its length, one after the other."""
    ends = lengths.cumsum()
    numbers: Ints = (starts - ends + lengths).repeat(lengths)
    numbers += np.arange(len(numbers), dtype=np.int64)
    return numbers


def transpose(packed: Bytes) -> Bytes:
    """Return packed lines of rows as packed rows of lines.

    Args:
        packed: shape (lines, bytes); `lines` is a multiple of 8.

    Returns:
        Shape (8 * bytes, lines / 8): bit b of byte l of row r is bit r of line 8 l + b.
    """
    lines, width = packed.shape
    blocks = np.ascontiguousarray(packed.reshape(lines // 8, 8, width).transpose(2, 0, 1))
    squares = transpose_squares(blocks.view(np.uint64)[..., 0])
    return np.ascontiguousarray(squares.transpose(0, 2, 1)).reshape(8 * width, lines // 8)


def transpose_squares(words: Words) -> Bytes:
    """Return words of eight bytes with bit b of byte a as bit a of byte b.

    Args:
        words: of any shape.

    Returns:
        The bytes of each, along one more axis.
    """
    # Eight bytes are a square of 8 x 8 bits: swap its corners, by ones, by twos, by fours.
    for shift, mask in _SWAPS:
        moved = (words ^ (words >> shift)) & mask
        words = words ^ moved ^ (moved << shift)
    squares: Bytes = words[..., None].view(np.uint8)
    return squares
