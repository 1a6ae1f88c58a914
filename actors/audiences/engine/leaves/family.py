"""The contract of the families of leaves."""

from collections.abc import Hashable
from typing import Protocol

from actors.audiences.engine.arrays import Bytes
from actors.audiences.engine.moment import Flips, Moment


class Family(Protocol):
    """All leaves of one kind in a plan, compiled."""

    size: int  # lines

    def line_of(self, leaf: Hashable) -> int:
        """Return the line of a leaf, from 0."""

    def evaluate(self, moment: Moment, lines: Bytes, first_line: int, flips: Flips) -> None:
        """Evaluate.

        Args:
            moment: rows and instant.
            lines: shape (size, bytes), packed, all 0; to be filled.
            first_line: the number that `flips` has for the first of them.
            flips: to be told of changes by time.
        """

    def explain(self, leaf: Hashable, moment: Moment) -> object:
        """Return the value that decided for the first of the moment's rows, as JSON values."""
