"""A disk that is full, for tests: the size that files of this process may have stands for it."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event


@contextmanager
def file_size_limit(limit_bytes: int) -> Iterator[None]:
    """Let no file grow further than to so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Waits(Event):
    """Counts how often is waited, and takes no time; at one of these times something is done."""

    def __init__(self, last: int, do: Callable[[], object]) -> None:
        super().__init__()
        self.count = 0
        self._last = last
        self._do = do

    def wait(self, timeout: float | None = None) -> bool:
        self.count += 1
        if self.count == self._last:
            self._do()
        return False
