"""Groups as an edge sees them: definitions from the coordinator, members from the shards."""

import asyncio
from collections.abc import Sequence
from typing import Any

from actors.errors import CursorInvalid
from actors.groups.definitions import GroupDefinition, KeptDefinition
from actors.groups.handles import GroupDeskHandle, GroupReader
from actors.model.workspaces import Environment
from actors.store.keys import slot_of_mpid
from actors.store.slots import slots_of
from server.parameters import is_int64


class GroupGateway:
    """`server.deployment.GroupDirectory` over the handles of the actors."""

    def __init__(self, shards: Sequence[GroupReader], desk: GroupDeskHandle) -> None:
        self._shards = shards
        self._desk = desk

    async def definitions(self) -> list[KeptDefinition]:
        """See `GroupDirectory`."""
        return await self._desk.group_definitions()

    async def create(self, definition: GroupDefinition) -> KeptDefinition:
        """See `GroupDirectory`."""
        return await self._desk.create_group(definition)

    async def replace(self, definition: GroupDefinition) -> KeptDefinition | None:
        """See `GroupDirectory`."""
        return await self._desk.replace_group(definition)

    async def delete(self, definition_id: str) -> bool:
        """See `GroupDirectory`."""
        return await self._desk.delete_group(definition_id)

    async def run(self, definition_id: str) -> str | None:
        """See `GroupDirectory`."""
        return await self._desk.run_group(definition_id)

    async def members(
        self, group_id: str, environment: Environment, limit: int, cursor: str | None
    ) -> dict[str, Any] | None:
        """See `GroupDirectory`. A cursor is the last MPID of the page before."""
        if cursor is not None and not is_int64(cursor):
            raise CursorInvalid(cursor)
        definition_id, _, value = group_id.partition(":")
        if not value.isascii():
            return None
        after = None if cursor is None else int(cursor)
        answers = await asyncio.gather(
            *(
                shard.group_members(definition_id, environment, value, after, limit + 1)
                for shard in self._shards
            )
        )
        found = [answer for answer in answers if answer is not None]
        if not found:
            return None
        mpids = sorted(mpid for answer in found for mpid in answer.mpids)
        page = mpids[:limit]
        return {
            "group_id": group_id,
            "mpids": page,
            "attributes": found[0].attributes,
            "next_cursor": str(page[-1]) if len(mpids) > limit else None,
        }

    async def groups_of(
        self, mpid: int, environment: Environment | None
    ) -> list[dict[str, Any]] | None:
        """See `GroupDirectory`."""
        owner = self._shards[slots_of(self._shards).shard_of(slot_of_mpid(mpid))]
        return await owner.user_groups(mpid, environment)
