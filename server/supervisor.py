"""Watches the actors of a deployment: starts again what was restarted, collects their metrics,
has old data removed, and answers the admin port's questions."""

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from actors.clock import Clock
from actors.errors import ActorFailed, DataFolderError, ShardUnavailable, StoreFull
from actors.metric_groups import AdminMetrics
from actors.metric_snapshots import snapshot
from actors.remote import Handle
from server.status_board import UPDATE_S, StatusBoard

logger = logging.getLogger("headwater.supervisor")

CHECK_S = 1.0
AGAIN_S = 0.05  # while one does not answer, for which it is given `QUICK_S` each time
SWEEP_S = 5.0
SWEEPING_S = 0.5  # a shard again and again, each time shortly, while there is something to remove
STALE_S = 60.0  # spec/observability.md, 6
QUICK_S = 2.0

_TROUBLE = (ShardUnavailable, StoreFull, DataFolderError, RuntimeError, OSError)


class Watched:
    """One actor: `role` and `instance` name it on the metrics page."""

    def __init__(
        self,
        role: str,
        instance: str,
        handle: Handle,
        start: Callable[[], Awaitable[Any]] | None = None,
        node: str | None = None,
    ) -> None:
        """Args: `start`: to be called again and again, so that a restarted actor begins its work;
        `None` where the constructor is enough. `node`: of a cluster, on which it runs."""
        self.role = role
        self.instance = instance
        self.handle = handle.within(QUICK_S)
        self.start = start
        self.node = node
        # Held by who starts it, or has it do something else meanwhile and starts it afterwards.
        self.starting = asyncio.Lock()
        self.pid: int | None = None
        self.snapshot: bytes | None = None
        self.seen_s: float | None = None


class Supervisor:
    """Runs until it is cancelled."""

    def __init__(
        self,
        actors: Sequence[Watched],
        metrics: AdminMetrics,
        metrics_interval_s: float,
        data_dir: Path,
        clock: Clock,
    ) -> None:
        self._actors = actors
        self._metrics = metrics
        self._metrics_interval_s = metrics_interval_s
        self._data_dir = data_dir
        self._clock = clock
        self._shown: set[tuple[str, str]] = set()  # actors in the metrics
        self.board = StatusBoard(self.snapshots)
        # Set once an actor has died for good: nothing but a new start of the deployment helps.
        self.failure: asyncio.Future[ActorFailed] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Watch for as long as nobody cancels."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._every(CHECK_S, self._check))
            group.create_task(self._every(self._metrics_interval_s, self.collect))
            group.create_task(self._every(SWEEP_S, self._sweep))
            group.create_task(self._every(UPDATE_S, self.board.tick))

    async def collect(self) -> None:
        """Ask every actor for a snapshot of its metrics."""
        await asyncio.gather(*map(self._collect_one, self._actors))

    async def snapshots(self) -> Mapping[tuple[str, str], bytes]:
        """Return the latest snapshots, those of silent actors for a minute."""
        now_s = self._clock.monotonic()
        found: dict[tuple[str, str], bytes] = {}
        for each in self._actors:
            is_up = each.seen_s is not None and now_s - each.seen_s <= STALE_S
            self._metrics.actor_up.labels(each.role, each.instance).set(is_up)
            if is_up and each.snapshot is not None:
                found[each.role, each.instance] = each.snapshot
        actors = {(each.role, each.instance) for each in self._actors}
        for gone in self._shown - actors:  # such as the forwarder of an output that is no more
            self._metrics.actor_up.remove(*gone)
        self._shown = actors
        found["admin", "0"] = snapshot(self._metrics.registry)
        return found

    async def status(self) -> dict[str, Any]:
        """Describe the deployment (`/admin/status`)."""
        described = await asyncio.gather(*map(self._describe, self._actors))
        disk = shutil.disk_usage(self._data_dir)
        return {
            "actors": described,
            "disk": {"total_bytes": disk.total, "free_bytes": disk.free},
        }

    async def set_log_level(self, logger_name: str, level: str | None) -> None:
        """Set the level of a logger in every actor's process; `None` is the configured one."""
        await asyncio.gather(
            *(
                self._try(each, partial(each.handle.set_log_level, logger_name, level))
                for each in self._actors
            )
        )

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
            except Exception:
                # Whatever it was: without this loop a restarted edge would never listen again.
                logger.exception(
                    "the supervisor failed; it goes on", extra={"event": "supervisor_failed"}
                )

    async def _check(self) -> None:
        """Go on until all answer: whoever is back from death is told to begin without a pause."""
        while not all(await asyncio.gather(*map(self._check_one, self._actors))):
            if self.failure.done():
                return
            await asyncio.sleep(AGAIN_S)

    async def _check_one(self, watched: Watched) -> bool:
        """Have an actor begin its work if it is there; tell whether it is."""
        pid = await self._try(watched, watched.handle.pid)
        if pid is None:
            return False
        # Also before the first: a series that begins at its first value is no rise to Prometheus.
        restarts = self._metrics.actor_restarts.labels(watched.role, watched.instance)
        if watched.pid not in (None, pid):
            restarts.inc()
            logger.error(
                "an actor's process died and was started again",
                extra={"event": "actor_restarted", "actor": f"{watched.role}-{watched.instance}"},
            )
        watched.pid = pid
        if watched.start is not None and not watched.starting.locked():
            async with watched.starting:
                await self._try(watched, watched.start)
        return True

    async def _sweep(self) -> None:
        shards = [each for each in self._actors if each.role == "shard"]
        await asyncio.gather(*map(self._sweep_one, shards))

    async def _sweep_one(self, watched: Watched) -> None:
        deadline_s = self._clock.monotonic() + SWEEPING_S
        while await self._try(watched, watched.handle.sweep):
            if self._clock.monotonic() >= deadline_s:
                break

    async def _collect_one(self, watched: Watched) -> None:
        answer = await self._try(watched, watched.handle.metrics)
        watched.snapshot = answer if isinstance(answer, bytes) else watched.snapshot

    async def _describe(self, watched: Watched) -> dict[str, Any]:
        described: dict[str, Any] = {"role": watched.role, "instance": watched.instance}
        if watched.node is not None:
            described["node"] = watched.node
        if watched.role in ("shard", "forwarder"):
            answer = await self._try(watched, watched.handle.status)
            described |= {"is_up": answer is not None, **(answer or {})}
        else:
            age_s = self._clock.monotonic() - (watched.seen_s or 0.0)
            described["is_up"] = watched.seen_s is not None and age_s <= STALE_S
        return described

    async def _try(self, watched: Watched, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Ask an actor; trouble is logged and left to the next time."""
        try:
            answer = await ask()
        except _TROUBLE as error:
            if isinstance(error, ActorFailed) and not self.failure.done():
                self.failure.set_result(error)
            logger.warning(
                "an actor does not do what it was asked",
                extra={
                    "event": "actor_trouble",
                    "actor": f"{watched.role}-{watched.instance}",
                    "kind": type(error).__name__,
                    "reason": str(error),
                },
            )
            return None
        watched.seen_s = self._clock.monotonic()
        return answer
