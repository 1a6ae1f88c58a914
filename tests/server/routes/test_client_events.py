"""Batches of web SDKs over HTTP (spec/events-api.md, 16; spec/clients.md, 2 and 4.4)."""

import gzip
import json
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.errors import ShardUnavailable
from tests.server.conftest import T, World, first_error, key_info

PATH = "/v3/JS/kw/events"
EVENT: dict[str, Any] = {"event_type": "custom_event", "data": {"event_name": "Opened"}}
PLAIN = {"Content-Type": "text/plain;charset=UTF-8"}
LIMIT_BYTES = 256 * 1024


async def test_a_batch_is_accepted_without_its_bad_event(world: World) -> None:
    """spec/events-api.md, worked case 70."""
    body = json.dumps({"mpid": "123", "events": [EVENT, {"data": {}}]})
    response = await world.client.post(PATH, data=body, headers=PLAIN)
    assert response.status == 202
    assert await response.read() == b""
    [(batch, context)] = world.deployment.applied
    assert (batch.mpid, len(batch.events)) == (123, 1)
    assert "invalid_event" in batch.drops
    assert (context.channel, context.is_lenient, context.received_ms) == ("javascript", True, T)


async def test_preflight_is_answered_before_authentication(world: World) -> None:
    """spec/events-api.md, worked case 70; spec/clients.md, worked case 3."""
    for key in ("kw", "unknown"):
        response = await world.client.options(
            f"/v3/JS/{key}/events",
            headers={
                "Origin": "https://shop.example.test",
                "Access-Control-Request-Headers": "anonymousid,authorization,content-type,x-mp-key",
            },
        )
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert response.headers["Access-Control-Allow-Methods"] == "GET, POST, OPTIONS"
        assert response.headers["Access-Control-Max-Age"] == "86400"
        allowed = response.headers["Access-Control-Allow-Headers"].split(", ")
        wanted = {"anonymousid", "authorization", "content-type", "sentat", "x-mp-key"}
        assert wanted <= set(allowed)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("unknown", id="unknown"),
        pytest.param("k2", id="of another kind of input"),
        pytest.param("a%2Fb", id="odd"),
    ],
)
async def test_another_key_gets_403_that_a_browser_can_read(world: World, key: str) -> None:
    """spec/events-api.md, worked case 70; spec/clients.md, worked case 3."""
    response = await world.client.post(f"/v3/JS/{key}/events", data=b"{}", headers=PLAIN)
    assert response.status == 403
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Retry-After" in response.headers["Access-Control-Expose-Headers"]
    assert (await first_error(response))["code"] == "FORBIDDEN"


@pytest.mark.parametrize("body", [b"x", b"[]", b'"x"', b"", b"{", b"1"])
async def test_a_body_that_is_no_object_gets_400(world: World, body: bytes) -> None:
    """spec/events-api.md, worked case 70; spec/clients.md, worked case 13."""
    response = await world.client.post(PATH, data=body, headers=PLAIN)
    assert response.status == 400
    assert response.headers["Access-Control-Allow-Origin"] == "*"


async def test_an_empty_object_is_accepted(world: World) -> None:
    """spec/clients.md, worked case 13."""
    assert (await world.client.post(PATH, data=b"{}", headers=PLAIN)).status == 202


@pytest.mark.parametrize(
    "path",
    ["/v3/JS/kw/events", "/v3/js/kw/events", "/v3/JS/kw/events/", "/webevents/v3/Js/kw/events/"],
)
async def test_every_spelling_of_the_path_is_served(world: World, path: str) -> None:
    """spec/clients.md, 1 and worked case 4."""
    assert (await world.client.post(path, data=b"{}", headers=PLAIN)).status == 202


@pytest.mark.parametrize("path", ["/kw/events", "/v3/JS/events", "/webevents/v3/JS/kw"])
async def test_other_paths_are_not(world: World, path: str) -> None:
    """spec/clients.md, worked case 4."""
    assert (await world.client.post(path, data=b"{}", headers=PLAIN)).status == 404


async def test_another_method_gets_405(world: World) -> None:
    response = await world.client.get(PATH)
    assert response.status == 405
    assert response.headers["Allow"] == "OPTIONS,POST"


