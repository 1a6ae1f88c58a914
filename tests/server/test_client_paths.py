"""What holds on every path that client SDKs use (spec/clients.md, 1 and 2)."""

from typing import Any, NamedTuple

from aiohttp import ClientResponse
from msgspec.structs import replace

from actors.errors import ShardUnavailable
from tests.server.conftest import T, World, basic

KNOWN = {"device_application_stamp": "0f0f0f0f-0000-4000-8000-000000000001"}
CALL = {"environment": "production", "known_identities": KNOWN}
CHANGE = {"identity_type": "email", "old_value": None, "new_value": "a@example.test"}
MODIFY = {"environment": "production", "identity_changes": [CHANGE]}
ALIAS = {
    "request_id": "0f0f0f0f-0000-4000-8000-000000000002",
    "request_type": "alias",
    "environment": "production",
    "data": {
        "source_mpid": "5",
        "destination_mpid": "6",
        "start_unixtime_ms": T - 1000,
        "end_unixtime_ms": T,
    },
}
MESSAGE = {"userId": "u", "event": "E", "groupId": "g", "previousId": "p"}
MANY = {"batch": [{"type": "track", "userId": "u", "event": "E"}]}
ALLOWED_HEADERS = {
    *("accept", "authorization", "content-type", "content-encoding", "date", "x-mp-key"),
    *("x-mp-signature", "anonymousid", "sentat", "x-retry-count"),
}
NAMES = ("track", "page", "screen", "group", "alias", *"tipsga")


class Path(NamedTuple):
    """A row of section 1. KEY in `path` stands for an API key.

    `prefix`: below which the path is served too. `body`: what it takes. `wrong`: the status for a
    key that nobody has. `unavailable`: the status while shards cannot be reached.
    """

    method: str
    path: str
    prefix: str = ""
    body: Any = None
    wrong: int = 401
    unavailable: int = 503
    secret: str | None = None  # of Basic authentication, whose user is the key

    def headers(self, key: str) -> dict[str, str]:
        if self.secret is not None:
            return basic(f"{key}:{self.secret}")
        return {} if "KEY" in self.path else {"x-mp-key": key}


IDSYNC = [
    *(Path("POST", f"/v1/{name}", "/identity", CALL) for name in ("identify", "login", "logout")),
    Path("POST", "/v1/search", "/identity", CALL),
    Path("POST", "/v1/77/modify", "/identity", MODIFY),
]
PATHS = [
    *IDSYNC,
    Path("GET", "/JS/v2/KEY/config", "/tags", unavailable=200),
    Path("GET", "/js/v2/KEY/mparticle.js", "/tags", unavailable=404),  # no file of the SDK is set
    Path("POST", "/v3/JS/KEY/events", "/webevents", {}, wrong=403),
    Path("POST", "/v1/JS/KEY/Forwarding", "/webevents", {"mid": 1}, wrong=403, unavailable=202),
    Path("POST", "/v2/JS/KEY/Forwarding", "/webevents", {"data": []}, wrong=403, unavailable=202),
    Path("POST", "/v1/identity/KEY/Alias", "/webevents", ALIAS),
    Path("POST", "/v1/identity/KEY/alias", "/nativeevents", ALIAS),
    Path("GET", "/v1/KEY/audience?mpid=5", "/nativeevents"),
    Path("POST", "/v2/KEY/events", "/nativeevents", {"dt": "h"}, wrong=403),
    Path("GET", "/v4/KEY/config", "/config", wrong=403, unavailable=200),
    *(Path("POST", f"/v1/{name}", "/segment", MESSAGE, secret="") for name in NAMES),
    Path("POST", "/segment/v1/identify", "", MESSAGE, secret=""),
    *(
        Path("POST", f"/v1/{name}", "/segment", MANY, secret="")
        for name in ("batch", "import", "b")
    ),
    Path("POST", "/v1/m", "/segment", {}, wrong=200, unavailable=200),
    Path("GET", "/v1/projects/KEY/settings", "/segment", wrong=404, unavailable=200),
    Path("GET", "/sourceConfig", secret="", unavailable=200),
    Path("POST", "/beacon/v1/batch?writeKey=KEY", "", MANY),
    Path("GET", "/pixel/v1/track?writeKey=KEY&userId=u&event=E", wrong=200, unavailable=200),
    Path("GET", "/pixel/v1/page?writeKey=KEY&userId=u", wrong=200, unavailable=200),
]
SPELLED = [
    row._replace(path=spelling)
    for row in PATHS
    for path in ([row.path] if not row.prefix else [row.path, row.prefix + row.path])
    for plain, question, query in [path.partition("?")]
    for spelling in (path, f"{plain}/{question}{query}")
]


async def ask(world: World, row: Path, key: str) -> ClientResponse:
    """Make the request of a row, as somebody who has a key."""
    return await world.client.request(
        row.method,
        row.path.replace("KEY", key),
        json=row.body,
        headers=row.headers(key),
        allow_redirects=False,
    )


def check_cors(response: ClientResponse) -> None:
    """No SDK needs credentials, or a cookie; two headers are for it to read."""
    headers = response.headers
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Access-Control-Expose-Headers"] == "X-MP-Max-Age, Retry-After"
    assert "Access-Control-Allow-Credentials" not in headers
    assert "Set-Cookie" not in headers


async def test_a_browser_may_ask_before_it_asks(world: World) -> None:
    """Worked case 3, on each path; before authentication, so with a key that nobody has."""
    for row in SPELLED:
        response = await world.client.options(
            row.path.replace("KEY", "nobodys"),
            headers={
                "Origin": "https://shop.example.test",
                "Access-Control-Request-Method": row.method,
                "Access-Control-Request-Headers": ",".join(sorted(ALLOWED_HEADERS)),
            },
        )
        assert (response.status, await response.read()) == (204, b""), row
        check_cors(response)
        headers = response.headers
        assert headers["Access-Control-Allow-Methods"] == "GET, POST, OPTIONS", row
        assert set(headers["Access-Control-Allow-Headers"].split(", ")) >= ALLOWED_HEADERS, row
        assert headers["Access-Control-Max-Age"] == "86400", row


async def test_a_browser_can_read_that_a_key_is_wrong(world: World) -> None:
    """Never 404 for a key in a path, but where Segment's SDK expects it; never a redirect."""
    for row in SPELLED:
        response = await ask(world, row, "nobodys")
        assert response.status == row.wrong, (row, await response.text())
        check_cors(response)
    assert world.deployment.applied == []


async def test_a_browser_can_read_that_it_has_to_come_again(world: World) -> None:
    """Without `Retry-After` native SDKs pause for two hours."""
    current = world.config.current
    key = replace(current.keys["kw"], takes_segment=True)
    world.config.current = replace(current, keys={"kw": key}, has_client_audience_api=True)
    world.deployment.failure = ShardUnavailable("shard 1")
    for row in SPELLED:
        response = await ask(world, row, "kw")
        assert response.status == row.unavailable, (row, await response.text())
        check_cors(response)
        if row.unavailable == 503:
            assert response.headers["Retry-After"] == "1", row
