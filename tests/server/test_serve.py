"""In which order `serve` starts what it consists of."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import ClientSession

from actors.clock import SystemClock
from actors.store.folder import DataFolder
from config.settings import Settings
from server import serve
from server.edge_config import ConfigHolder
from server.slot_moves import SlotMoves
from tests.clients.tools import free_port
from tests.server.conftest import config_with

LATE_S = 20.0


class SlowCluster:
    """Whose store takes until `may_start` is set to be opened."""

    def __init__(self, moves: SlotMoves) -> None:
        self.watched: list[Any] = []
        self.moves = moves
        self.port = 0
        self.recovered_shards = 0
        self.has_started = False
        self.is_starting = asyncio.Event()
        self.may_start = asyncio.Event()

    async def start(self) -> None:
        self.is_starting.set()
        await self.may_start.wait()
        self.has_started = True

    async def stop(self) -> None:
        """Nothing was started."""


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


class Run:
    """`serve` without Ray."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(data_dir=folder, shards=2, admin_port=free_port())
        self.url = f"http://{self.settings.admin_host}:{self.settings.admin_port}"
        self._folder = DataFolder(folder, 2, 1 << 20, SystemClock())
        self.cluster = SlowCluster(SlotMoves([], self._folder, asyncio.Lock(), SystemClock()))
        self.shown = asyncio.Event()

    async def run(self) -> None:
        async def follow(metrics: object) -> None:
            await asyncio.Event().wait()

        watch: Any = SimpleNamespace(
            run=follow, holders=[ConfigHolder(config_with())], documents=[], is_example=False
        )
        cluster: Any = self.cluster
        host: Any = SimpleNamespace(log_socket=self._folder.path / "log")
        try:
            await serve._run(self.settings, watch, cluster, host, lambda _: self.shown.set())
        finally:
            self._folder.close()


async def test_health_is_answered_while_stores_are_opened(
    tmp_path: Path, http: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """spec/observability.md, 7: a probe would end a process that does not answer."""
    monkeypatch.setattr(serve, "banner", lambda *_: "")
    made = Run(tmp_path)
    running = asyncio.create_task(made.run())
    async with asyncio.timeout(LATE_S):
        await made.cluster.is_starting.wait()
        statuses = [
            (await http.get(f"{made.url}/{path}")).status for path in ("healthz", "startupz")
        ]
        assert (statuses, made.shown.is_set()) == ([200, 503], False)
        made.cluster.may_start.set()
        await made.shown.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_nothing_is_started_where_the_admin_port_is_taken(tmp_path: Path) -> None:
    made = Run(tmp_path)
    with socket.socket() as other:
        other.bind((made.settings.admin_host, made.settings.admin_port))
        other.listen()
        with pytest.raises(OSError, match=str(made.settings.admin_port)):
            await made.run()
    assert not made.cluster.is_starting.is_set()
