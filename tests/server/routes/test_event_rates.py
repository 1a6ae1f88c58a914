"""Rate limits of the Events API over HTTP (spec/events-api.md, 4)."""

from typing import Any

import msgspec
import pytest

from tests.server.conftest import K1, K2, World, first_error, key_info

BATCH: dict[str, Any] = {"user_identities": {"customer_id": "a"}}
USED = "X-mp-rate-limit-percentage-used"
EXCEEDED = "X-mp-rate-limit-exceeded"


def set_limit(world: World, **limits: int) -> None:
    """Give key k1 other limits."""
    info = key_info("k1", "s1", 1, **limits)
    world.config.current = msgspec.structs.replace(world.config.current, keys={"k1": info})


async def send(world: World, batches: int, headers: dict[str, str] = K1) -> Any:
    return await world.client.post("/v2/bulkevents", json=[BATCH] * batches, headers=headers)


@pytest.mark.parametrize(("headers", "level"), [(K1, "feed"), (K2, "app")])
async def test_the_271st_batch_of_a_second_is_refused(
    world: World, headers: dict[str, str], level: str
) -> None:
    """spec/events-api.md, worked case 58."""
    used = []
    for _ in range(270):
        response = await world.client.post("/v2/events", json=BATCH, headers=headers)
        assert response.status == 202
        used.append(response.headers[USED])
    assert (used[0], used[99], used[269]) == ("0", "37", "100")
    response = await world.client.post("/v2/events", json=BATCH, headers=headers)
    assert response.status == 429
    assert response.headers["Retry-After"] == "1"
    assert response.headers[EXCEEDED] == level
    assert USED not in response.headers
    assert (await first_error(response))["code"] == "TOO_MANY_REQUESTS"
    assert len(world.deployment.applied) == 270
    labels = {"workspace": "w1", "environment": "unknown", "result": "rate_limited"}
    input_id = "backend" if level == "feed" else "ios"
    assert world.count("headwater_ingest_batches_total", input=input_id, **labels) == 1


async def test_a_request_is_admitted_whole_or_not_at_all(world: World) -> None:
    """spec/events-api.md, worked case 59."""
    for batches in (100, 100, 40):
        assert (await send(world, batches)).status == 202
    assert (await send(world, 40)).status == 429
    assert len(world.deployment.applied) == 240
    assert (await send(world, 30)).status == 202


async def test_a_request_larger_than_the_limit_passes_a_full_bucket(world: World) -> None:
    """spec/events-api.md, worked case 60."""
    set_limit(world, rate=10)
    response = await send(world, 40)
    assert (response.status, response.headers[USED]) == (202, "100")
    response = await send(world, 1)
    assert (response.status, response.headers["Retry-After"]) == (429, "4")
    world.clock.advance(3000)
    assert (await send(world, 1)).status == 429
    world.clock.advance(100)
    assert (await send(world, 1)).status == 202


async def test_the_rate_may_grow_only_so_fast(world: World) -> None:
    """spec/events-api.md, worked case 61."""
    set_limit(world, rate=270, acceleration=100)
    assert (await send(world, 100)).status == 202
    response = await send(world, 1)
    assert (response.status, response.headers["Retry-After"]) == (429, "1")
    assert response.headers[EXCEEDED] == "acceleration"
    world.clock.advance(1000)
    assert (await send(world, 100)).status == 202
    assert (await send(world, 100)).status == 202


async def test_malformed_bodies_use_nothing(world: World) -> None:
    """spec/events-api.md, worked case 62."""
    for _ in range(300):
        response = await world.client.post("/v2/events", data=b"{", headers=K1)
        assert response.status == 400
    for batches in (100, 100, 70):
        assert (await send(world, batches)).status == 202
    assert (await send(world, 1)).status == 429


async def test_refused_batches_use_tokens(world: World) -> None:
    """spec/events-api.md, 3.1: requests refused at step 6 do."""
    set_limit(world, rate=1)
    response = await world.client.post("/v2/events", json={"mpid": "x"}, headers=K1)
    assert response.status == 400
    assert (await send(world, 1)).status == 429


async def test_without_a_limit_nothing_is_refused_or_reported(world: World) -> None:
    """spec/events-api.md, worked case 62."""
    set_limit(world, rate=0)
    for _ in range(4):
        response = await send(world, 100)
        assert response.status == 202
        assert USED not in response.headers


async def test_all_paths_share_one_limit(world: World) -> None:
    set_limit(world, rate=100)
    assert (await send(world, 100)).status == 202
    for path, body in (
        ("/v2/events", BATCH),
        ("/v2/bulkevents", [BATCH]),
        ("/v2/bulkevents/historical", [BATCH]),
    ):
        response = await world.client.post(path, json=body, headers=K1)
        assert response.status == 429


async def test_a_request_that_was_limited_can_be_sent_again(world: World) -> None:
    """spec/events-api.md, worked case 52: its request id was not used up."""
    set_limit(world, rate=1)
    body = {**BATCH, "source_request_id": "r3"}
    assert (await send(world, 1)).status == 202
    assert (await world.client.post("/v2/events", json=body, headers=K1)).status == 429
    world.clock.advance(1000)
    assert (await world.client.post("/v2/events", json=body, headers=K1)).status == 202
    assert [batch.source_request_id for batch, _ in world.deployment.applied] == [None, "r3"]
