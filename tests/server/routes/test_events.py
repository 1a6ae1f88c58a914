"""The Events API over HTTP: authentication, results (spec/events-api.md, 1, 2, 3 and 5)."""

import json
from pathlib import Path

import msgspec
import pytest

from actors.errors import HotIdentity, ShardUnavailable, StoreFull
from server.edge_config import digest
from server.problems import NOT_REACHED, NOT_STORED, TOO_MUCH
from server.received import Overloaded
from tests.server.conftest import K1, K2, T, World, basic, first_error, key_info
from tests.server.routes.batches import ALL, BAD, BULK, EVENT, GOOD, body_for, old


@pytest.mark.parametrize("path", ALL)
async def test_a_request_without_authentication_gets_401(world: World, path: str) -> None:
    """spec/events-api.md, worked cases 1 and 4: authentication comes before syntax."""
    response = await world.client.post(path, data=b"{")
    assert response.status == 401
    assert response.headers["WWW-Authenticate"] == 'Basic realm="events"'
    assert (await first_error(response))["code"] == "UNAUTHORIZED"


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("Basic azE6YmFk", id="wrong secret"),
        pytest.param("Bearer x", id="other scheme"),
        pytest.param("Basic ###", id="not base64"),
        pytest.param("Basic azE=", id="no colon"),
        pytest.param("Basic", id="nothing after the scheme"),
        pytest.param("Basic bm9ib2R5OnMx", id="unknown key"),
        pytest.param("Basic azE6", id="empty secret"),
        pytest.param("Basic /////w==", id="not UTF-8"),
        pytest.param("Basic azE6czE=é", id="not ASCII"),
    ],
)
@pytest.mark.parametrize("path", ALL)
async def test_authentication_that_proves_nothing_gets_403(
    world: World, path: str, header: str
) -> None:
    """spec/events-api.md, worked case 2."""
    response = await world.client.post(path, data=b"{}", headers={"Authorization": header})
    assert response.status == 403
    assert (await first_error(response))["code"] == "FORBIDDEN"
    assert world.deployment.calls == 0


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("basic azE6czE", id="lower case, no padding"),
        pytest.param("BASIC  azE6czE=", id="upper case, two spaces"),
    ],
)
async def test_scheme_and_padding_may_vary(world: World, header: str) -> None:
    """spec/events-api.md, worked case 3."""
    response = await world.client.post("/v2/events", data=b"{}", headers={"Authorization": header})
    assert response.status == 202


async def test_a_secret_may_hold_colons(world: World) -> None:
    info = world.config.current.keys["k1"]
    changed = msgspec.structs.replace(info, secret_digest=digest("s:1:x"))
    world.config.current = msgspec.structs.replace(world.config.current, keys={"k1": changed})
    response = await world.client.post("/v2/events", data=b"{}", headers=basic("k1:s:1:x"))
    assert response.status == 202


async def test_another_method_gets_405_and_another_path_404(world: World) -> None:
    """spec/events-api.md, worked case 5."""
    response = await world.client.get("/v2/events", headers=K1)
    assert (response.status, response.headers["Allow"]) == (405, "POST")
    assert (await first_error(response))["code"] == "METHOD_NOT_ALLOWED"
    response = await world.client.post("/v2/event", headers=K1)
    assert response.status == 404
    assert (await first_error(response))["code"] == "NOT_FOUND"


@pytest.mark.parametrize("spelling", ["{}", "{}/", "/s2s{}", "/s2s{}/"])
@pytest.mark.parametrize("path", ALL)
async def test_every_spelling_of_a_path_is_served(world: World, path: str, spelling: str) -> None:
    """spec/events-api.md, worked case 7."""
    data = body_for(path, old(GOOD))
    response = await world.client.post(spelling.format(path), data=data, headers=K1)
    assert response.status == 202
    assert response.headers["Content-Length"] == "0"
    assert response.headers["X-mp-rate-limit-percentage-used"] == "0"
    assert "Content-Type" not in response.headers
    assert await response.read() == b""


