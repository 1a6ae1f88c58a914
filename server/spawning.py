"""How each actor of a deployment is spawned, and how it begins its work."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from pydantic import SecretStr

from actors import remote
from actors.forwarding.plan import OutputPlan
from actors.hosted_coordinator import Coordinator
from actors.hosted_forwarder import Forwarder, ForwarderOptions
from actors.hosted_shard import Shard
from actors.model.workspaces import WorkspaceInfo
from actors.privacy.signing import SigningPair
from actors.remote import Handle
from actors.remote_handles import COORDINATOR_NAME, edge_name, forwarder_name, shard_name
from actors.shard_options import StoreOptions
from actors.store.folder import DataFolder
from actors.store.layout import read_slots
from actors.store.slots import SlotMap
from config.compiled_workspaces import shard_options
from config.desk_options import ConfigDeskOptions
from config.served import ServedDocument
from config.settings import Settings
from server.edge import EdgeOptions
from server.host import ServeHost
from server.hosted_edge import Edge
from server.microbatch import QueueOptions
from server.supervisor import Watched
from server.tls import tls_of

# Calls that an asynchronous actor works on at once; HTTP requests are not among them.
CALLS_AT_ONCE = 100
# A call that waits for a shard that is away takes its place for five seconds; the others must not
# run out of places meanwhile (spec/identity.md, V15): see `actors.identity.waiting`.
COORDINATOR_CALLS_AT_ONCE = 1000


class Spawner:
    """Spawns actors; what each is told to begin its work is told again when it was replaced.

    Args:
        workspaces: as the configuration has them now.
        server_key: signs tokens; `signing`: what is said of data subject requests.
    """

    def __init__(
        self,
        settings: Settings,
        workspaces: Sequence[ServedDocument],
        configuration: ConfigDeskOptions,
        server_key: SecretStr,
        signing: SigningPair,
        folder: DataFolder,
        host: ServeHost,
    ) -> None:
        self._settings = settings
        self._workspaces = workspaces
        self._configuration = configuration
        self._server_key = server_key
        self._signing = signing
        self._folder = folder
        self._host = host

    def shards(self) -> list[Watched]:
        """Spawn all shards, each on the node that has its data."""
        settings, folder = self._settings, self._folder
        given = self._workspaces[0].numbers.workspaces  # also of those that are left out now
        parts = [shard_options(each, settings.shards) for each in self._workspaces]
        there = remote.nodes() if folder.nodes else frozenset()
        spawned = []
        for number in range(settings.shards):
            node = folder.nodes[number] if folder.nodes else None
            is_begun = number < folder.made
            options = StoreOptions(
                number=number,
                of=settings.shards,
                folder=folder.shard(number),
                map_size_bytes=settings.map_size_bytes,
                profile_cache_bytes=settings.profile_cache_bytes,
                workspaces=len(given),
                scopes=frozenset(each.info.scope for each in self._workspaces),
                node_folder=folder.node_folder,
                is_begun=is_begun,
                is_late=is_begun and node is not None and node not in there,
                slots=folder.slots,
            )
            # One call at a time: the order of calls is the order of changes.
            handle = remote.spawn(
                shard_name(number), Shard, options, parts, self._host, calls_at_once=1, node=node
            )
            going_on = self._with_slots(handle.go_on)
            spawned.append(Watched("shard", str(number), handle, going_on, node))
        return spawned

    def coordinator(self) -> Watched:
        """Spawn the coordinator."""
        handle = remote.spawn(
            COORDINATOR_NAME,
            Coordinator,
            self._folder.coordinator,
            self._settings.map_size_bytes,
            partial(read_slots, self._folder.path),
            self._configuration,
            self._signing,
            self._settings.egress_allow,
            self._host,
            calls_at_once=COORDINATOR_CALLS_AT_ONCE,
        )

        async def start() -> None:
            await handle.start(self._folder.slots.epoch)

        return Watched("coordinator", "0", handle, start)

    def forwarder(self, workspace: WorkspaceInfo, plan: OutputPlan) -> Watched:
        """Spawn the forwarder of an output."""
        name = plan.info.id
        others = (each.info for each in self._workspaces)
        options = ForwarderOptions(
            plan=plan,
            workspace=workspace.number,
            workspace_id=workspace.id,
            sharers=tuple(each.number for each in others if each.account != workspace.account),
            slots=self._folder.slots,
            spool_dir=self._folder.spool(name),
            egress_allow=self._settings.egress_allow,
            python_dir=self._settings.python_outputs,
        )
        handle = remote.spawn(
            forwarder_name(name), Forwarder, options, self._host, calls_at_once=CALLS_AT_ONCE
        )
        return Watched("forwarder", name, handle, self._with_slots(handle.start))

    def edges(self, listen: Callable[[Handle], Awaitable[None]]) -> list[Watched]:
        """Spawn all edges, the same number on each node; `listen`: has one serve."""
        settings = self._settings
        options = EdgeOptions(
            workspaces=tuple(self._workspaces),
            settings=settings,
            server_key=self._server_key,
            signing=self._signing,
            queues=QueueOptions(
                calls_in_flight=settings.calls_in_flight,
                max_micro_batch_bytes=settings.max_micro_batch_bytes,
                max_queue_bytes=settings.max_queue_bytes,
                max_queue_s=settings.max_queue_s,
            ),
            tls=tls_of(settings),
        )
        places = [place for place in settings.nodes or (None,) for _ in range(settings.edges)]
        spawned = []
        for number, node in enumerate(places):
            handle = remote.spawn(
                edge_name(number),
                Edge,
                number,
                options,
                self._folder.slots,
                settings.shard_timeout_s,
                self._folder.path / "limits",
                self._folder.node_folder,
                self._host,
                calls_at_once=CALLS_AT_ONCE,
                node=node,
            )
            spawned.append(Watched("edge", str(number), handle, partial(listen, handle), node))
        return spawned

    def _with_slots(
        self, start: Callable[[SlotMap], Awaitable[Any]]
    ) -> Callable[[], Awaitable[None]]:
        """Return what starts an actor by the map of slots as it is then."""

        async def start_now() -> None:
            await start(self._folder.slots)

        return start_now
