"""What the group job and its callers ask of processes; see `actors.handles` for the conventions."""

from collections.abc import Sequence
from typing import Any, Protocol

from actors.groups.definitions import GroupDefinition, KeptDefinition
from actors.groups.live import LiveGroups
from actors.groups.pages import GroupPage
from actors.groups.runs import GroupRun, Phase
from actors.model.workspaces import Environment


class GroupShard(Protocol):
    """A shard, to the group job."""

    async def set_groups(self, live: LiveGroups) -> tuple[int, int]:
        """See `GroupWorker.set_groups`. Raises StoreFull."""
        ...

    async def group_slice(self, run: GroupRun, phase: Phase, limit: int) -> bool:
        """See `GroupWorker.group_slice`. Raises StaleGroupRun, StoreFull."""
        ...

    async def group_partials(
        self, run: int, definition: int, after: bytes, limit: int
    ) -> list[tuple[bytes, bytes]]:
        """See `GroupWorker.group_partials`."""
        ...

    async def write_group_values(self, run: int, values: Sequence[tuple[bytes, bytes]]) -> None:
        """See `GroupWorker.write_group_values`. Raises StaleGroupRun, StoreFull."""
        ...


class GroupReader(Protocol):
    """A shard, to those who ask for groups."""

    async def group_members(
        self,
        definition_id: str,
        environment: Environment,
        value: str,
        after: int | None,
        limit: int,
    ) -> GroupPage | None:
        """See `GroupViews.group_members`."""
        ...

    async def user_groups(
        self, mpid: int, environment: Environment | None
    ) -> list[dict[str, Any]] | None:
        """See `GroupViews.user_groups`."""
        ...


class GroupDeskHandle(Protocol):
    """The coordinator, to those who manage groups. Every change raises StoreFull."""

    async def group_definitions(self) -> list[KeptDefinition]:
        """See `GroupDesk.group_definitions`."""
        ...

    async def create_group(self, definition: GroupDefinition) -> KeptDefinition:
        """See `GroupDesk.create_group`. Raises GroupExists, GroupInvalid."""
        ...

    async def replace_group(self, definition: GroupDefinition) -> KeptDefinition | None:
        """See `GroupDesk.replace_group`. Raises GroupInvalid."""
        ...

    async def delete_group(self, definition_id: str) -> bool:
        """See `GroupDesk.delete_group`."""
        ...

    async def run_group(self, definition_id: str) -> str | None:
        """See `GroupDesk.run_group`."""
        ...