async def test_a_deactivated_key_is_refused_until_it_is_active_again(world: World) -> None:
    """spec/events-api.md, worked case 9."""
    before = world.config.current
    assert (await world.client.post("/v2/events", data=b"{}", headers=K1)).status == 202
    inactive = msgspec.structs.replace(before.keys["k1"], is_active=False)
    world.config.current = msgspec.structs.replace(before, keys={"k1": inactive})
    assert (await world.client.post("/v2/events", data=b"{}", headers=K1)).status == 403
    world.config.current = before
    assert (await world.client.post("/v2/events", data=b"{}", headers=K1)).status == 202


async def test_a_bad_batch_gets_the_documented_body(world: World) -> None:
    """spec/events-api.md, worked case 11."""
    response = await world.client.post("/v2/events", json=BAD, headers=K1)
    assert response.status == 400
    assert await response.json() == {
        "errors": [
            {
                "code": "BAD_REQUEST",
                "message": 'Required event field "event_type" is missing or empty.',
                "path": "events[0].event_type",
            }
        ]
    }


@pytest.mark.parametrize(("count", "status"), [(100, 202), (101, 400)])
@pytest.mark.parametrize("path", BULK)
async def test_a_bulk_request_has_at_most_100_batches(
    world: World, path: str, count: int, status: int
) -> None:
    """spec/events-api.md, worked case 49."""
    response = await world.client.post(path, json=[old(GOOD)] * count, headers=K1)
    assert response.status == status
    assert len(world.deployment.applied) == (count if status == 202 else 0)
    if status == 400:
        message = "Request contains 101 batches; the maximum is 100."
        assert (await first_error(response))["message"] == message


async def test_three_large_batches_pass_together(world: World) -> None:
    """spec/events-api.md, worked case 49: 200 events each."""
    response = await world.client.post(
        "/v2/bulkevents", json=[{"events": [EVENT] * 200}] * 3, headers=K1
    )
    assert response.status == 202


async def test_refused_batches_are_listed_and_the_others_applied(world: World) -> None:
    """spec/events-api.md, worked case 50."""
    response = await world.client.post("/v2/bulkevents", json=[GOOD, BAD, 5], headers=K1)
    assert response.status == 202
    assert response.headers["X-mp-rate-limit-percentage-used"] == "1"
    assert response.headers["Content-Type"] == "application/json"
    paths = [error["path"] for error in (await response.json())["errors"]]
    assert paths == ["[1].events[0].event_type", "[2]"]
    assert len(world.deployment.applied) == 1


async def test_a_bulk_request_without_a_good_batch_gets_400(world: World) -> None:
    """spec/events-api.md, worked case 50."""
    response = await world.client.post("/v2/bulkevents", json=[BAD] * 30, headers=K1)
    assert response.status == 400
    errors = (await response.json())["errors"]
    assert [error["path"] for error in errors] == [
        f"[{index}].events[0].event_type" for index in range(20)
    ]


async def test_a_repeated_request_is_answered_like_the_first(world: World) -> None:
    """spec/events-api.md, worked cases 51 and 52: the key used is part of the request id."""
    for body, headers, applied in (
        ({**BAD, "source_request_id": "r1"}, K1, 0),
        ({**GOOD, "source_request_id": "r1"}, K1, 1),
        ({**GOOD, "source_request_id": "r1"}, K1, 1),
        ({**GOOD, "source_request_id": "r1"}, K2, 2),
    ):
        response = await world.client.post("/v2/events", json=body, headers=headers)
        assert response.status == (202 if body["events"] == [EVENT] else 400)
        assert len(world.deployment.applied) == applied


