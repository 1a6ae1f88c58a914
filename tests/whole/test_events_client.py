"""The client batch endpoint, which the web SDK posts to: worked case 70."""

from typing import Any

import orjson
import pytest
from aiohttp import ClientResponse

from tests.whole.cases import EV, dropped, newest, problems, user
from tests.whole.sent import HOUR
from tests.whole.world import WEB_KEY, T, World, basic

PATH = f"/v3/JS/{WEB_KEY}/events"
TEXT = {"Content-Type": "text/plain;charset=UTF-8"}


async def post(world: World, body: Any, path: str = PATH) -> ClientResponse:
    """Post a body (bytes as they are, anything else as JSON) as the SDK does."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return await world.client.post(path, data=data, headers=TEXT)


async def test_case_70_the_good_event_is_kept(world: World) -> None:
    """spec/events-api.md, worked case 70."""
    response = await post(world, {"mpid": "123", "events": [EV, {"data": {}}]})
    assert (response.status, await response.read()) == (202, b"")
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    batch = await newest(world, 123)
    assert [each["name"] for each in batch["events"]] == ["Opened"]
    assert (batch["channel"], batch["input"]) == ("javascript", "web")
    assert dropped(world, "invalid_event", "web") == 1
    [outgoing] = world.outgoing()
    assert (outgoing["mpid"], outgoing["source_info"]["channel"]) == (123, "javascript")
    assert outgoing["device_info"]["platform"] == "web"


async def test_case_70_a_browser_asks_first(world: World) -> None:
    """spec/events-api.md, worked case 70."""
    headers = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    response = await world.client.options(PATH, headers=headers)
    assert response.status == 204
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    assert "content-type" in response.headers["Access-Control-Allow-Headers"].lower()


@pytest.mark.parametrize(
    ("body", "path", "status"),
    [
        pytest.param(user(), "/v3/JS/nope/events", 403, id="unknown key"),
        pytest.param(b"x", PATH, 400, id="not JSON"),
        pytest.param([user()], PATH, 400, id="not an object"),
        pytest.param(b"{}".ljust(256 * 1024 + 1), PATH, 413, id="too large"),
    ],
)
async def test_case_70_what_is_refused(world: World, body: Any, path: str, status: int) -> None:
    """spec/events-api.md, worked case 70, and 16: errors, too, can be read by a browser."""
    response = await post(world, body, path)
    assert response.status == status
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert await problems(response)
    assert world.log() == []


async def test_invalid_fields_of_a_batch_count_as_absent(world: World) -> None:
    """spec/events-api.md, 16, and 11.4: a 400 would make this SDK repeat the batch for ever."""
    batch = user(
        environment="test",
        user_attributes=[],
        partner_identities={"Foo_id": "1"},
        device_info={"android_advertising_id": "not-a-uuid"},
    )
    assert (await post(world, batch)).status == 202
    kept = await newest(world)
    assert kept["environment"] == "production"
    assert "partner_identities" not in kept
    assert [each["name"] for each in kept["events"]] == ["Opened"]


async def test_the_time_of_the_batch_is_the_clients(world: World) -> None:
    """spec/events-api.md, 13.1 and 16: so are address and user agent, from the connection."""
    body = orjson.dumps(user(timestamp_unixtime_ms=T - HOUR))
    headers = TEXT | {"User-Agent": "Mozilla/5.0"}
    assert (await world.client.post(PATH, data=body, headers=headers)).status == 202
    batch = await newest(world)
    assert batch["timestamp_unixtime_ms"] == T - HOUR
    assert batch["events"][0]["timestamp_unixtime_ms"] == T
    assert batch["device_info"]["http_header_user_agent"] == "Mozilla/5.0"
    [kept] = world.log()
    assert kept.batch.ip == "127.0.0.1"


async def test_clients_are_not_limited_but_known_again(world: World) -> None:
    """spec/events-api.md, 16: no rate limit, and deduplication by the path's key."""
    for _ in range(2):
        response = await post(world, user(source_request_id="r1"))
        assert response.status == 202
        assert "X-mp-rate-limit-percentage-used" not in response.headers
    assert len(await world.events("a")) == 1
    headers = basic(f"{WEB_KEY}:sw")
    same = user(source_request_id="r1")
    assert (await world.client.post("/v2/events", json=same, headers=headers)).status == 202
    assert len(await world.events("a")) == 1
