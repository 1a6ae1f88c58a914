"""The other side of the actors' processes: their names, and handles to call shards by."""

from collections.abc import Awaitable
from typing import Any, cast

from actors.handles import ShardHandle
from actors.model.deliveries import Delivery, Settlement
from actors.once import OF_CONFIGURATION, OF_DESKS, named_once
from actors.remote import Handle
from actors.store import outbox
from actors.store.slots import Placed, Slots

COORDINATOR_NAME = "coordinator"


def shard_name(number: int) -> str:
    """Return the name of a shard's actor."""
    return f"shard-{number}"


def forwarder_name(output: str) -> str:
    """Return the name of the actor of an output's forwarder."""
    return f"forwarder-{output}"


def edge_name(number: int) -> str:
    """Return the name of an edge's actor."""
    return f"edge-{number}"


def remote_shards(workspace: int, slots: Slots, timeout_s: float = 10.0) -> Placed[ShardHandle]:
    """Return handles to a workspace's part of all shards, in order."""
    handles = (
        RemoteShard(workspace, number, slots, timeout_s) for number in range(slots.map.shards)
    )
    return Placed([cast(ShardHandle, each) for each in handles], slots)


class RemoteShard:
    """`actors.handles.ShardHandle` of a workspace's part of a shard's process.

    Every call says by which map of slots it was decided to call this shard.
    """

    def __init__(self, workspace: int, number: int, slots: Slots, timeout_s: float = 10.0) -> None:
        self._workspace = workspace
        self._slots = slots
        self._handle = Handle(shard_name(number), timeout_s=timeout_s)
        self._quick = self._handle.within(1.0)

    async def commit(self, micro: bytes) -> bytes:
        """Apply an encoded micro-batch."""
        return cast(bytes, await self._handle.commit(self._workspace, self._slots.epoch, micro))

    async def read_outbox(
        self, connection: int, after_sequence: int, limit: int, max_bytes: int
    ) -> list[Delivery]:
        """Return the next deliveries of a connection, decoded on this side."""
        encoded = await self._handle.call(
            self._workspace,
            self._slots.epoch,
            "read_outbox_encoded",
            *(connection, after_sequence, limit, max_bytes),
        )
        return outbox.decode(encoded)

    async def ready(self) -> str:
        """Ask whether it can store; soon, because somebody waits at a health check."""
        return cast(str, await self._quick.ready())

    def __getattr__(self, method: str) -> Any:
        def call(*arguments: Any) -> Awaitable[Any]:
            epoch = self._slots.epoch  # now, not when somebody awaits the answer
            return self._handle.call(self._workspace, epoch, method, *arguments)

        return call


class RemoteCoordinator:
    """`actors.handles.CoordinatorHandle` and more, of a workspace's part of the coordinator."""

    def __init__(self, workspace: int, timeout_s: float = 10.0) -> None:
        self._workspace = workspace
        self._handle = Handle(COORDINATOR_NAME, timeout_s=timeout_s)

    def __getattr__(self, method: str) -> Any:
        async def call(*arguments: Any) -> Any:
            named = named_once(method, OF_DESKS)
            return await self._handle.call(self._workspace, *named, *arguments)

        return call


class RemoteConfiguration:
    """`config.desk.ConfigDesk` in the coordinator's process."""

    def __init__(self, timeout_s: float = 10.0) -> None:
        self._handle = Handle(COORDINATOR_NAME, timeout_s=timeout_s)

    def ask(self, method: str, *arguments: Any) -> Any:
        """Call a method and block until it answers."""
        return self._handle.ask_blocking("configure", method, *arguments)

    def __getattr__(self, method: str) -> Any:
        async def call(*arguments: Any) -> Any:
            named = named_once(method, OF_CONFIGURATION)
            return await self._handle.configure(*named, *arguments)

        return call


class PrivacySource:
    """The data subject requests that wait for outputs, as a forwarder sees them."""

    def __init__(self, coordinator: RemoteCoordinator) -> None:
        self._coordinator = coordinator

    async def read(
        self, connection: int, after_sequence: int, limit: int, max_bytes: int
    ) -> list[Delivery]:
        """See `actors.forwarding.streams.OutboxSource`."""
        found: list[Delivery] = await self._coordinator.call_privacy(
            "read_forwards", connection, after_sequence, limit, max_bytes
        )
        return found

    async def settle(self, settlement: Settlement) -> None:
        """See `actors.forwarding.streams.OutboxSource`."""
        await self._coordinator.call_privacy("settle_forwards", settlement)


class ShardSource:
    """A shard's outbox as a forwarder sees it."""

    def __init__(self, handle: ShardHandle) -> None:
        self._handle = handle

    async def read(
        self, connection: int, after_sequence: int, limit: int, max_bytes: int
    ) -> list[Delivery]:
        """Return the next deliveries of a connection."""
        return await self._handle.read_outbox(connection, after_sequence, limit, max_bytes)

    async def settle(self, settlement: Settlement) -> None:
        """Apply a settlement."""
        await self._handle.settle(settlement)
