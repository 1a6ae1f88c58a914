"""What waits for a shard, fairly: inputs take turns, and each has its part of the room."""

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
    """What waits of one input, `ahead` before `waiting`.

    `served`: bytes taken from it; the next turn is of who has least.
    """

    __slots__ = ("ahead", "number", "served", "size", "waiting")

    def __init__(self, number: int, served: int) -> None:
        self.number = number
        self.ahead: deque[T] = deque()
        self.waiting: deque[T] = deque()
        self.size = 0
        self.served = served


class FairQueue(Generic[T]):
    """A queue with a line for each input; each line is in the order of arrival.

    Who adds asks `has_room` before. What waits is never refused: of a request for several shards
    another one may have applied its part, and all of it would come again.

    Attributes:
        size: bytes that wait, of all inputs.
        max_size: with so many there is room only for inputs that have less than their part of it.
    """

    def __init__(self, max_size: int) -> None:
        self.size = 0
        self.max_size = max_size
        self._lines: dict[int, _Line[T]] = {}
        self._served = 0  # of the line that was taken from last: a new line begins there
        # Of lines that came to their end while others waited: who comes again goes on from there.
        self._ended: dict[int, int] = {}

    def __len__(self) -> int:
        return sum(len(line.ahead) + len(line.waiting) for line in self._lines.values())

    def __bool__(self) -> bool:
        return bool(self._lines)

    def __iter__(self) -> Iterator[T]:
        for line in self._lines.values():
            yield from line.ahead
            yield from line.waiting

    @property
    def heads(self) -> list[T]:
        """Return what is next, of each input."""
        return [(line.ahead or line.waiting)[0] for line in self._lines.values()]

    def add(self, line_of: int, one: T) -> None:
        """Let something wait in an input's line."""
        self._join(line_of, one).waiting.append(one)

    def add_ahead(self, line_of: int, one: T) -> None:
        """Let something wait before all that was added to its line otherwise."""
        self._join(line_of, one).ahead.append(one)

    def has_room(self, line_of: int, size: int) -> bool:
        """Tell whether something of a size may wait.

        It may, of any size, if there is room, or if nothing of its input waits.
        """
        if self.size < self.max_size:
            return True
        line = self._lines.get(line_of)
        return line is None or (line.size + size) * len(self._lines) <= self.max_size

    def next(self) -> T:
        """Return what is taken next. Raises ValueError if nothing waits."""
        line = self._next()
        return (line.ahead or line.waiting)[0]

    def take(self) -> T:
        """Remove and return what is next. Raises ValueError if nothing waits."""
        line = self._next()
        one = (line.ahead or line.waiting).popleft()
        self._served = line.served
        line.served += one.size
        self._leave(line, one)
        return one

    def remove(self, line_of: int, one: T) -> None:
        """Let something wait no more, as if it had never come; nothing if it was taken."""
        line = self._lines.get(line_of)
        if line is None:
            return
        for waiting in (line.ahead, line.waiting):
            if one in waiting:
                waiting.remove(one)
                self._leave(line, one)
                return

    def _next(self) -> _Line[T]:
        lines = self._lines.values()
        if len(lines) == 1:  # nearly always
            return next(iter(lines))
        return min(lines, key=_served)

    def _join(self, line_of: int, one: T) -> _Line[T]:
        line = self._lines.get(line_of)
        if line is None:
            served = max(self._served, self._ended.pop(line_of, 0))
            line = self._lines[line_of] = _Line(line_of, served)
        line.size += one.size
        self.size += one.size
        return line

    def _leave(self, line: _Line[T], one: T) -> None:
        line.size -= one.size
        self.size -= one.size
        if not (line.ahead or line.waiting):
            del self._lines[line.number]
            if self._lines:
                self._ended[line.number] = line.served
            else:
                self._ended.clear()


def _served(line: _Line[T]) -> int:
    return line.served
