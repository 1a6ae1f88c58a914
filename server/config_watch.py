"""What `serve` does about the configuration while it runs: follow it, and apply files on SIGHUP."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import SecretStr

from actors.clock import Clock
from actors.errors import ActorFailed, ConfigurationRefused, ShardUnavailable, StoreFull
from actors.metric_groups import AdminMetrics
from actors.remote_handles import RemoteConfiguration
from config.errors import ConfigError
from config.load import read_document
from config.served import ServedDocument
from config.settings import Settings
from config.workspace import WorkspaceDocument
from server.cluster import Cluster
from server.config_follower import ConfigFollower
from server.edge_config import ConfigHolder, EdgeConfig, edge_config

logger = logging.getLogger("headwater.configuration")

APPLY_PATIENCE_S = 30.0


class ConfigWatch:
    """Runs until it is cancelled.

    Attributes:
        holders: of the configurations, in the order of the workspaces.
    """

    def __init__(
        self,
        settings: Settings,
        workspaces: Sequence[ServedDocument],
        server_key: SecretStr,
        environ: Mapping[str, str],
        cluster: Cluster,
        clock: Clock,
    ) -> None:
        """Args: `environ`: for the placeholders of files."""
        self._settings = settings
        self._workspaces = {each.info.number: each for each in workspaces}
        self._server_key = server_key
        self._environ = environ
        self._cluster = cluster
        self._clock = clock
        self._reload = asyncio.Event()
        self._by_number = {
            each.info.number: ConfigHolder(self._edge_config(each)) for each in workspaces
        }
        self.holders = list(self._by_number.values())

    @property
    def documents(self) -> list[WorkspaceDocument]:
        """The documents as they hold now."""
        return [each.document for each in self._workspaces.values()]

    @property
    def is_example(self) -> bool:
        """Whether the first workspace is the example, whose secrets are public."""
        return next(iter(self._workspaces.values())).origin == "example"

    def reload(self) -> None:
        """Apply the files soon."""
        self._reload.set()

    async def run(self, metrics: AdminMetrics) -> None:
        """Follow and apply for ever."""
        for served in self._workspaces.values():
            self._show(metrics, served)

        async def take_over(served: ServedDocument) -> None:
            number = served.info.number
            self._workspaces[number] = served
            self._by_number[number].current = self._edge_config(served)
            self._show(metrics, served)
            await self._cluster.take_over(served)

        known = {number: each.edition for number, each in self._workspaces.items()}
        follower = ConfigFollower(RemoteConfiguration(), known, take_over)
        async with asyncio.TaskGroup() as group:
            group.create_task(follower.run())
            group.create_task(self._apply_when_told(metrics))

    async def _apply_when_told(self, metrics: AdminMetrics) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            try:
                problems = await self._apply()
            except Exception as error:  # whatever it was, the next SIGHUP is to be heard
                logger.exception(
                    "the configuration files are not applied", extra={"event": "config_failed"}
                )
                problems = [("", type(error).__name__)]
            for path, message in problems:
                logger.error(
                    "the configuration files are not applied; what holds stays",
                    extra={"event": "config_refused", "path": path, "problem": message},
                )
            for served in self._workspaces.values():
                metrics.config_last_apply_success.labels(served.info.id).set(not problems)
            if not problems:
                logger.info(
                    "the configuration files are applied", extra={"event": "config_applied"}
                )

    async def _apply(self) -> list[tuple[str, str]]:
        """Apply the files; return what kept them from it."""
        if not self._settings.workspace:
            return [("workspace", "no file was given at the start")]
        try:
            documents: list[dict[str, Any]] = [
                await asyncio.to_thread(read_document, path, self._environ)
                for path in self._settings.workspace
            ]
            await RemoteConfiguration(APPLY_PATIENCE_S).apply_files(documents)
        except ConfigError as error:
            return error.problems
        except ConfigurationRefused as error:
            return [(each.path or "", each.message) for each in error.problems]
        except (ActorFailed, ShardUnavailable, StoreFull, RuntimeError) as error:
            return [("", str(error))]
        return []

    def _edge_config(self, served: ServedDocument) -> EdgeConfig:
        return edge_config(
            served.document,
            served.numbers,
            self._settings,
            self._server_key.get_secret_value(),
            served.revision,
            served.roles,
            served.stamps,
        )

    def _show(self, metrics: AdminMetrics, served: ServedDocument) -> None:
        workspace = served.info.id
        metrics.config_revision.labels(workspace).set(served.revision)
        metrics.config_last_apply_success.labels(workspace).set(1)
        metrics.config_last_apply_timestamp.labels(workspace).set(self._clock.now_ms() / 1000)
