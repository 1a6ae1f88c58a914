"""Arrays that grow where they are, so that no growth has to copy all that they hold.

Each is a mapping of memory of its own, which the system makes longer by moving its pages; pages
that nobody has written yet take no memory.
"""

import math
import mmap
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

_ItemT = TypeVar("_ItemT", bound=np.generic)

_LEAST_ROWS = 1024
_MOST_NEW_ROWS = 65_536  # what is done for each new row is done for no more at once


def next_capacity(rows: int) -> int:
    """Return how many rows there is to be room for when those are not enough."""
    return rows + min(max(rows, _LEAST_ROWS), _MOST_NEW_ROWS)


class Growing(Generic[_ItemT]):
    """An array of rows that grows at its end.

    Args:
        dtype: of the array.
        fill: of new rows.
        shape: of one row.

    Attributes:
        array: all rows. Growth replaces it; who has kept it, or a part of it, keeps what it was,
            and lets it be copied.
    """

    def __init__(self, dtype: type[_ItemT], fill: float = 0, shape: tuple[int, ...] = ()) -> None:
        self.array: NDArray[_ItemT] = np.empty((0, *shape), dtype)
        self._fill = fill
        self._memory: mmap.mmap | None = None

    @property
    def nbytes(self) -> int:
        """The bytes of all rows."""
        return self.array.nbytes

    def __len__(self) -> int:
        """Return how many rows there is room for."""
        return len(self.array)

    def grow(self, rows: int) -> None:
        """Make room for so many rows. Raises OSError if there is no memory; all stays as it was."""
        known = len(self.array)
        if rows <= known:
            return
        empty = self.array[:0].copy()
        row_bytes = empty.itemsize * math.prod(empty.shape[1:])
        self.array = empty  # memory of which there is an array keeps its size
        size = known
        try:
            self._memory = _longer(self._memory, known * row_bytes, rows * row_bytes)
            size = rows
        finally:
            if self._memory is not None:
                whole = np.frombuffer(self._memory, empty.dtype)
                self.array = whole.reshape(size, *empty.shape[1:])
        if self._fill:
            self.array[known:] = self._fill


def _longer(memory: mmap.mmap | None, used: int, size: int) -> mmap.mmap:
    """Return memory of a size that begins with what was used of another; the rest is zeros."""
    if memory is not None:
        try:
            memory.resize(size)
        except (BufferError, SystemError):  # somebody has kept it; only Linux can
            pass
        else:
            return memory
    larger = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if memory is not None:
        larger[:used] = memory[:used]
    return larger
