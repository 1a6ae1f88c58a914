"""An admin port over one edge's metrics, and its callers."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from actors.clock import ManualClock, SystemClock
from actors.metric_groups import EdgeMetrics
from actors.metric_snapshots import snapshot
from actors.store.folder import DataFolder
from server import tokens
from server.admin import Admin, make_admin_app
from server.edge_config import ConfigHolder, EdgeConfig
from server.health import Health
from server.log_levels import LogLevels
from server.slot_moves import SlotMoves
from server.status_board import StatusBoard
from tests.server.conftest import Client, config_with, credential

Start = Callable[..., Awaitable[Client]]

OTHER = config_with(
    workspace=4,
    credentials={
        each.client_id: each
        for each in (
            credential("boss", platform="admin"),
            credential("guest", "user", platform="user"),
        )
    },
)


@asynccontextmanager
async def admin_ports(clock: ManualClock, tmp_path: Path) -> AsyncIterator[Start]:
    """Give what starts an admin port, which may ask for a token of metrics."""
    clients: list[Client] = []
    edge = EdgeMetrics("1.0")
    edge.count_request("events", "POST", 202, 0.01, 10)

    async def snapshots() -> dict[tuple[str, str], bytes]:
        return {("edge", "edge-1"): snapshot(edge.registry)}

    async def status() -> dict[str, Any]:
        return {"actors": []}

    async def readiness() -> dict[str, str]:
        return {"shards": "1/2"}

    async def tell(name: str, level: str | None) -> None:
        logging.getLogger(name).setLevel(level.upper() if level else logging.NOTSET)

    log_levels = LogLevels(tell)
    folder = DataFolder(tmp_path, 2, 1 << 20, SystemClock())

    async def make(token: str | None = None, *, has_started: bool = True) -> Client:
        admin = Admin(
            snapshots,
            status,
            StatusBoard(snapshots),
            log_levels,
            [ConfigHolder(config_with()), ConfigHolder(OTHER)],
            clock,
            token,
            1000,
            SlotMoves([], folder, asyncio.Lock(), clock),
            lambda: has_started,
        )
        health = Health(readiness, lambda: 7, clock.now_ms())
        client = TestClient(TestServer(make_admin_app(admin, health)))
        await client.start_server()
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.close()
    await log_levels.close()
    folder.close()


def bearer_of(
    client_id: str, clock: ManualClock, config: EdgeConfig | None = None
) -> dict[str, str]:
    config = config or config_with()
    audience = config.token_audiences[0]
    known = config.credentials[client_id]
    token = tokens.issue(known, known.secret_digest, audience, config, clock)
    return {"Authorization": f"Bearer {token}"}
