"""Percentiles: the share of scored users with a lower score (spec/predictions.md, 1)."""

from bisect import bisect_right
from collections.abc import Callable, Iterable

import numpy as np

from actors.audiences.engine.arrays import Bools, Floats, Ints, Places
from actors.model.profiles import Scored
from actors.predictions.objects import Operator, Output, Ranking
from actors.store.scores import MILLION

TEN_THOUSAND = 10_000

_COMPARES: dict[Operator, Callable[[Floats, float], Bools]] = {
    "equals": np.equal,
    "greater_than": np.greater,
    "greater_or_equal": np.greater_equal,
    "less_than": np.less,
    "less_than_or_equal": np.less_equal,
}


class Census:
    """Counts scores; its memory does not depend on how many users there are."""

    def __init__(self) -> None:
        self._counts = np.zeros(MILLION + 1, np.int64)

    def add(self, counts: Iterable[tuple[int, int]]) -> None:
        """Count so many users with each score, in millionths."""
        for millionths, users in counts:
            self._counts[millionths] += users

    @property
    def users(self) -> int:
        """How many were counted."""
        return int(self._counts.sum())

    def ranking(self) -> Ranking:
        """Return the percentiles of all scores: ties share one, and it is rounded down."""
        there = np.flatnonzero(self._counts)
        if not len(there):
            return Ranking((), ())
        _, ranks, _ = self._values("percentile")
        steps = np.flatnonzero(np.diff(ranks, prepend=-1))
        return Ranking(tuple(there[steps].tolist()), tuple(ranks[steps].tolist()))

    def bins(self, output: Output, count: int) -> list[int]:
        """Return how many users have a value in each of so many equal parts of 0 to 1."""
        there, values, one = self._values(output)
        places = np.minimum(values * count // one, count - 1)
        return [int(each) for each in np.bincount(places, self._counts[there], count)]

    def size(self, output: Output, operator: Operator, value: float) -> int:
        """Return how many users' values stand so to another."""
        there, values, one = self._values(output)
        return int(self._counts[there][_COMPARES[operator](values / one, value)].sum())

    def _values(self, output: Output) -> tuple[Places, Ints, int]:
        """Return the scores that there are, the values of an output as wholes, and what is 1."""
        there = np.flatnonzero(self._counts)
        if output == "score":
            return there, there.astype(np.int64), MILLION
        lower = np.cumsum(self._counts[there]) - self._counts[there]
        return there, lower * TEN_THOUSAND // max(self.users, 1), TEN_THOUSAND


def scored(ranking: Ranking, millionths: int) -> Scored:
    """Return what a user with a score is given."""
    place = bisect_right(ranking.steps, millionths) - 1
    rank = ranking.ranks[place] if place >= 0 else 0
    return Scored(millionths / MILLION, rank / TEN_THOUSAND)
