"""Outboxes of several workspaces as one (spec/audiences.md, 12.1).

What an audience that is shared with another account has to say to that account's output waits in
the outboxes of the audience's own workspace. The output's forwarder knows connections by one number
each; those of other workspaces get an alias, which has the workspace in its upper bits.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from actors.forwarding.streams import OutboxSource
from actors.model.deliveries import Delivery, Settlement

_BITS = 32  # of a connection's number in an outbox


def alias(workspace: int, connection: int) -> int:
    """Return what a forwarder calls a connection of a workspace; 0: of its own one."""
    return (workspace << _BITS) | connection


class JoinedSource:
    """One shard's outboxes of several workspaces, as `actors.forwarding.streams.OutboxSource`."""

    def __init__(self, sources: Mapping[int, OutboxSource]) -> None:
        """Args: `sources`: by number of the workspace, 0 for the forwarder's own one."""
        self._sources = sources

    async def read(
        self, connection: int, after_sequence: int, limit: int, max_bytes: int
    ) -> list[Delivery]:
        """See `OutboxSource`."""
        workspace, number = parts(connection)
        found = await self._sources[workspace].read(number, after_sequence, limit, max_bytes)
        return [replace(each, connection=connection) for each in found] if workspace else found

    async def settle(self, settlement: Settlement) -> None:
        """See `OutboxSource`."""
        workspace, number = parts(settlement.connection)
        if workspace:
            settlement = Settlement(
                number,
                settlement.done,
                [
                    replace(each, delivery=replace(each.delivery, connection=number))
                    for each in settlement.dead
                ],
                [replace(each, connection=number) for each in settlement.delayed],
            )
        await self._sources[workspace].settle(settlement)


def parts(connection: int) -> tuple[int, int]:
    """Undo `alias`."""
    return connection >> _BITS, connection & ((1 << _BITS) - 1)
