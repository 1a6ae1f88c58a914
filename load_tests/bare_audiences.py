"""What a bare numpy loop takes for the same audiences: the measure of the engine.

Every criterion is one or two comparisons on arrays that were prepared for it; nothing is shared,
nothing is kept, nothing is known of time to come. Sequences, carts and places have no such loop.
"""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from actors.audiences.criteria import Named, Node
from actors.audiences.engine.leaves.coded import CodedLeaf
from actors.audiences.engine.leaves.events import EventLeaf
from actors.audiences.engine.leaves.numbers import NumberLeaf
from actors.audiences.engine.matcher import Matcher
from actors.audiences.engine.mirror import kind_of_dates
from actors.audiences.engine.number_tests import NumberTest
from actors.audiences.engine.numbers import instant_of
from actors.audiences.engine.sources import NO_DERIVED, Source, Subject
from actors.audiences.engine.streams import Stream
from actors.audiences.engine.terms import All, Leaf, Not, Term, criterion_term
from actors.model.batches import StoredBatch
from actors.model.profiles import Profile, ProfileKey
from load_tests.audience_mix import LOOKBACK_MS, NOW_MS, WORKSPACE

Truth = NDArray[np.bool_]
Numbers = NDArray[np.float64] | NDArray[np.int64]
_ItemT = TypeVar("_ItemT", bound=np.generic)
Comparison = Callable[[], Truth]


class NoBareLoop(Exception):
    """A criterion is of a kind that no comparison of two arrays decides."""


class BareColumns:
    """Arrays of many rows, made of a few people over and over: row r is person r mod people."""

    def __init__(self, people: list[tuple[Profile, StoredBatch]], rows: int) -> None:
        self._people = people
        self._rows = rows
        key = ProfileKey(1, "production", 1)
        self._subjects = [
            Subject(key, profile, profile.workspaces[WORKSPACE.number], NO_DERIVED, {})
            for profile, _ in people
        ]
        self._codes: dict[Source, tuple[NDArray[np.int32], list[object]]] = {}
        self._numbers: dict[Source, NDArray[np.float64]] = {}
        self._streams: dict[Stream, tuple[NDArray[np.int64], ...]] = {}

    def prepare(self, node: Node) -> Comparison:
        """Return the evaluation of a definition, with all arrays that it needs.

        Raises:
            NoBareLoop: it has a sequence, a cart or a place.
        """
        if isinstance(node, Named):
            return self._term(criterion_term(node.criterion))
        parts = [self.prepare(each) for each in node.nodes]
        match node.op:
            case "and":
                return lambda: np.logical_and.reduce([part() for part in parts])
            case "or":
                return lambda: np.logical_or.reduce([part() for part in parts])
            case "not":
                return lambda: ~parts[0]()
            case "exclude":
                return lambda: parts[0]() & ~np.logical_or.reduce([part() for part in parts[1:]])

    @property
    def bytes_per_row(self) -> float:
        """Return what the arrays that were prepared so far take, by row."""
        coded = sum(codes.nbytes for codes, _ in self._codes.values())
        numbers = sum(each.nbytes for each in self._numbers.values())
        streams = sum(array.nbytes for found in self._streams.values() for array in found)
        return (coded + numbers + streams) / self._rows

    def _term(self, term: Term) -> Comparison:
        match term:
            case Not(inner):
                negated = self._term(inner)
                return lambda: ~negated()
            case All(terms):
                parts = [self._term(each) for each in terms]
                return lambda: np.logical_and.reduce([part() for part in parts])
            case CodedLeaf() | NumberLeaf() | EventLeaf():
                return self._leaf(term)
        raise NoBareLoop(type(term).__name__)

    def _leaf(self, leaf: Leaf) -> Comparison:
        match leaf:
            case CodedLeaf(source, question):
                codes, values = self._coded(source)
                holds = question.predicate()
                answers = np.array([holds(value) for value in values])  # type: ignore[arg-type]
                if answers.sum() == 1:
                    code = int(answers.argmax())
                    return lambda: codes == code
                return lambda: answers[codes]
            case NumberLeaf(source, _, test):
                numbers = self._numbered(source)
                ((least, greatest),) = NumberTest(test).intervals
                low, high = NOW_MS + least, NOW_MS + greatest
                return lambda: (numbers >= low) & (numbers <= high)
            case EventLeaf(stream, recency, reduction, intervals):
                since_ms = NOW_MS - min(recency.duration_ms or LOOKBACK_MS, LOOKBACK_MS)
                row, t_ms, value = self._events(stream)
                ((low, high),) = intervals
                rows = self._rows
                if reduction == "count":
                    return lambda: _between(
                        np.bincount(row[t_ms >= since_ms], minlength=rows), low, high
                    )
                numbers = value.view(np.float64)

                def total() -> Truth:
                    inside = t_ms >= since_ms
                    sums = np.bincount(row[inside], numbers[inside], minlength=rows)
                    return _between(sums, low, high)

                return total
        raise ValueError(f"no bare loop for {type(leaf).__name__}")

    def _coded(self, source: Source) -> tuple[NDArray[np.int32], list[object]]:
        if source not in self._codes:
            known: dict[object, int] = {}
            values: list[object] = []
            codes = []
            for subject in self._subjects:
                value = source.read(subject)
                key = tuple(value) if isinstance(value, list) else value
                if key not in known:
                    known[key] = len(values)
                    values.append(value)
                codes.append(known[key])
            self._codes[source] = self._repeated(np.array(codes, np.int32)), values
        return self._codes[source]

    def _numbered(self, source: Source) -> NDArray[np.float64]:
        if source not in self._numbers:
            parse = float if kind_of_dates(source) == "instant" else instant_of
            read = [source.read(subject) for subject in self._subjects]
            parsed = [parse(text) if isinstance(text, str) else None for text in read]
            numbers = [np.nan if number is None else number for number in parsed]
            self._numbers[source] = self._repeated(np.array(numbers))
        return self._numbers[source]

    def _events(self, stream: Stream) -> tuple[NDArray[np.int64], ...]:
        if stream not in self._streams:
            matcher = Matcher(WORKSPACE, [(0, stream)])
            found = [
                (person, entry.t_ms, entry.value)
                for person, (_, stored) in enumerate(self._people)
                for entry in matcher.entries(stored, 0, NOW_MS - LOOKBACK_MS)
            ]
            table = np.array(found, np.int64).reshape(-1, 3)
            rounds = np.arange(0, self._rows, len(self._people))
            row = (rounds[:, None] + table[:, 0]).ravel()
            real = row < self._rows
            others = (np.tile(table[:, column], len(rounds))[real] for column in (1, 2))
            self._streams[stream] = (row[real], *others)
        return self._streams[stream]

    def _repeated(self, array: NDArray[_ItemT]) -> NDArray[_ItemT]:
        return np.resize(array, self._rows)


def _between(numbers: Numbers, low: float, high: float) -> Truth:
    if high == np.inf:
        found: Truth = numbers >= low
    elif low == -np.inf:
        found = numbers <= high
    else:
        found = (numbers >= low) & (numbers <= high)
    return found
