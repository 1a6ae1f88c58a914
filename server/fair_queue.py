"""What waits for a shard, fairly: inputs take turns, and the one with most gives way."""

from collections import deque
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """Something of a size in bytes."""

    @property
    def size(self) -> int:
        """Return how much room it takes."""
        ...


T = TypeVar("T", bound=Sized)


class _Line(Generic[T]):
    """What waits of one input. `served`: bytes taken from it; the next turn is of who has least."""

    __slots__ = ("number", "served", "size", "waiting")

    def __init__(self, number: int, served: int) -> None:
        self.number = number
        self.waiting: deque[T] = deque()
        self.size = 0
        self.served = served


class FairQueue(Generic[T]):
    """A bounded queue with a line for each input; each line is in the order of arrival.

    Attributes:
        size: bytes that wait, of all inputs.
        max_size: the most of them; if it becomes less, `add` removes what is too much.
    """

    def __init__(self, max_size: int) -> None:
        self.size = 0
        self.max_size = max_size
        self._lines: dict[int, _Line[T]] = {}
        self._served = 0  # of the line that was taken from last: a new line begins there
        # Of lines that came to their end while others waited: who comes again goes on from there.
        self._ended: dict[int, int] = {}

    def __len__(self) -> int:
        return sum(len(line.waiting) for line in self._lines.values())

    def __bool__(self) -> bool:
        return bool(self._lines)

    def __iter__(self) -> Iterator[T]:
        for line in self._lines.values():
            yield from line.waiting

    @property
    def heads(self) -> list[T]:
        """Return what has waited longest, of each input."""
        return [line.waiting[0] for line in self._lines.values()]

    def add(self, line_of: int, one: T) -> list[T]:
        """Let something wait in an input's line.

        Returns:
            What had to give way to it and waits no more: the last of the longest line. It is the
            new one itself, if its own line would become the longest.
        """
        line = self._lines.get(line_of)
        if line is None:
            served = max(self._served, self._ended.pop(line_of, 0))
            line = self._lines[line_of] = _Line(line_of, served)
        line.waiting.append(one)
        line.size += one.size
        self.size += one.size
        if self.size <= self.max_size:
            return []
        removed = []
        while self.size > self.max_size:
            longest = max(self._lines.values(), key=_size)
            last = longest.waiting.pop()
            self._leave(longest, last)
            removed.append(last)
        return removed

    def has_room(self, line_of: int, size: int) -> bool:
        """Tell whether something of a size could wait: without more, or as others give way."""
        missing = self.size + size - self.max_size
        if missing <= 0:
            return True
        line = self._lines.get(line_of)
        own = size if line is None else line.size + size
        longer = (each.size - own for each in self._lines.values() if each is not line)
        return sum(more for more in longer if more > 0) >= missing

    def next(self) -> T:
        """Return what is taken next. Raises ValueError if nothing waits."""
        return self._next().waiting[0]

    def take(self) -> T:
        """Remove and return what is next. Raises ValueError if nothing waits."""
        line = self._next()
        one = line.waiting.popleft()
        self._served = line.served
        line.served += one.size
        self._leave(line, one)
        return one

    def _next(self) -> _Line[T]:
        lines = self._lines.values()
        if len(lines) == 1:  # nearly always
            return next(iter(lines))
        return min(lines, key=_served)

    def _leave(self, line: _Line[T], one: T) -> None:
        line.size -= one.size
        self.size -= one.size
        if not line.waiting:
            del self._lines[line.number]
            if self._lines:
                self._ended[line.number] = line.served
            else:
                self._ended.clear()


def _served(line: _Line[T]) -> int:
    return line.served


def _size(line: _Line[T]) -> int:
    return line.size
