"""The admin port of `serve`: open from the start, so that a process that recovers is seen to live.

A store of many gigabytes takes minutes to be opened, and who watches would kill what does not
answer meanwhile (spec/observability.md, 7).
"""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from aiohttp import web

from actors.clock import SystemClock
from actors.errors import ActorFailed, ShardUnavailable
from actors.metric_groups import AdminMetrics
from actors.remote_handles import remote_shards
from actors.store.slots import Slots, even
from config.settings import Settings
from server.admin import Admin, make_admin_app
from server.app import RUNNER_OPTIONS
from server.cluster import Cluster
from server.config_watch import ConfigWatch
from server.health import OK, Health, Readiness
from server.log_levels import LogLevels
from server.logs import set_level
from server.protocol_log import PROTOCOL_LOG
from server.supervisor import Supervisor
from server.version import program_version

STOP_S = 2.0  # for the requests of the port; the actors are stopped only afterwards


class AdminPort:
    """Answers of its health as soon as it is open, of all else once the actors have started.

    Attributes:
        health: of the deployment.
    """

    def __init__(self, settings: Settings, watch: ConfigWatch, cluster: Cluster) -> None:
        """Set up; needs a running event loop."""
        self._settings = settings
        self._watch = watch
        self._cluster = cluster
        self._clock = SystemClock()
        self._metrics = AdminMetrics(program_version())
        self._supervisor = Supervisor(
            cluster.watched,
            self._metrics,
            settings.metrics_interval_s,
            settings.data_dir,
            self._clock,
        )
        first = watch.holders[0]
        self.health = Health(
            _readiness(first.current.workspace, settings.shards, cluster),
            lambda: first.current.revision,
            self._clock.now_ms(),
        )

    @property
    def failure(self) -> asyncio.Future[ActorFailed]:
        """Is set if an actor dies for good."""
        return self._supervisor.failure

    async def open(self, stack: AsyncExitStack) -> int:
        """Listen until the stack is closed; return the port. Raises OSError: it is taken."""
        settings, supervisor, cluster = self._settings, self._supervisor, self._cluster

        async def set_everywhere(logger_name: str, level: str | None) -> None:
            set_level(settings, logger_name, level)
            await supervisor.set_log_level(logger_name, level)

        log_levels = LogLevels(set_everywhere)
        stack.push_async_callback(log_levels.close)
        token = settings.metrics_token
        admin = Admin(
            supervisor.snapshots,
            supervisor.status,
            supervisor.board,
            log_levels,
            self._watch.holders,
            self._clock,
            None if token is None else token.get_secret_value(),
            settings.metrics_max_series,
            cluster.moves,
            lambda: cluster.has_started,
        )
        runner = web.AppRunner(
            make_admin_app(admin, self.health),
            access_log=None,
            logger=PROTOCOL_LOG,
            keepalive_timeout=RUNNER_OPTIONS["keepalive_timeout"],
            shutdown_timeout=STOP_S,
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        stack.push_async_callback(cluster.moves.close)  # the port would wait for one that is stuck
        site = web.TCPSite(runner, settings.admin_host, settings.admin_port)
        await site.start()
        port: int = runner.addresses[0][1]
        return port

    def begin(self, stack: AsyncExitStack) -> None:
        """Follow the configuration and watch the actors, which have started, until it is closed."""
        for work in (self._watch.run(self._metrics), self._supervisor.run()):
            stack.push_async_callback(_cancel, asyncio.create_task(work))


def _readiness(workspace: int, count: int, cluster: Cluster) -> Readiness:
    """Return a check of all shards, which all workspaces share."""
    shards = remote_shards(workspace, Slots(even(count)))

    async def check() -> dict[str, str]:
        if not cluster.has_started:
            # Not asked: a cluster may still have those of a run that was killed, by the same names.
            return {
                "config": OK,
                "shards": f"{cluster.recovered_shards}/{count}",
                "process": "starting",
            }
        answers = await asyncio.gather(*(each.ready() for each in shards), return_exceptions=True)
        reached = [each for each in answers if isinstance(each, str)]
        broken = [each for each in reached if each != OK]
        for each in answers:
            if isinstance(each, BaseException) and not isinstance(each, ShardUnavailable):
                raise each
        return {
            "config": OK,
            "shards": f"{len(reached)}/{count}",
            "storage": broken[0] if broken else OK,
        }

    return check


async def _cancel(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
