"""The lists of static audiences (spec/audiences.md, 1 and 14).

A change is kept here until all shards have it, each its own users; the lists themselves lie with
the shards.
"""

import asyncio
from collections.abc import Sequence

from actors.audiences.core import Core
from actors.audiences.objects import ListChange
from actors.audiences.rules import refused
from actors.once import answer_with
from actors.store.keys import slot_of_mpid
from actors.store.slots import slots_of


class StaticLists:
    """Takes changes, and hands them on in the order in which they came."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def change_members(self, number: int, add: Sequence[int], remove: Sequence[int]) -> bool:
        """Change the list of a static audience; tell whether there is one. On disk when answered.

        An MPID that is in both is removed. The workspace document has no lists, so those of its
        audiences can be changed, too. Raises AudienceRefused, StoreFull.
        """
        core = self._core
        with core.changing() as changed:
            audience = changed.audiences.get(number)
            if audience is None:
                return False
            if audience.type != "static":
                raise refused("INVALID_STATE", "Only a static audience has a list.")
            removed = frozenset(remove)
            change = ListChange(
                number,
                tuple(each for each in dict.fromkeys(add) if each not in removed),
                tuple(dict.fromkeys(remove)),
            )
            changed.list_changes[changed.take("next_change")] = change
            answer_with(True)
        core.woken.set()
        return True

    async def hand_on(self) -> None:
        """Give the shards all changes that wait. Raises ShardUnavailable, StoreFull."""
        core = self._core
        for number, change in sorted(core.state.list_changes.items()):
            shards = core.shards
            add, remove = (_by_shard(mpids, shards) for mpids in (change.add, change.remove))
            await asyncio.gather(
                *(
                    shard.change_list(
                        number, change.audience, add[place], remove[place], change.is_cleared
                    )
                    for place, shard in enumerate(shards)
                )
            )
            with core.changing() as changed:
                changed.list_changes.pop(number, None)


def _by_shard(mpids: Sequence[int], shards: Sequence[object]) -> list[list[int]]:
    slots = slots_of(shards)
    split: list[list[int]] = [[] for _ in shards]
    for mpid in mpids:
        split[slots.shard_of(slot_of_mpid(mpid))].append(mpid)
    return split
