"""Calculated attributes as an edge sees them: the desk of the coordinator, users on the shards."""

import asyncio
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from actors.calculated.calls import CalculatedShard, Planting
from actors.calculated.definition import Attribute, Definition
from actors.calculated.desk import CalculatedDesk
from actors.calculated.detection import are_numbers
from actors.calculated.state import Value
from actors.handles import CoordinatorHandle
from actors.model.micro_batches import Unresolved
from actors.model.workspaces import Environment
from actors.store.keys import slot_of_mpid
from actors.store.slots import slots_of


class Seeded(Struct, frozen=True):
    """What was sent for one user; `planting.mpid` is that of `identities` once they are resolved.

    `identities`: (IDSync type, value) in priority order; empty if the user was named by MPID.
    """

    planting: Planting
    identities: tuple[tuple[str, str], ...] = ()


class CalculatedGateway:
    """Methods raise ShardUnavailable and StoreFull.

    Attributes:
        desk: where attributes are managed.
    """

    def __init__(
        self,
        shards: Sequence[CalculatedShard],
        coordinator: CoordinatorHandle,
        desk: CalculatedDesk,
    ) -> None:
        self._shards = shards
        self._coordinator = coordinator
        self.desk = desk

    async def preview(
        self,
        attribute: Attribute,
        environment: Environment | None,
        mpids: Sequence[int],
        as_of_ms: int,
    ) -> list[Value]:
        """Calculate an attribute for users, in their order; nothing is kept."""
        by_shard: dict[int, list[int]] = {}
        for mpid in mpids:
            by_shard.setdefault(self._place(mpid), []).append(mpid)
        answers = await asyncio.gather(
            *(
                self._shards[place].preview_calculated(attribute, environment, some, as_of_ms)
                for place, some in by_shard.items()
            )
        )
        found = {
            mpid: value
            for some, values in zip(by_shard.values(), answers, strict=True)
            for mpid, value in zip(some, values, strict=True)
        }
        return [found[mpid] for mpid in mpids]

    async def are_numbers(self, definition: Definition) -> bool:
        """Tell whether what a definition's attribute has had of late are numbers."""
        found = await asyncio.gather(*(each.newest_values(definition) for each in self._shards))
        return are_numbers([value for values in found for value in values])

    async def plant(self, seeded: Sequence[Seeded]) -> int:
        """Write seeds; return how many users were dropped because they do not exist.

        Of each shard all is written or nothing; once more writes the same.
        """
        unresolved = [each for each in seeded if each.identities]
        mpids = await self._coordinator.resolve(
            [Unresolved(each.planting.environment, list(each.identities)) for each in unresolved]
        )
        plantings = [each.planting for each in seeded if not each.identities]
        plantings += [
            replace(each.planting, mpid=mpid) for each, mpid in zip(unresolved, mpids, strict=True)
        ]
        by_shard: dict[int, list[Planting]] = {}
        for planting in plantings:
            by_shard.setdefault(self._place(planting.mpid), []).append(planting)
        return sum(
            await asyncio.gather(
                *(self._shards[place].plant_seeds(some) for place, some in by_shard.items())
            )
        )

    def _place(self, mpid: int) -> int:
        return slots_of(self._shards).shard_of(slot_of_mpid(mpid))
