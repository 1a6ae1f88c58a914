"""How much waits in memory for its place in a file, over all open files of an output."""

import threading
from typing import Protocol

# Of payloads, and of each row; what Python makes of them takes up to twice as much. A file
# that is written alone reaches its row groups of 10,000 rows with batches of 2 KB.
MAX_WAITING_BYTES = 32 * 1024 * 1024
ROW_BYTES = 1024


class WaitingFile(Protocol):
    """An open file that keeps rows in memory until there are enough to be written together."""

    def drain_if_idle(self) -> None:
        """Write what waits, unless another thread is at the file; raises nothing."""
        ...


class WaitingRows:
    """Has the files with most in memory write it, when all together have too much.

    One of these stands between the threads that write files.
    """

    def __init__(self) -> None:
        self._sizes: dict[WaitingFile, int] = {}
        self._total = 0
        self._lock = threading.Lock()

    @property
    def total(self) -> int:
        """How much waits, in bytes."""
        return self._total

    def note(self, file: WaitingFile, size: int) -> None:
        """Note how much waits for a file; 0 is noted for one that is not open any more, too."""
        with self._lock:
            self._total += size - self._sizes.pop(file, 0)
            if size:
                self._sizes[file] = size

    def relieve(self) -> None:
        """Have files write until there is not too much; called by a thread that is at no file."""
        tried: set[WaitingFile] = set()
        while (largest := self._largest(tried)) is not None:
            tried.add(largest)
            largest.drain_if_idle()

    def _largest(self, tried: set[WaitingFile]) -> WaitingFile | None:
        with self._lock:
            if self._total <= MAX_WAITING_BYTES:
                return None
            others = self._sizes.keys() - tried
            return max(others, key=self._sizes.__getitem__, default=None)
