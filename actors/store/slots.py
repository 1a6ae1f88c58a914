"""Which shard owns which slots: evenly shared at first, and what was moved since.

A process has one `Slots`, which everybody in it asks. `epoch` counts the maps: a shard tells by it
who asks by one of before its own slots changed.
"""

from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from actors.store.keys import SLOTS, shard_of_slot

T = TypeVar("T")

Run = tuple[int, int]  # first slot, shard that owns it and those up to the next run


class SlotMap(Struct, frozen=True):
    """One map of all slots to `shards` shards: the runs in order, the first from slot 0."""

    shards: int
    runs: tuple[Run, ...]
    epoch: int = 0

    def moved(self, first: int, last: int, to: int) -> "SlotMap":
        """Return the next map, with the slots from `first` to `last` on another shard."""
        owners = owners_of(self)
        owners[first : last + 1] = array("H", [to]) * (last + 1 - first)
        return replace(self, runs=_runs(owners), epoch=self.epoch + 1)


class Slots:
    """The map that holds now."""

    def __init__(self, slots: SlotMap) -> None:
        self.map = slots
        self._owners = owners_of(slots)

    @property
    def epoch(self) -> int:
        """Which map it is."""
        return self.map.epoch

    def shard_of(self, slot: int) -> int:
        """Return which shard owns a slot."""
        return self._owners[slot]

    def take_over(self, slots: SlotMap) -> bool:
        """Go on with a later map; tell whether it is one."""
        if slots.epoch <= self.map.epoch:
            return False
        self.map, self._owners = slots, owners_of(slots)
        return True


class Placed(list[T]):
    """One of something for each shard, in order, and which slots each has."""

    def __init__(self, members: Iterable[T], slots: Slots) -> None:
        super().__init__(members)
        self.slots = slots


def slots_of(members: Sequence[object]) -> Slots:
    """Return the slots of what there is one of for each shard; all have as many, if none says."""
    return members.slots if isinstance(members, Placed) else _evenly(len(members))


@lru_cache(64)
def even(shards: int) -> SlotMap:
    """Return the map of a new deployment: each shard has one run, all are as long."""
    return SlotMap(shards, _runs([shard_of_slot(slot, shards) for slot in range(SLOTS)]))


def owners_of(slots: SlotMap) -> "array[int]":
    """Return the owner of each slot."""
    owners = array("H")
    if not slots.runs:  # nobody has any
        return owners
    ends = [*(first for first, _ in slots.runs[1:]), SLOTS]
    for (first, shard), end in zip(slots.runs, ends, strict=True):
        owners.extend([shard] * (end - first))
    return owners


@lru_cache(64)
def _evenly(shards: int) -> Slots:
    return Slots(even(shards))


def _runs(owners: Sequence[int]) -> tuple[Run, ...]:
    return tuple(
        (slot, shard) for slot, shard in enumerate(owners) if slot == 0 or owners[slot - 1] != shard
    )
