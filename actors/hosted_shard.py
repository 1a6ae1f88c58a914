"""The process of a shard, and what it needs alone: nothing of outputs, desks and HTTP."""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from actors import shard
from actors.clock import SystemClock
from actors.disk_wait import wait_for_disk, wait_for_room
from actors.errors import (
    ActorFailed,
    ShardUnavailable,
    SlotsMoved,
    SlotsMoving,
    StoreFull,
)
from actors.hosting import Host, Process, restarting_if_damaged, settle_memory
from actors.metric_groups import ShardMetrics
from actors.metric_snapshots import snapshot
from actors.model.micro_batches import MicroBatch, Result
from actors.node_store import found_here
from actors.remote import is_restarted
from actors.remote_handles import RemoteConfiguration
from actors.shard_calls import ShardCalls
from actors.shard_options import ShardOptions, StoreOptions
from actors.shard_state import ShardState
from actors.store import micro_batches, moving, slot_pages
from actors.store.environment import Store
from actors.store.files import wait_until_free
from actors.store.moving import Move
from actors.store.slot_pages import Page, Place
from actors.store.slots import SlotMap
from actors.sweeper import Sweeper
from actors.waking import Waker

logger = logging.getLogger("headwater.actors")

MOVING = "slots are being moved"
PATIENCE_S = 30.0  # with a move, which takes some seconds, before it is trouble
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
        self._clock = SystemClock()
        self._metrics = ShardMetrics(host.version)
        is_back = options.is_late or is_restarted()
        options = found_here(options, self._clock, may_wait=is_back)
        wait_for_disk(options.folder, may_wait=is_back)
        if is_back:  # the process before may be ending still
            wait_until_free(options.folder, self._clock)
        self._options = options
        self._workspaces = workspaces
        self._decode = msgspec.msgpack.Decoder(MicroBatch).decode
        self._encode = msgspec.msgpack.Encoder().encode
        self._shards: dict[int, shard.Shard] = {}
        self._calls: dict[int, ShardCalls] = {}
        self._state = ShardState(options, self._clock)
        self._is_moving = moving.under_way(self._state.store) is not None
        self._moving_since_s = self._clock.monotonic()
        if not self._is_moving:
            begin = partial(self._begin, newest(workspaces))
            wait_for_room(begin, self._open_anew, may_wait=is_back)
        elif not is_back:  # a run has ended in the midst of a move
            self.go_on(self._state.slots.map)
        else:
            logger.warning("a shard waits while slots move", extra={"event": "shard_moving"})

    def _begin(self, workspaces: Sequence[ShardOptions]) -> None:
        """Serve what the store has. Raises StoreFull: the state is then to be opened anew."""
        state, clock = self._state, self._clock
        wake = Waker(self._options.number).wake
        self._shards = {
            each.workspace.number: shard.Shard(state, each, clock, self._metrics, wake)
            for each in workspaces
        }
        self._calls = {number: ShardCalls(each, clock) for number, each in self._shards.items()}
        self._sweeper = Sweeper(state, tuple(self._shards.values()), clock)
        settle_memory()
        logger.info("a shard has started", extra={"event": "shard_started"})

    def _open_anew(self) -> None:
        self._shards = {}  # they hold what is closed
        self._state.close()
        self._state = ShardState(self._options, self._clock)

    @restarting_if_damaged()
    def commit(self, workspace: int, epoch: int, micro: bytes) -> bytes:
        """Apply an encoded micro-batch (`Shard.commit`), sent by the map of slots of an epoch.

        Raises:
            SlotsMoving, SlotsMoved: it was not applied, and by this epoch never will be.
        """
        decoded = self._decode(micro)
        if self._is_moving or epoch < self._state.slots.epoch:
            return self._encode(self._seen(workspace, decoded))
        results: list[Result] = self._shards[workspace].commit(decoded)
        return self._encode(results)

    @restarting_if_damaged()
    def call(self, workspace: int, epoch: int, method: str, *arguments: Any) -> Any:
        """Call a method of a workspace's part of the shard (`ShardCalls.call`).

        Raises:
            SlotsMoving, SlotsMoved: as `commit`.
        """
        if self._is_moving or epoch < self._state.slots.epoch:
            raise self._refusal()
        return self._calls[workspace].call(method, *arguments)

    def _refusal(self) -> ShardUnavailable:
        return SlotsMoving(MOVING) if self._is_moving else SlotsMoved("slots have moved")

    def _seen(self, workspace: int, micro: MicroBatch) -> list[Result]:
        """Return the results of a micro-batch that was applied before slots moved."""
        with self._state.store.of(workspace).read() as txn:
            known = micro_batches.seen(txn, micro)
        if known is None:
            raise self._refusal()
        return known

    # -- Moving slots -----------------------------------------------------------------------------

    @restarting_if_damaged()
    def begin_move(self, move: Move) -> None:
        """Do nothing from now on but what follows here, until `go_on`.

        Raises:
            ShardUnavailable: another move has not been settled.
            StoreFull: all goes on as before.
        """
        if moving.under_way(self._state.store) not in (None, move):
            raise ShardUnavailable(MOVING)
        moving.begin(self._state.store, move)
        self._is_moving = True
        self._moving_since_s = self._clock.monotonic()

    @restarting_if_damaged()
    def read_page(self, first: int, last: int, place: Place) -> Page:
        """See `actors.store.slot_pages.read_page`."""
        return slot_pages.read_page(self._moving_store(), first, last, place)

    @restarting_if_damaged()
    def read_scattered(self, first: int, last: int, place: Place) -> Page:
        """See `actors.store.slot_pages.read_scattered`."""
        return slot_pages.read_scattered(self._moving_store(), first, last, place)

    @restarting_if_damaged()
    def write_page(self, page: Page) -> None:
        """See `actors.store.slot_pages.write_page`."""
        slot_pages.write_page(self._moving_store(), page)

    @restarting_if_damaged()
    def read_records(self) -> bytes:
        """See `actors.store.moving.read_records`."""
        return moving.read_records(self._moving_store())

    @restarting_if_damaged()
    def keep_records(self, records: bytes) -> None:
        """See `actors.store.moving.keep_records`."""
        moving.keep_records(self._moving_store(), records)

    @restarting_if_damaged()
    def go_on(self, slots: SlotMap) -> None:
        """Serve what is owned by a map of slots; nothing is done if no slots are moving.

        Raises:
            StoreFull: nothing is served yet; to be called again.
        """
        if not self._is_moving:
            return
        moving.settle(self._state.store, self._options.number, slots)
        # A coordinator may have told this process more than it was started with.
        workspaces = [each.options for each in self._shards.values()] or newest(self._workspaces)
        self._options = replace(self._options, slots=slots)
        self._open_anew()
        self._begin(workspaces)
        self._is_moving = False

    def _moving_store(self) -> Store:
        if not self._is_moving:
            raise ShardUnavailable("no slots are moving")
        return self._state.store

    # -- Looking after ----------------------------------------------------------------------------

    @restarting_if_damaged()
    def forget_micro_batches(self) -> None:
        """See `Shard.forget_micro_batches`."""
        for each in self._shards.values():
            each.forget_micro_batches()

    @restarting_if_damaged()
    def ready(self) -> str:
        """Say whether something can be stored: `ok`, or why not."""
        if self._is_moving and self._clock.monotonic() > self._moving_since_s + PATIENCE_S:
            return MOVING
        try:
            self._state.probe()
        except StoreFull as error:
            return str(error)
        return "ok"

    @restarting_if_damaged()
    def sweep(self) -> bool:
        """Remove some of what is past its retention; tell whether (`Sweeper.sweep`)."""
        return not self._is_moving and self._sweeper.sweep()

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
