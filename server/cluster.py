"""The actors of a deployment: started in order, stopped in order."""

import asyncio
import logging
import shutil
from collections.abc import Sequence

from actors import remote
from actors.clock import Clock
from actors.errors import ActorFailed, ShardUnavailable
from actors.forwarding.plan import OutputPlan
from actors.model.workspaces import WorkspaceInfo
from actors.remote import Handle
from actors.store.folder import DataFolder
from actors.store.slots import SlotMap
from config.compiled_outputs import output_plans
from config.served import ServedDocument
from config.settings import Settings
from server.slot_moves import SlotMoves
from server.spawning import Spawner
from server.supervisor import Watched

logger = logging.getLogger("headwater.serve")

START_TIMEOUT_S = 120.0  # a store of many gigabytes takes a while to be opened
FORMER_S = 20.0  # in which a cluster ends the actors of a run that was killed
FORMER_PAUSE_S = 0.1
STOP_TIMEOUT_S = 5.0  # with all that comes before and after, an end within 10 s
LOOK_S = 5.0  # after which it is looked again whether an actor's node is there


class Cluster:
    """Starts and stops what a deployment consists of.

    Attributes:
        watched: what it consists of.
        port: of the edges; the one taken, once they listen.
        has_started: whether all of it works.
    """

    def __init__(
        self,
        settings: Settings,
        workspaces: Sequence[ServedDocument],
        spawner: Spawner,
        folder: DataFolder,
        clock: Clock,
    ) -> None:
        """Set up; `workspaces`: as the configuration has them now."""
        self.watched: list[Watched] = []
        self.port = settings.port
        self.has_started = False
        self._outputs: dict[int, set[str]] = {}  # number of a workspace to those with a forwarder
        self._settings = settings
        self._workspaces = workspaces
        self._spawner = spawner
        self._folder = folder
        self._clock = clock
        self._changing = asyncio.Lock()
        self.moves = SlotMoves(self.watched, folder, self._changing, clock)

    async def start(self) -> None:
        """Start shards, coordinator, forwarders and edges; return once all of them work.

        Raises:
            ActorFailed: an actor cannot be started, such as one whose store cannot be opened.
            ShardUnavailable: an actor did not start in time.
        """
        await self._await_end_of_former()
        self.watched += self._spawner.shards()
        self.watched.append(self._spawner.coordinator())
        for served in self._workspaces:
            self._outputs[served.info.number] = set()
            for plan in output_plans(served.document, served.numbers):
                self._spawn_forwarder(served.info, plan)
        self.watched += self._spawner.edges(self._listen)
        for each in self.watched:
            each.pid = await self._await_process(each)
        there = [each for each in self.watched if each.pid is not None]
        for each in there:
            if each.role == "shard":  # before an edge of this run can send any
                await each.handle.within(START_TIMEOUT_S).forget_micro_batches()
        for each in there:
            patient = each.handle.within(START_TIMEOUT_S)
            if each.role == "edge":
                self.port = await patient.start(self._settings.host, self.port, self._slots)
            elif each.role == "shard":  # one that has died since may have much to settle
                await patient.go_on(self._slots)
            elif each.start is not None:
                await each.start()
        self._folder.begun()
        self.has_started = True

    @property
    def recovered_shards(self) -> int:
        """How many shards have opened their stores so far."""
        return sum(each.role == "shard" and each.pid is not None for each in self.watched)

    @property
    def _slots(self) -> SlotMap:
        return self._folder.slots

    async def drain(self) -> None:
        """Turn the edges' `/readyz` to 503."""
        await self._tell("edge", "drain")

    async def stop(self) -> None:
        """Stop listening, answer what is in flight, settle what was delivered, close the stores."""
        await self.moves.close()
        # At once: what the last requests bring waits in the outboxes for the next start.
        await asyncio.gather(self._tell("edge", "stop"), self._tell("forwarder", "stop"))
        await asyncio.gather(self._tell("coordinator", "close"), self._tell("shard", "close"))
        for each in self.watched:
            remote.end(each.handle)

    def kill(self) -> None:
        """End all actors at once: for when Ray, which would end them, has ended itself.

        What was acknowledged is on disk.
        """
        remote.kill_all(each.pid for each in self.watched if each.pid is not None)
        self.watched.clear()

    async def _listen(self, edge: Handle) -> None:
        await edge.start(self._settings.host, self.port, self._slots)

    async def _await_end_of_former(self) -> None:
        """Wait until a cluster has no actors of a run that was killed. Raises ActorFailed."""
        deadline_s = self._clock.monotonic() + FORMER_S
        while names := remote.running():
            if self._clock.monotonic() > deadline_s:
                raise ActorFailed(f"the cluster serves another deployment: it has {names[0]}")
            await asyncio.sleep(FORMER_PAUSE_S)

    async def _await_process(self, watched: Watched) -> int | None:
        """Return the process of an actor once it works; `None` if its node is not there.

        What such a node has comes with it.

        Raises:
            ActorFailed: it cannot be started; or stores of a node that is not there were never
                made.
            ShardUnavailable: it did not start in time.
        """
        deadline_s = self._clock.monotonic() + START_TIMEOUT_S
        while True:
            if watched.node is not None and watched.node not in remote.nodes():
                if self._folder.made < self._settings.shards:
                    raise ActorFailed(f"the cluster has no node with the resource {watched.node}")
                logger.error(
                    "a node is not there; its shards and edges come with it",
                    extra={
                        "event": "node_absent",
                        "node": watched.node,
                        "actor": watched.handle.name,
                    },
                )
                return None
            try:
                pid: int = await watched.handle.within(LOOK_S).pid()
            except ActorFailed:  # for good, whatever is waited for
                raise
            except ShardUnavailable:
                if self._clock.monotonic() > deadline_s:
                    raise
            else:
                return pid

    # -- Changing ---------------------------------------------------------------------------------

    async def take_over(self, served: ServedDocument) -> None:
        """Start forwarders of new outputs of a workspace, and end those of outputs that are gone.

        Raises:
            ShardUnavailable: a new one did not start in time; it is watched all the same.
        """
        async with self._changing:
            await self._take_over(served)

    async def _take_over(self, served: ServedDocument) -> None:
        number = served.info.number
        plans = {each.info.id: each for each in output_plans(served.document, served.numbers)}
        for name in self._outputs[number] - plans.keys():
            await self._end_forwarder(name)
            self._outputs[number].discard(name)
        for name, plan in plans.items():
            if name not in self._outputs[number]:
                watched = self._spawn_forwarder(served.info, plan)
                await watched.handle.within(START_TIMEOUT_S).start(self._slots)

    def _spawn_forwarder(self, workspace: WorkspaceInfo, plan: OutputPlan) -> Watched:
        watched = self._spawner.forwarder(workspace, plan)
        self.watched.append(watched)
        self._outputs[workspace.number].add(plan.info.id)
        return watched

    async def _end_forwarder(self, name: str) -> None:
        """Let a forwarder settle what is under way, and end it with its unfinished files."""
        [gone] = [
            each for each in self.watched if each.role == "forwarder" and each.instance == name
        ]
        self.watched.remove(gone)
        try:
            await gone.handle.within(STOP_TIMEOUT_S).stop()
        except (ActorFailed, ShardUnavailable, RuntimeError):
            logger.warning(
                "a forwarder did not stop in order",
                extra={"event": "stop_failed", "actor": gone.handle.name},
            )
        remote.end(gone.handle)
        await asyncio.to_thread(shutil.rmtree, self._folder.spool(name), ignore_errors=True)

    # -- Stopping ---------------------------------------------------------------------------------

    async def _tell(self, role: str, method: str) -> None:
        """Have all actors of a role do something; one that does not answer is left behind."""
        handles = [each.handle.within(STOP_TIMEOUT_S) for each in self.watched if each.role == role]
        outcomes = await asyncio.gather(
            *(getattr(handle, method)() for handle in handles), return_exceptions=True
        )
        for handle, outcome in zip(handles, outcomes, strict=True):
            if isinstance(outcome, Exception):
                logger.error(
                    "an actor did not stop in order",
                    extra={
                        "event": "stop_failed",
                        "actor": handle.name,
                        "kind": type(outcome).__name__,
                    },
                )
