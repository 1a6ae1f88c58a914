"""Terms as one network of `and` gates: every term that occurs in several audiences is there once.

A literal is twice the number of a line, plus 1 where its opposite is meant. Line 0 is always true.
"""

from collections.abc import Callable, Iterable

import numpy as np

from actors.audiences.engine.arrays import ONES, Bools, Ints, Words, ranges
from actors.audiences.engine.moment import FINAL, NO_MARK, SURE, UNSURE
from actors.audiences.engine.terms import All, Leaf, Member, Not, Term

TRUE_LITERAL = 0


class Network:
    """Gates over the lines of leaves, in levels: a gate comes after all that it reads.

    Args:
        leaf_lines: how many lines come before the gates, with line 0.
    """

    def __init__(self, leaf_lines: int) -> None:
        self.lines = leaf_lines
        self._first = leaf_lines
        self._inputs: list[tuple[int, ...]] = []  # by gate: literals, ascending
        self._gate_of: dict[tuple[int, ...], int] = {}
        self._level: list[int] = []
        self._levels: list[_Level] = []
        self._input_literals = self._input_count = self._input_start = np.zeros(0, np.int64)

    def add(self, term: Term, line_of: Callable[[Leaf], int], member: Callable[[int], int]) -> int:
        """Return the literal of a term; gates that are not there yet are made.

        Args:
            line_of: the line of a leaf.
            member: the literal of being in an audience.
        """
        match term:
            case Not(inner):
                return self.add(inner, line_of, member) ^ 1
            case Member(audience):
                return member(audience)
            case All(terms):
                return self._gate(self.add(each, line_of, member) for each in terms)
        return 2 * line_of(term)

    def both(self, literal: int, other: int) -> int:
        """Return the literal of two that hold together."""
        return self._gate((literal, other))

    def finish(self) -> None:
        """Order the gates by level; then `evaluate` can be called."""
        self._input_literals = np.array(
            [literal for literals in self._inputs for literal in literals], np.int64
        )
        self._input_count = np.array([len(literals) for literals in self._inputs], np.int64)
        self._input_start = self._input_count.cumsum() - self._input_count
        levels: list[list[int]] = [[] for _ in range(max(self._level, default=0))]
        for gate, level in enumerate(self._level):
            levels[level - 1].append(gate)
        self._levels = [
            _Level(
                np.array([self._first + gate for gate in gates], np.int64),
                [self._inputs[gate] for gate in gates],
            )
            for gates in levels
        ]

    def evaluate(self, truth: Words) -> None:
        """Fill the lines of the gates from those of the leaves."""
        for level in self._levels:
            level.evaluate(truth)

    def marks(self, lines: Ints, places: Ints, truth: Words, table: Ints) -> Ints:
        """Return marks (see `Flips`) before which lines do not change, each for a row.

        A gate that holds does so until an input changes; one that does not, as long as any input
        that keeps it from holding.

        Args:
            lines, places: pairs of line and row.
            truth: of all lines, packed.
            table: marks of the leaves, shape (leaf lines, rows).
        """
        marks = np.empty(len(lines), np.int64)
        is_gate = lines >= self._first
        leaves, gates = (~is_gate).nonzero()[0], is_gate.nonzero()[0]
        marks[leaves] = table[lines[leaves], places[leaves]]
        if not len(gates):
            return marks
        gate = lines[gates] - self._first
        count = self._input_count[gate]
        literals = self._input_literals[ranges(self._input_start[gate], count)]
        place = places[gates].repeat(count)
        inputs = self.marks(literals >> 1, place, truth, table)
        holds = bits_at(truth, literals >> 1, place) != (literals & 1 != 0)
        starts = count.cumsum() - count
        free = np.minimum.reduceat(np.where(holds, inputs, NO_MARK), starts)
        blocked = np.maximum.reduceat(np.where(holds, -1, inputs), starts)
        blockers = np.add.reduceat(~holds, starts, dtype=np.int64)
        worst = np.maximum.reduceat(np.where(holds, FINAL, inputs & 3), starts)
        # It is sure to hold when the last blocker ceases to, if none comes back and nothing else
        # changes until then.
        is_sure = (worst == FINAL) | ((blockers == 1) & (worst == SURE))
        is_sure &= free >> 2 > blocked >> 2
        is_final = is_sure & (worst == FINAL) & (free >= NO_MARK)
        known = np.where(is_final, FINAL, np.where(is_sure, SURE, UNSURE))
        opens = np.where(blocked >= NO_MARK, NO_MARK, (blocked & ~np.int64(3)) | known)
        marks[gates] = np.where(blockers == 0, free, opens)
        return marks

    def _gate(self, literals: Iterable[int]) -> int:
        """Return the literal of a gate over literals; gates among them are taken apart."""
        inputs: set[int] = set()
        for literal in literals:
            if literal == TRUE_LITERAL:
                continue
            gate = (literal >> 1) - self._first
            if gate >= 0 and not literal & 1:
                inputs.update(self._inputs[gate])
            else:
                inputs.add(literal)
        if any(literal ^ 1 in inputs for literal in inputs) or TRUE_LITERAL ^ 1 in inputs:
            return TRUE_LITERAL ^ 1
        if not inputs:
            return TRUE_LITERAL
        if len(inputs) == 1:
            return inputs.pop()
        key = tuple(sorted(inputs))
        if key not in self._gate_of:
            self._gate_of[key] = len(self._inputs)
            self._inputs.append(key)
            self._level.append(1 + max(self._level_of(literal) for literal in key))
            self.lines += 1
        return 2 * (self._first + self._gate_of[key])

    def _level_of(self, literal: int) -> int:
        gate = (literal >> 1) - self._first
        return 0 if gate < 0 else self._level[gate]


class _Level:
    """Gates that do not read each other, those with the most inputs first."""

    def __init__(self, lines: Ints, inputs: list[tuple[int, ...]]) -> None:
        order = sorted(range(len(inputs)), key=lambda gate: -len(inputs[gate]))
        self._lines = lines[order]
        most = len(inputs[order[0]])
        self._rounds: list[tuple[Ints, Words]] = []
        for at in range(most):
            literals = np.array(
                [inputs[gate][at] for gate in order if len(inputs[gate]) > at], np.int64
            )
            opposite = np.where(literals & 1, ONES, np.uint64(0))[:, None]
            self._rounds.append((literals >> 1, opposite))

    def evaluate(self, truth: Words) -> None:
        """Fill the lines of the gates: first of all first inputs, then of all second, ..."""
        lines, opposite = self._rounds[0]
        result = truth.take(lines, axis=0)  # ten times as fast as by index
        result ^= opposite
        for lines, opposite in self._rounds[1:]:
            result[: len(lines)] &= truth.take(lines, axis=0) ^ opposite
        truth[self._lines] = result


def bits_at(truth: Words, lines: Ints, places: Ints) -> Bools:
    """Return the truth of lines, each for a row."""
    bits = truth.view(np.uint8)[lines, places >> 3] >> (places & 7).astype(np.uint8) & 1
    result: Bools = bits != 0
    return result