@pytest.mark.parametrize(
    ("path", "headers", "channel", "is_historical"),
    [
        ("/v2/events", K1, "server_to_server", False),
        ("/v2/bulkevents", K2, "server_to_server", False),
        ("/v2/bulkevents", basic("k3:s3"), "partner", False),
        ("/v2/bulkevents/historical", K1, "server_to_server", True),
    ],
)
async def test_the_shards_are_told_how_a_batch_came(
    world: World, path: str, headers: dict[str, str], channel: str, is_historical: bool
) -> None:
    world.clock.advance(5)
    data = body_for(path, old(GOOD))
    assert (await world.client.post(path, data=data, headers=headers)).status == 202
    _, context = world.deployment.applied[0]
    assert (context.channel, context.is_historical) == (channel, is_historical)
    assert (context.received_ms, context.is_lenient) == (T + 5, False)
    assert (context.ip, context.user_agent) == (None, None)


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        pytest.param(ShardUnavailable("shard 1"), NOT_REACHED, id="the shard is away"),
        pytest.param(StoreFull("shard 1"), NOT_STORED, id="the disk is full"),
        pytest.param(Overloaded("too many", 1), TOO_MUCH, id="too much waits"),
    ],
)
@pytest.mark.parametrize("path", ALL)
async def test_what_cannot_be_stored_gets_503(
    world: World, path: str, failure: Exception, message: str
) -> None:
    world.deployment.failure = failure
    response = await world.client.post(path, data=body_for(path, old(GOOD)), headers=K1)
    assert (response.status, response.headers["Retry-After"]) == (503, "1")
    error = await first_error(response)
    assert (error["code"], error["message"]) == ("SERVICE_UNAVAILABLE", message)


@pytest.mark.parametrize("path", ALL)
async def test_a_user_that_too_many_wait_for_gets_429(world: World, path: str) -> None:
    """spec/identity.md, 4.3: hot identity."""
    world.deployment.failure = HotIdentity("too many wait")
    response = await world.client.post(path, data=body_for(path, old(GOOD)), headers=K1)
    assert (response.status, response.headers["Retry-After"]) == (429, "1")
    assert (await first_error(response))["code"] == "TOO_MANY_REQUESTS"


async def test_a_defect_gets_500_with_the_request_id_and_nothing_of_the_batch(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.deployment.failure = KeyError("jane@example.com")
    response = await world.client.post(
        "/v2/events", json=GOOD, headers={**K1, "X-Request-Id": "abc-1"}
    )
    assert response.status == 500
    error = await first_error(response)
    assert error["code"] == "INTERNAL_ERROR"
    assert "abc-1" in error["message"]
    assert "jane" not in await response.text()
    assert [record.__dict__["request_id"] for record in caplog.records] == ["abc-1"]


@pytest.mark.parametrize("path", ALL)
async def test_servers_get_no_cors_headers(world: World, path: str) -> None:
    """spec/clients.md, 2: every browser-reachable path but these."""
    response = await world.client.post(path, headers=K1)
    assert "Access-Control-Allow-Origin" not in response.headers


async def test_every_recorded_server_request_is_accepted(world: World) -> None:
    """spec/clients.md, worked cases 5 and 6; spec/events-api.md, worked case 28."""
    data = Path(__file__).parents[2] / "data" / "recorded"
    keys = world.config.current.keys
    recorded = "us1-0123456789abcdef0123456789abcdef"
    world.config.current = msgspec.structs.replace(
        world.config.current, keys={**keys, recorded: key_info(recorded, "recorded-secret", 1)}
    )
    lines = [
        json.loads(line)
        for name in ("python", "node")
        for line in (data / f"{name}.ndjson").read_text().splitlines()
    ]
    assert lines
    for line in lines:
        response = await world.client.request(
            line["method"], line["path"], json=line["body"], headers=line["headers"]
        )
        assert response.status == (403 if "wrong secret" in line["call"] else 202), line["call"]
        assert response.status == 403 or await response.read() == b""
