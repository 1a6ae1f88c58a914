"""The process of a shard, and what it needs alone: nothing of outputs, desks and HTTP."""

import logging
from collections.abc import Sequence
from typing import Any

import msgspec

from actors import shard
from actors.clock import SystemClock
from actors.disk_wait import wait_for_disk
from actors.errors import ActorFailed, ShardUnavailable, StoreFull
from actors.hosting import Host, Process, restarting_if_damaged, settle_memory
from actors.metric_groups import ShardMetrics
from actors.metric_snapshots import snapshot
from actors.model import MicroBatch, Result
from actors.node_store import found_here
from actors.remote import is_restarted
from actors.remote_handles import RemoteConfiguration
from actors.shard_calls import ShardCalls
from actors.shard_options import ShardOptions, StoreOptions
from actors.shard_state import ShardState
from actors.sweeper import Sweeper
from actors.waking import Waker

logger = logging.getLogger("headwater.actors")

NEWEST_PATIENCE_S = 30.0  # a coordinator that has died as well is back before


def newest(workspaces: Sequence[ShardOptions]) -> Sequence[ShardOptions]:
    """Return how the parts of a shard are set up by now: it may be started again after a long time.

    Without the coordinator what was given holds, until the coordinator is back and tells.
    """
    try:
        answered: Sequence[ShardOptions] = RemoteConfiguration(NEWEST_PATIENCE_S).ask(
            "shard_options"
        )
    except (ActorFailed, ShardUnavailable, RuntimeError):
        logger.info("a shard begins with what it was given", extra={"event": "newest_unknown"})
        return workspaces
    return answered


class Shard(Process):
    """The process of one shard; its calls run one after the other, in the order received."""

    def __init__(
        self, options: StoreOptions, workspaces: Sequence[ShardOptions], host: Host
    ) -> None:
        super().__init__(host, "shard", str(options.number))
        clock = SystemClock()
        self._metrics = ShardMetrics(host.version)
        options = found_here(options, clock, is_restarted=is_restarted())
        wait_for_disk(options.folder, is_restarted=is_restarted())
        self._state = ShardState(options, clock)
        workspaces = newest(workspaces)
        wake = Waker(options.number).wake
        self._shards = {
            each.workspace.number: shard.Shard(self._state, each, clock, self._metrics, wake)
            for each in workspaces
        }
        self._calls = {number: ShardCalls(each, clock) for number, each in self._shards.items()}
        self._sweeper = Sweeper(self._state, tuple(self._shards.values()), clock)
        self._decode = msgspec.msgpack.Decoder(MicroBatch).decode
        self._encode = msgspec.msgpack.Encoder().encode
        settle_memory()
        logger.info("a shard has started", extra={"event": "shard_started"})

    @restarting_if_damaged()
    def commit(self, workspace: int, micro: bytes) -> bytes:
        """Apply an encoded micro-batch (`Shard.commit`)."""
        results: list[Result] = self._shards[workspace].commit(self._decode(micro))
        return self._encode(results)

    @restarting_if_damaged()
    def call(self, workspace: int, method: str, *arguments: Any) -> Any:
        """Call a method of a workspace's part of the shard (`ShardCalls.call`)."""
        return self._calls[workspace].call(method, *arguments)

    @restarting_if_damaged()
    def forget_micro_batches(self) -> None:
        """See `Shard.forget_micro_batches`."""
        for each in self._shards.values():
            each.forget_micro_batches()

    @restarting_if_damaged()
    def ready(self) -> str:
        """Say whether something can be stored: `ok`, or why not."""
        try:
            self._state.probe()
        except StoreFull as error:
            return str(error)
        return "ok"

    @restarting_if_damaged()
    def sweep(self) -> bool:
        """Remove some of what is past its retention (`Sweeper.sweep`)."""
        return self._sweeper.sweep()

    @restarting_if_damaged()
    def metrics(self) -> bytes:
        """Return a snapshot of the process's metrics."""
        self._state.show(self._metrics)
        for each in self._shards.values():
            each.show()
        return snapshot(self._metrics.registry)

    @restarting_if_damaged()
    def status(self) -> dict[str, Any]:
        """Describe the shard for a status page."""
        connections: dict[str, Any] = {}
        for each in self._shards.values():
            connections |= each.outbox.queues.depths()
        return self._state.status() | {"connections": connections}

    def close(self) -> None:
        """Let go of the store; nothing can be called afterwards."""
        self._state.close()
