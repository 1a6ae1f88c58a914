"""Terms as one network of `and` gates: every term that occurs in several audiences is there once.

A literal is twice the number of a line, plus 1 where its opposite is meant. Line 0 is always true.
"""

from collections.abc import Callable, Iterable

import numpy as np

from actors.audiences.engine.arrays import FAR, ONES, Bools, Ints, Words
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

    def stable_until(
        self, literal: int, truth: Callable[[int], Bools], mark: Callable[[int], Ints]
    ) -> Ints:
        """Return marks (see `Flips`) before which a literal does not change, for some places.

        A gate that holds does so until an input changes; one that does not, as long as any input
        that keeps it from holding.

        Args:
            literal: of a line.
            truth, mark: of a line: its truth, and its mark if it is a leaf.
        """
        known: dict[int, Ints] = {}

        def until(line: int) -> Ints:
            if line not in known:
                known[line] = mark(line) if line < self._first else of_gate(line)
            return known[line]

        def of_gate(line: int) -> Ints:
            inputs = self._inputs[line - self._first]
            marks = np.stack([until(each >> 1) for each in inputs])
            holds = np.stack([truth(each >> 1) ^ bool(each & 1) for each in inputs])
            free = np.where(holds, marks, 2 * FAR).min(axis=0)
            blocked = np.where(holds, -1, marks).max(axis=0)
            # Sure is only that one blocks alone, and that nothing else changes until it ceases to.
            is_alone = ((~holds).sum(axis=0) == 1) & (free > (blocked | 1))
            blocked |= np.where(is_alone, 0, 1)
            return np.where(holds.all(axis=0), free, np.minimum(blocked, 2 * FAR))

        return until(literal >> 1)

    def plain_leaves(self, literal: int) -> tuple[int, ...] | None:
        """Return the lines of leaves that all have to hold for a literal, or not to.

        `None` if it is made otherwise.
        """
        line = literal >> 1
        if line < self._first:
            return (line,)
        inputs = [each >> 1 for each in self._inputs[line - self._first]]
        if literal & 1 or max(inputs) >= self._first:
            return None
        return tuple(inputs)

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
        result = truth[lines] ^ opposite
        for lines, opposite in self._rounds[1:]:
            result[: len(lines)] &= truth[lines] ^ opposite
        truth[self._lines] = result
