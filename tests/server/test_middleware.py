"""What surrounds every request: ids, access log, CORS, metrics (spec/observability.md, 6 and 8)."""

import asyncio
import logging

import pytest

from tests.server.conftest import K1, World

PATHS = ["/v2/events", "/healthz", "/v3/JS/kw/events", "/nowhere", "/v1/kw/Pixel"]


@pytest.mark.parametrize("path", PATHS)
async def test_a_request_id_comes_back(world: World, path: str) -> None:
    """spec/observability.md, worked case 24."""
    for given in ("abc-1", "A._-9", "a" * 128):
        response = await world.client.get(path, headers={"X-Request-Id": given})
        assert response.headers["X-Request-Id"] == given


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "given", [None, "", "a" * 129, "a" * 200, "a b", "é", 'x"y', "a,b", "jane@example.com"]
)
async def test_a_missing_or_odd_request_id_is_replaced(
    world: World, path: str, given: str | None
) -> None:
    """spec/observability.md, worked case 24."""
    headers = {} if given is None else {"X-Request-Id": given}
    ids = set()
    for _ in range(2):
        response = await world.client.get(path, headers=headers)
        ids.add(response.headers["X-Request-Id"])
    assert len(ids) == 2
    assert given not in ids


async def test_one_access_line_per_request_names_the_route_and_no_values(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """spec/observability.md, worked case 24."""
    caplog.set_level(logging.INFO)
    await world.client.post(
        "/v2/events/",
        json={"user_identities": {"email": "jane@example.com"}},
        headers={**K1, "X-Request-Id": "abc-1"},
    )
    await world.client.get("/v1/kw/Pixel?dt=AppEvent&n=secret-name")
    await world.client.get("/userprofile/v1/1/2/3/4411?fields=user_identities")
    await world.client.get("/nowhere/jane@example.com")
    lines = [record.__dict__ for record in caplog.records if record.name == "headwater.access"]
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("POST", "/v2/events", 202),
        ("GET", "/v1/{key}/Pixel", 200),
        ("GET", "/userprofile/v1/{org}/{account}/{workspace}/{mpid}", 401),
        ("GET", "", 404),
    ]
    assert lines[0]["request_id"] == "abc-1"
    everything = "".join(str(record.__dict__) for record in caplog.records)
    for private in ("jane", "secret-name", "4411", "s1", K1["Authorization"]):
        assert private not in everything


async def test_health_is_logged_at_debug_only(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await world.client.get("/readyz")
    assert not [record for record in caplog.records if record.name == "headwater.access"]
    caplog.set_level(logging.DEBUG, "headwater.access")
    await world.client.get("/readyz")
    [record] = [record for record in caplog.records if record.name == "headwater.access"]
    assert record.levelno == logging.DEBUG


@pytest.mark.parametrize(
    ("method", "path", "api", "code"),
    [
        ("POST", "/v2/events", "events", "401"),
        ("POST", "/s2s/v2/bulkevents/", "bulk", "401"),
        ("POST", "/v2/bulkevents/historical", "historical", "401"),
        ("POST", "/v3/JS/kw/events", "client", "400"),
        ("OPTIONS", "/v3/JS/kw/events", "client", "204"),
        ("GET", "/v1/nope/Pixel", "pixel", "403"),
        ("POST", "/oauth/token", "oauth", "400"),
        ("GET", "/userprofile/v1/1/2/3/4", "profile", "401"),
        ("GET", "/platform/v2/workspaces/3/users/4", "platform", "401"),
        ("GET", "/nowhere", "none", "404"),
        ("PUT", "/v2/events", "none", "405"),
        ("PROPFIND", "/v2/events", "none", "405"),
    ],
)
async def test_every_request_is_counted(
    world: World, method: str, path: str, api: str, code: str
) -> None:
    await world.client.request(method, path, data=b"x" * 300)
    known = "other" if method == "PROPFIND" else method
    labels = {"api": api, "method": known, "code": code}
    assert world.count("headwater_http_requests_total", **labels) == 1
    assert world.count("headwater_http_request_duration_seconds_count", api=api) == 1
    assert world.count("headwater_http_request_size_bytes_sum", api=api) == 300


@pytest.mark.parametrize("path", ["/nowhere", "/oauth/token", "/v1/kw/audience", "/healthz"])
async def test_a_browser_can_read_every_answer_elsewhere(world: World, path: str) -> None:
    """spec/clients.md, 2: on every response, errors too."""
    response = await world.client.get(path)
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize(
    ("path", "header", "status"),
    [
        ("/v1/kw/Pixel?dt=3&n=x", b"User-Agent: \xff", 200),
        ("/userprofile/v1/1/2/3/4", b"Authorization: Bearer \xff.\xff.\xff", 401),
        ("/v2/events", b"Authorization: Basic \xff", 405),
        ("/healthz", b"X-Request-Id: \xff", 200),
        ("/v3/discovery", b"Host: \xff", 200),
    ],
)
async def test_headers_that_are_not_utf8_do_no_harm(
    world: World, path: str, header: bytes, status: int
) -> None:
    reader, writer = await asyncio.open_connection(world.client.host, world.client.port)
    try:
        host = b"" if header.startswith(b"Host") else b"Host: x\r\n"
        writer.write(b"GET %s HTTP/1.1\r\n%s%s\r\n" % (path.encode(), host, header))
        writer.write(b"Connection: close\r\n\r\n")
        answer = await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert [context.user_agent for _, context in world.deployment.applied] == ["?"] * (
        b"User-Agent" in header
    )


async def test_answers_say_what_they_are_and_not_what_serves_them(world: World) -> None:
    for path in PATHS:
        headers = (await world.client.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Server"] == "Headwater"


@pytest.mark.parametrize(
    "path",
    ["/userprofile/v1/1/2/3/4411?fields=user_identities", "/platform/v2/workspaces/3/users/1"],
)
async def test_what_is_known_of_people_is_kept_by_no_browser_or_proxy(
    world: World, path: str
) -> None:
    assert (await world.client.get(path)).headers["Cache-Control"] == "no-store"
