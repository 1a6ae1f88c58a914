"""How `serve` opens its admin port before all else, and ends it while a request is stuck."""

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
from server import admin_port, slot_moves, tokens
from server.admin_port import AdminPort
from server.edge_config import ConfigHolder
from server.rebalance import Move
from server.slot_moves import SlotMoves
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


class Actors:
    """A deployment with no more than a note of which shards have recovered."""

    def __init__(self, moves: SlotMoves, *, has_started: bool = True) -> None:
        self.watched: list[Any] = []
        self.moves = moves
        self.has_started = has_started
        self.recovered_shards = 0


async def opened(actors: Actors, folder: DataFolder, stack: AsyncExitStack) -> str:
    """Open the admin port of a deployment; return where it is."""
    watch: Any = SimpleNamespace(holders=[ConfigHolder(config_with())])
    cluster: Any = actors
    settings = Settings(data_dir=folder.path, shards=2, admin_port=0)
    port = await AdminPort(settings, watch, cluster).open(stack)
    return f"http://{settings.admin_host}:{port}"


async def started(moves: SlotMoves, folder: DataFolder, stack: AsyncExitStack) -> str:
    """Start an admin port of a deployment without actors; return where slots are moved."""
    return f"{await opened(Actors(moves), folder, stack)}/admin/slots"


def bearer() -> dict[str, str]:
    config = config_with()
    known = config.credentials["ops"]
    audience = config.token_audiences[0]
    token = tokens.issue(known, known.secret_digest, audience, config, SystemClock())
    return {"Authorization": f"Bearer {token}"}


async def test_a_process_that_recovers_is_seen_to_live(
    folder: DataFolder, http: ClientSession
) -> None:
    """spec/observability.md, 7. Ray, which nobody has started here, is not asked for anything."""
    moves = SlotMoves([], folder, asyncio.Lock(), SystemClock())
    actors = Actors(moves, has_started=False)

    async def ask(path: str) -> tuple[int, Any]:
        async with http.get(f"{url}{path}") as answer:
            return answer.status, await answer.json()

    async with AsyncExitStack() as stack:
        url = await opened(actors, folder, stack)
        assert await ask("/healthz") == (200, {"status": "ok"})
        assert (await ask("/version"))[0] == 200
        assert await ask("/startupz") == (503, {"recovered_shards": 0, "of": 2})
        async with asyncio.timeout(LATE_S):
            actors.recovered_shards = 2  # but the edges do not listen yet
            while (answer := await ask("/startupz")) != (503, {"recovered_shards": 2, "of": 2}):
                assert answer[0] == 503
        status, body = await ask("/readyz")
        assert (status, body["checks"]["process"]) == (503, "starting")


async def test_a_move_that_is_stuck_does_not_hold_the_end_up(
    folder: DataFolder, http: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot_moves, "CLOSE_S", SOON_S)
    monkeypatch.setattr(admin_port, "STOP_S", 10 * LATE_S)
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
    monkeypatch.setattr(admin_port, "STOP_S", SOON_S)
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
