"""Which row a profile has, and what is known of a row besides its columns."""

from collections.abc import Iterator
from itertools import chain
from sys import getsizeof

import numpy as np

from actors.audiences.engine.arrays import FAR, Bools, Places
from actors.audiences.engine.growing import Growing, next_capacity
from actors.model.profiles import ProfileKey
from actors.model.workspaces import ENVIRONMENTS, Environment

_PARTS = 64  # of what finds rows: each grows by itself, so that growth holds up nobody
_NUMBERS_BYTES = getsizeof(1 << 40) + getsizeof(1 << 20)  # an MPID and its row as objects


class Rows:
    """Dense rows, one per profile; those of deleted profiles are used again.

    Attributes:
        mpid, environment (index into `ENVIRONMENTS`): whose row it is.
        alive_until_ms: the last instant when the row belongs to the population, by its last
            activity; -1 while it does not at all (opted out, no live section, no row).
        due_ms: when something can change without data; `wake_ms`: when the owner wants to look.
        revision: of the definitions that its entries and columns were filled for.
    """

    def __init__(self) -> None:
        self.capacity = 0
        self.mpid = Growing(np.int64)
        self.environment = Growing(np.int8)
        self.alive_until_ms = Growing(np.int64, -1)
        self.due_ms = Growing(np.int64, FAR)
        self.wake_ms = Growing(np.int64, FAR)
        self.revision = Growing(np.int64)
        self._all = (
            self.mpid,
            self.environment,
            self.alive_until_ms,
            self.due_ms,
            self.wake_ms,
            self.revision,
        )
        self._scope = 0
        self._row_of: dict[Environment, tuple[dict[int, int], ...]] = {
            each: tuple({} for _ in range(_PARTS)) for each in ENVIRONMENTS
        }
        self._free: list[int] = []
        self._end = 0

    def __len__(self) -> int:
        """Return how many profiles have a row."""
        return sum(map(len, chain.from_iterable(self._row_of.values())))

    @property
    def nbytes(self) -> int:
        """The bytes of the arrays."""
        return sum(each.nbytes for each in self._all)

    @property
    def index_bytes(self) -> int:
        """The bytes of what finds the row of an MPID."""
        indexes = chain.from_iterable(self._row_of.values())
        return sum(getsizeof(each) + len(each) * _NUMBERS_BYTES for each in indexes)

    def find(self, key: ProfileKey) -> int | None:
        """Return the row of a profile."""
        return self._row_of[key.environment][key.mpid % _PARTS].get(key.mpid)

    def make_room(self) -> None:
        """Let there be room for one more row, up to `capacity`. Raises OSError if it cannot be."""
        if self._free or self._end < self.capacity:
            return
        capacity = next_capacity(self.capacity)
        for each in self._all:
            each.grow(capacity)
        self.capacity = capacity

    def take(self, key: ProfileKey) -> int:
        """Return the row of a profile, a new one if it has none: `make_room` comes before."""
        row = self.find(key)
        if row is not None:
            return row
        if self._free:
            row = self._free.pop()
        else:
            row = self._end
            self._end += 1
        self._scope = key.scope
        self._row_of[key.environment][key.mpid % _PARTS][key.mpid] = row
        self.mpid.array[row] = key.mpid
        self.environment.array[row] = ENVIRONMENTS.index(key.environment)
        self.alive_until_ms.array[row] = -1
        self.due_ms.array[row] = FAR
        self.wake_ms.array[row] = FAR
        self.revision.array[row] = 0
        return row

    def drop(self, key: ProfileKey) -> int | None:
        """Give up the row of a profile; return which it was."""
        row = self._row_of[key.environment][key.mpid % _PARTS].pop(key.mpid, None)
        if row is not None:
            self.alive_until_ms.array[row] = -1
            self.due_ms.array[row] = self.wake_ms.array[row] = FAR
            self._free.append(row)
        return row

    def keys(self, rows: Places) -> list[ProfileKey]:
        """Return whose rows these are."""
        scope = self._scope
        return [
            ProfileKey(scope, ENVIRONMENTS[environment], mpid)
            for environment, mpid in zip(
                self.environment.array[rows].tolist(), self.mpid.array[rows].tolist(), strict=True
            )
        ]

    def used(self) -> Places:
        """Return all rows in use, ascending."""
        is_free = np.zeros(self._end, np.bool_)
        is_free[self._free] = True
        return np.flatnonzero(~is_free)

    def slices(self, size: int) -> Iterator[Places]:
        """Return all rows in use, so many at a time."""
        used = self.used()
        for start in range(0, len(used), size):
            yield used[start : start + size]

    def due(self, now_ms: int) -> Places:
        """Return the rows that are due."""
        first = np.minimum(self.due_ms.array[: self._end], self.wake_ms.array[: self._end])
        return np.flatnonzero(first <= now_ms)

    def is_alive(self, rows: Places, now_ms: int) -> Bools:
        """Tell which rows belong to the population."""
        alive: Bools = self.alive_until_ms.array[rows] >= now_ms
        return alive
