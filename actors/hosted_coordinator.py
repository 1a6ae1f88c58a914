"""The process of the coordinator: the stores and desks of all workspaces, by one map of slots."""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from actors.clock import SystemClock, SystemRandomness
from actors.desk_options import DeskOptions
from actors.desks import Desks, calculated_in_use, other_desks, readers_of_events
from actors.disk_wait import wait_for_disk, wait_for_room
from actors.errors import ShardUnavailable, SlotsMoving
from actors.hosting import Host, Process, restarting_if_damaged
from actors.identity.sequencer import Sequencer
from actors.identity.waiting import Waiting
from actors.metric_groups import CoordinatorMetrics
from actors.metric_snapshots import snapshot
from actors.output_states import Seal
from actors.outputs.egress import EgressRules
from actors.privacy.callbacks import SignedPost
from actors.privacy.handles import Surroundings
from actors.privacy.signing import Signer, SigningPair
from actors.remote import Handle, is_restarted
from actors.remote_handles import forwarder_name, remote_shards
from actors.store.environment import Store
from actors.store.files import wait_until_free
from actors.store.layout import (
    configuration_store,
    coordinator_stores,
    scope_store,
    workspace_store,
)
from actors.store.slots import SlotMap, Slots
from actors.store_wait import wait_for_coordinators
from actors.waking import Waker

logger = logging.getLogger("headwater.actors")


async def reread(output: str) -> None:
    """Have an output's forwarder let go of what it holds; one that does not answer holds nothing
    for long."""
    try:
        await Handle(forwarder_name(output)).reread()
    except ShardUnavailable:
        logger.warning(
            "a forwarder was not told of an erasure",
            extra={"event": "reread_missed", "output": output},
        )


class Configuration(Protocol):
    """Where configurations are applied: `config.desk.ConfigDesk`."""

    def desk_options(self) -> Sequence[DeskOptions]:
        """Return how the workspaces' parts of the coordinator are set up."""
        ...

    def bind(
        self,
        shards: Mapping[int, Sequence[Any]],
        take_over: Callable[[DeskOptions], None],
        readers_of_events: Callable[[int], Iterable[tuple[str, str]]],
        made_audiences: Callable[[int], Mapping[str, int]],
        calculated_in_use: Callable[[int], Mapping[int, int]],
    ) -> None:
        """Say whom to tell, who reads which events of a workspace, and of the audiences that no
        document manages which names its account's have, and which attributes they refer to."""
        ...

    async def release(self, workspace: int, section: str, name: str) -> None:
        """Have the file of a workspace let go of an audience or a calculated attribute."""
        ...

    async def run(self) -> None:
        """Tell who was away, for ever."""
        ...


class ConfigurationOptions(Protocol):
    """How the desk of configurations is set up: `config.desk_options.ConfigDeskOptions`."""

    def open_store(self, coordinator: Path) -> Store:
        """Open the store of the configuration."""
        ...

    def open_desk(self, store: Store) -> Configuration:
        """Open the desk over it."""
        ...

    def open_seal(self) -> Seal:
        """Return what encrypts all that is kept of secrets."""
        ...