async def test_the_largest_body_passes_and_one_byte_more_does_not(world: World) -> None:
    body = b"{}".ljust(LIMIT_BYTES)
    assert (await world.client.post(PATH, data=body)).status == 202
    assert (await world.client.post(PATH, data=body + b" ")).status == 413
    headers = {"Content-Encoding": "gzip"}
    assert (await world.client.post(PATH, data=gzip.compress(body), headers=headers)).status == 202
    larger = gzip.compress(body + b" ")
    assert (await world.client.post(PATH, data=larger, headers=headers)).status == 413


async def test_the_rate_limit_of_servers_does_not_apply(world: World) -> None:
    """spec/events-api.md, 16."""
    info = key_info("kw", "sw", 4, rate=1)
    world.config.current = msgspec.structs.replace(world.config.current, keys={"kw": info})
    for _ in range(3):
        response = await world.client.post(PATH, data=b"{}")
        assert response.status == 202
        assert "X-mp-rate-limit-percentage-used" not in response.headers


async def test_overload_gets_503_with_a_whole_number_of_seconds(world: World) -> None:
    """spec/clients.md, 2."""
    world.deployment.failure = ShardUnavailable("shard 1")
    response = await world.client.post(PATH, data=b"{}")
    assert (response.status, response.headers["Retry-After"]) == (503, "1")
    assert response.headers["Access-Control-Allow-Origin"] == "*"


async def test_address_and_user_agent_come_from_the_request(world: World) -> None:
    await world.client.post(PATH, data=b"{}", headers={"User-Agent": "Mozilla/5.0"})
    _, context = world.deployment.applied[0]
    assert (context.ip, context.user_agent) == ("127.0.0.1", "Mozilla/5.0")


@pytest.mark.parametrize(
    ("trusted", "forwarded", "address"),
    [
        pytest.param((), "1.2.3.4", "127.0.0.1", id="no trusted proxy"),
        pytest.param(("127.0.0.0/8",), "1.2.3.4", "1.2.3.4", id="one trusted proxy"),
        pytest.param(("127.0.0.0/8",), "6.6.6.6, 1.2.3.4", "1.2.3.4", id="forged beginning"),
        pytest.param(
            ("127.0.0.0/8", "10.0.0.0/8"), "1.2.3.4,10.0.0.9", "1.2.3.4", id="two trusted proxies"
        ),
        pytest.param(("127.0.0.0/8",), "2001:db8::1", "2001:db8::1", id="IPv6"),
        pytest.param(("127.0.0.0/8",), "1.2.3.4:5678", "1.2.3.4", id="IPv4 with a port"),
        pytest.param(("127.0.0.0/8",), "[2001:db8::1]:5678", "2001:db8::1", id="IPv6 with a port"),
        pytest.param(("127.0.0.0/8",), "[2001:db8::1]", "2001:db8::1", id="IPv6 in brackets"),
        pytest.param(
            ("127.0.0.0/8", "10.0.0.0/8"),
            "1.2.3.4:5,10.0.0.9:6",
            "1.2.3.4",
            id="two trusted proxies with ports",
        ),
        pytest.param(("127.0.0.0/8",), "unknown", "127.0.0.1", id="no address"),
        pytest.param(("127.0.0.0/8",), "1.2.3:80", "127.0.0.1", id="no address but a port"),
        pytest.param(("127.0.0.0/8",), None, "127.0.0.1", id="no header"),
    ],
)
async def test_only_trusted_proxies_tell_the_clients_address(
    world: World, trusted: tuple[str, ...], forwarded: str | None, address: str
) -> None:
    """spec/clients.md, 2: X-Forwarded-For is used only from trusted proxies."""
    networks = tuple(ip_network(each) for each in trusted)
    world.config.current = msgspec.structs.replace(world.config.current, trusted_proxies=networks)
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    await world.client.post(PATH, data=b"{}", headers=headers)
    assert world.deployment.applied[0][1].ip == address


async def test_every_recorded_web_batch_is_accepted(world: World) -> None:
    """spec/clients.md, worked cases 12 and 16, the batches."""
    recorded = "us1-0123456789abcdef0123456789abcdef"
    keys = {recorded: key_info(recorded, "recorded-secret", 4)}
    world.config.current = msgspec.structs.replace(world.config.current, keys=keys)
    path = Path(__file__).parents[2] / "data" / "recorded" / "web.ndjson"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    batches = [line for line in lines if line["method"] == "POST" and "/v3/" in line["path"]]
    assert batches
    for line in batches:
        response = await world.client.post(
            line["path"], data=json.dumps(line["body"]), headers=line["headers"]
        )
        assert response.status == (202 if recorded in line["path"] else 403), line["call"]
