"""Health over HTTP (spec/observability.md, 7)."""

import pytest

from actors.errors import ShardUnavailable
from server.health import HEALTH
from tests.server.conftest import World


async def test_a_process_that_answers_is_healthy(world: World) -> None:
    world.deployment.failure = ShardUnavailable("shard 1")
    response = await world.client.get("/healthz")
    assert (response.status, await response.json()) == (200, {"status": "ok"})


async def test_ready_while_all_checks_pass(world: World) -> None:
    response = await world.client.get("/readyz/")
    assert response.status == 200
    checks = {"config": "ok", "shards": "2/2", "storage": "ok"}
    assert await response.json() == {"status": "ready", "checks": checks}


@pytest.mark.parametrize(
    ("check", "value"),
    [("shards", "15/16"), ("storage", "the disk is full"), ("queue", "above the high mark")],
)
async def test_a_failing_check_is_spelled_out(world: World, check: str, value: str) -> None:
    """spec/observability.md, worked case 20."""
    world.deployment.checks[check] = value
    response = await world.client.get("/readyz")
    assert response.status == 503
    body = await response.json()
    assert (body["status"], body["checks"][check]) == ("not_ready", value)
    assert (await world.client.get("/healthz")).status == 200


async def test_not_ready_when_the_shards_do_not_answer(world: World) -> None:
    world.deployment.failure = ShardUnavailable("shard 1")
    response = await world.client.get("/readyz")
    assert response.status == 503
    assert (await response.json())["status"] == "not_ready"


async def test_a_draining_process_serves_but_is_not_ready(world: World) -> None:
    """spec/observability.md, worked case 22."""
    assert world.client.app is not None
    world.client.app[HEALTH].is_draining = True
    response = await world.client.get("/readyz")
    assert response.status == 503
    assert (await response.json())["checks"]["process"] == "draining"
    assert (await world.client.get("/healthz")).status == 200


async def test_started_once_all_shards_have_recovered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.health.KEPT_S", 0.0)
    world.deployment.checks["shards"] = "7/16"
    response = await world.client.get("/startupz")
    assert (response.status, await response.json()) == (503, {"recovered_shards": 7, "of": 16})
    world.deployment.checks["shards"] = "16/16"
    assert (await world.client.get("/startupz")).status == 200
    world.deployment.checks["shards"] = "15/16"
    assert (await world.client.get("/startupz")).status == 200


async def test_the_version_says_what_runs(world: World) -> None:
    response = await world.client.get("/version")
    assert response.status == 200
    body = await response.json()
    assert set(body) == {"version", "commit", "started_on", "config_revision"}
    assert (body["started_on"], body["config_revision"]) == ("2026-01-01T00:00:00.000Z", 7)