class Coordinator(Process):
    """The process of the coordinator."""

    def __init__(
        self,
        folder: Path,
        map_size_bytes: int,
        slots: Callable[[], SlotMap],
        configuration: ConfigurationOptions,
        signing: SigningPair,
        egress_allow: tuple[str, ...],
        host: Host,
    ) -> None:
        """Args: `slots` returns who owns which now; it can be pickled."""
        super().__init__(host, "coordinator", "0")
        wait_for_disk(folder, may_wait=is_restarted())
        if is_restarted():  # the process before may be ending still
            for store in coordinator_stores(folder):
                wait_until_free(store, SystemClock())
        self._folder = folder
        self._map_size_bytes = map_size_bytes
        self._read_slots = slots
        self._options = configuration
        post = SignedPost(Signer(signing), EgressRules(egress_allow))
        waker = Waker(0)  # what waits for outputs in this process is their only source
        self._surroundings = Surroundings(signing.domain, post, waker.wake, reread)
        self._calls: set[asyncio.Task[Any]] = set()
        self._following: asyncio.Task[None] | None = None
        self._is_reopening = False
        self._is_closed = False
        self._is_begun = is_restarted()
        wait_for_room(self._open, self._let_go, may_wait=is_restarted())
        self._is_begun = True

    def _open(self) -> None:
        """Take up what the stores have, by the map of slots as it is now. Raises StoreFull."""
        self._metrics = CoordinatorMetrics(self._host.version)
        folder, map_size_bytes, configuration = self._folder, self._map_size_bytes, self._options
        clock, randomness, waiting = SystemClock(), SystemRandomness(), Waiting()
        self._wait_for(configuration_store(folder))
        self._stores: list[Store] = [configuration.open_store(folder)]
        self._configuration = configuration.open_desk(self._stores[0])
        workspaces = self._configuration.desk_options()
        self._sequencers: dict[int, Sequencer] = {}
        self._desks: dict[int, Desks] = {}
        self._slots = placed = Slots(self._read_slots())
        for options in workspaces:
            number, scope = options.workspace.number, options.workspace.scope
            handles = remote_shards(number, placed)
            if scope not in self._sequencers:
                self._wait_for(shared := scope_store(folder, scope))
                self._stores.append(Store(shared, map_size_bytes))
                self._sequencers[scope] = Sequencer(
                    self._stores[-1], handles, scope, clock, randomness, self._metrics, waiting
                )
            self._wait_for(own := workspace_store(folder, number))
            self._stores.append(Store(own, map_size_bytes))
            self._desks[number] = Desks(
                own,
                self._stores[-1],
                self._sequencers[scope],
                handles,
                options,
                clock,
                randomness,
                self._metrics,
                partial(other_desks, number, self._desks),
                configuration.open_seal(),
                self._surroundings,
                partial(self._configuration.release, number),
            )
        desks_of = self._desks
        for desks in desks_of.values():
            desks.audiences.begin()
        self._configuration.bind(
            {number: remote_shards(number, placed) for number in desks_of},
            lambda options: desks_of[options.workspace.number].take_over(options),
            lambda workspace: readers_of_events(workspace, desks_of),
            lambda workspace: desks_of[workspace].audiences.made_names(),
            lambda workspace: calculated_in_use(workspace, desks_of),
        )

    def _wait_for(self, store: Path) -> None:
        wait_for_coordinators(store, may_wait=self._is_begun)

    async def start(self, epoch: int) -> None:
        """Begin what runs by itself, unless it has begun, by the map of slots of an epoch.

        Where slots have moved since, all is taken up anew, as after a death of the process: what
        was decided and is being written goes by the map, and so does most of what is under way.
        """
        if self._is_closed or self._is_reopening:
            return
        if epoch > self._slots.epoch:
            await self._reopen()
        for desks in self._desks.values():
            desks.start(restarting_if_damaged)
        if self._following is None or self._following.done():
            running = self._configuration.run()
            self._following = asyncio.get_running_loop().create_task(running)

    async def _reopen(self) -> None:
        self._is_reopening = True
        try:
            for call in self._calls:
                call.cancel()
            if self._calls:
                await asyncio.wait(self._calls)
            await self._shut()
            with restarting_if_damaged():
                self._open()
        except BaseException:
            logger.critical(
                "the coordinator cannot go on after a move; the process ends, to be started again",
                extra={"event": "reopen_failed"},
                exc_info=True,
            )
            os._exit(1)
        self._is_reopening = False

    async def configure(self, method: str, *arguments: Any) -> Any:
        """Call a method of `config.desk.ConfigDesk`.

        Raises:
            SlotsMoving: as for `call`.
        """
        with self._calling():
            return await getattr(self._configuration, method)(*arguments)

    async def call(self, workspace: int, method: str, *arguments: Any) -> Any:
        """Call a method of a workspace's part of the coordinator (`Desks.call`).

        Raises:
            SlotsMoving: it is, or was, cut off by a move; it may have been done. What has an id
                (`Desks.once`) is answered that when it is asked for again.
        """
        with self._calling():
            return await self._desks[workspace].call(method, *arguments)

    @contextmanager
    def _calling(self) -> Iterator[None]:
        """Cut a call off when all is taken up anew: whoever has called asks again."""
        if self._is_reopening:
            raise SlotsMoving("slots are being moved")
        task = asyncio.current_task()
        assert task is not None, "calls are made by tasks"
        self._calls.add(task)
        try:
            with restarting_if_damaged():
                yield
        except asyncio.CancelledError:
            if not self._is_reopening:
                raise
            task.uncancel()
            raise SlotsMoving("slots are being moved") from None
        finally:
            self._calls.discard(task)

    def pid(self) -> int:
        """Return the process that answers; asked for at once after a start."""
        for sequencer in self._sequencers.values():
            sequencer.start()
        return super().pid()

    async def metrics(self) -> bytes:
        """Return a snapshot of the process's metrics."""
        return snapshot(self._metrics.registry)

    async def close(self) -> None:
        """End what runs by itself, and let go of the stores."""
        self._is_closed = True
        await self._shut()

    async def _shut(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        for desks in self._desks.values():
            await desks.close()
        for sequencer in self._sequencers.values():
            sequencer.close()
        self._let_go()

    def _let_go(self) -> None:
        for store in self._stores:
            store.close()
