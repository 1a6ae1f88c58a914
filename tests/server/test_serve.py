"""How `serve` ends its admin port while a request there is stuck."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import ClientSession

from actors.clock import SystemClock
from actors.store.folder import DataFolder
from config.settings import Settings
from server import serve, slot_moves, tokens
from server.edge_config import ConfigHolder
from server.rebalance import Move
from server.slot_moves import SlotMoves
from tests.clients.tools import free_port
from tests.server.conftest import config_with

SOON_S = 0.05
LATE_S = 20.0  # aiohttp itself gives requests 60


class StuckMoves(SlotMoves):
    """Whose passes never end by themselves."""

    def __init__(self, folder: DataFolder) -> None:
        super().__init__([], folder, asyncio.Lock(), SystemClock())
        self.has_begun = asyncio.Event()

    async def _pass(self, wanted: Move) -> Move:
        self.has_begun.set()
        await asyncio.Event().wait()
        return wanted


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DataFolder]:
    made = DataFolder(tmp_path, 2, 1 << 20, SystemClock())
    yield made
    made.close()


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


async def started(moves: SlotMoves, folder: DataFolder, stack: AsyncExitStack) -> str:
    """Start an admin port of a deployment without actors; return where slots are moved."""

    async def run(metrics: object) -> None:
        await asyncio.Event().wait()

    watch: Any = SimpleNamespace(run=run, holders=[ConfigHolder(config_with())])
    cluster: Any = SimpleNamespace(watched=[], moves=moves)
    settings = Settings(data_dir=folder.path, shards=2, admin_port=free_port())
    port, _, _ = await serve._start_admin(settings, watch, cluster, stack)
    return f"http://{settings.admin_host}:{port}/admin/slots"


def bearer() -> dict[str, str]:
    config = config_with()
    known = config.credentials["ops"]
    audience = config.token_audiences[0]
    token = tokens.issue(known, known.secret_digest, audience, config, SystemClock())
    return {"Authorization": f"Bearer {token}"}


async def test_a_move_that_is_stuck_does_not_hold_the_end_up(
    folder: DataFolder, http: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot_moves, "CLOSE_S", SOON_S)
    monkeypatch.setattr(serve, "ADMIN_STOP_S", 10 * LATE_S)
    moves = StuckMoves(folder)
    stack = AsyncExitStack()
    url = await started(moves, folder, stack)
    wanted = {"first": 0, "last": 9, "to": 1}
    asking = asyncio.create_task(http.post(url, json=wanted, headers=bearer()))
    await moves.has_begun.wait()
    async with asyncio.timeout(LATE_S):
        await stack.aclose()
        await moves.close()  # as the cluster does once more
    await asyncio.gather(asking, return_exceptions=True)


async def test_a_request_that_is_stuck_does_not_hold_the_end_up(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "ADMIN_STOP_S", SOON_S)
    stack = AsyncExitStack()
    url = await started(SlotMoves([], folder, asyncio.Lock(), SystemClock()), folder, stack)
    port = int(url.split(":")[2].split("/")[0])
    reading, writing = await asyncio.open_connection("127.0.0.1", port)
    head = [
        "POST /admin/slots HTTP/1.1",
        "Host: a",
        f"Authorization: {bearer()['Authorization']}",
        "Content-Length: 9",
        "Expect: 100-continue",
    ]
    writing.write("\r\n".join([*head, "", ""]).encode())
    assert b"100" in await reading.readline(), "its body is waited for"
    async with asyncio.timeout(LATE_S):
        await stack.aclose()
    writing.close()
