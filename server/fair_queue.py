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
    """A bounded queue with a line for each input; each line is in the order of arrival.

    Attributes:
        size: bytes that wait, of all inputs.
        max_size: with so many nothing more is taken; if it becomes less, `add` removes what is too
            much. What is taken when there are fewer may be of any size.
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

    def add(self, line_of: int, one: T) -> list[T]:
        """Let something wait in an input's line.

        Returns:
            What had to give way to it and waits no more: the last of the longest line. It is the
            new one itself, if its own line would become the longest.
        """
        self._join(line_of, one).waiting.append(one)
        removed = []
        while self.size > self.max_size:
            waiting = [each for each in self._lines.values() if each.waiting]
            if not waiting:
                break
            longest = max(waiting, key=_size)
            last = longest.waiting[-1]
            if self.size - last.size < self.max_size:
                break
            longest.waiting.pop()
            self._leave(longest, last)
            removed.append(last)
        return removed

    def add_ahead(self, line_of: int, one: T) -> None:
        """Let something wait before all that was added to its line otherwise. It has room."""
        self._join(line_of, one).ahead.append(one)

    def has_room(self, line_of: int, size: int) -> bool:
        """Tell whether something of a size could wait: without more, or as others give way."""
        if self.size < self.max_size:
            return True
        missing = self.size + size - self.max_size
        line = self._lines.get(line_of)
        own = size if line is None else line.size + size
        longer = (each.size - own for each in self._lines.values() if each is not line)
        return sum(more for more in longer if more > 0) >= missing

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


def _size(line: _Line[T]) -> int:
    return line.size
