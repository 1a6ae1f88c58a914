"""The admin port (spec/observability.md, 6 and 7)."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from actors.clock import ManualClock
from actors.metric_groups import EdgeMetrics
from actors.metric_snapshots import snapshot
from server import tokens
from server.admin import Admin, make_admin_app
from server.edge_config import ConfigHolder
from server.health import Health
from tests.server.conftest import Client, config_with

Start = Callable[..., Awaitable[Client]]


@pytest.fixture
async def start(clock: ManualClock) -> AsyncIterator[Start]:
    """Start an admin port over one edge's metrics."""
    clients: list[Client] = []
    edge = EdgeMetrics("1.0")
    edge.count_request("events", "POST", 202, 0.01, 10)

    async def snapshots() -> dict[tuple[str, str], bytes]:
        return {("edge", "edge-1"): snapshot(edge.registry)}

    async def status() -> dict[str, Any]:
        return {"actors": []}

    async def readiness() -> dict[str, str]:
        return {"shards": "1/2"}

    async def make(token: str | None = None) -> Client:
        admin = Admin(snapshots, status, ConfigHolder(config_with()), clock, token, 1000)
        health = Health(readiness, lambda: 7, clock.now_ms())
        client = TestClient(TestServer(make_admin_app(admin, health)))
        await client.start_server()
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.close()


async def test_metrics_are_served_as_text(start: Start) -> None:
    response = await (await start()).get("/metrics")
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    line = (
        'headwater_http_requests_total{api="events",code="202",instance="edge-1",'
        'method="POST",role="edge"} 1.0'
    )
    assert line in (await response.text()).splitlines()


async def test_open_metrics_on_request(start: Start) -> None:
    headers = {"Accept": "application/openmetrics-text; version=1.0.0"}
    response = await (await start()).get("/metrics", headers=headers)
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    assert (await response.text()).endswith("# EOF\n")


@pytest.mark.parametrize(
    ("header", "status"),
    [(None, 401), ("Bearer wrong", 401), ("Basic right", 401), ("Bearer right", 200)],
)
async def test_metrics_can_ask_for_a_token(start: Start, header: str | None, status: int) -> None:
    headers = {} if header is None else {"Authorization": header}
    response = await (await start("right")).get("/metrics", headers=headers)
    assert response.status == status


@pytest.mark.parametrize(
    ("client_id", "status"),
    [(None, 401), ("ops", 200), ("app", 403), ("viewer", 403), ("reader", 403)],
)
async def test_the_status_is_for_administrators(
    start: Start, clock: ManualClock, client_id: str | None, status: int
) -> None:
    headers = {}
    if client_id is not None:
        config = config_with()
        audience = config.token_audiences[0]
        token = tokens.issue(config.credentials[client_id], audience, config, clock)
        headers["Authorization"] = f"Bearer {token}"
    response = await (await start()).get("/admin/status", headers=headers)
    assert response.status == status


@pytest.mark.parametrize(
    ("path", "status"),
    [("/healthz", 200), ("/readyz", 503), ("/startupz", 503), ("/version", 200), ("/other", 404)],
)
async def test_health_is_served_here_too(start: Start, path: str, status: int) -> None:
    assert (await (await start("right")).get(path)).status == status
