"""Profile API and client audience endpoint over HTTP (spec/profiles.md, 7)."""

from typing import Any
from uuid import UUID

import msgspec
import pytest

from actors.errors import ShardUnavailable
from tests.server.conftest import T, World, first_error

BASE = "/userprofile/v1/1/2/3"
RESOLVE = "/userprofile/v1/resolve/1/2/3"
MPID = 4411
FIELDS = "?fields=user_identities"
IDENTITY = {"type": "customer_id", "value": "c-1"}
USED = "X-mp-rate-limit-percentage-used"


@pytest.fixture
def known(world: World) -> World:
    """Put one production profile, c-1, into the deployment."""
    identities = [{"type": "customer_id", "encoding": "none", "value": "c-1"}]
    for mpid in (MPID, -9223372036854775807):
        world.deployment.profiles[mpid, "production"] = {"user_identities": identities}
    world.deployment.identities["production", "customerid", "c-1"] = MPID
    return world


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("slash", ["", "/"])
async def test_a_profile_is_read_by_mpid(known: World, method: str, slash: str) -> None:
    """spec/profiles.md, 7.2: POST with any or no body is equivalent."""
    headers = await known.token("reader")
    data = b"{not json" if method == "POST" else None
    response = await known.client.request(
        method, f"{BASE}/{MPID}{slash}{FIELDS}", headers=headers, data=data
    )
    assert response.status == 200
    body = await response.json()
    assert body["mpid"] == MPID
    assert body["user_identities"][0]["value"] == "c-1"
    assert response.headers[USED] == "3"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("?fields=", 400),
        ("?fields=%20", 400),
        ("?fields=user_attributes,foo", 400),
        ("?fields=User_Attributes", 400),
        ("?fields=user_attributes,", 400),
        ("?fields=%20user_attributes%20,user_attributes", 200),
        ("?fields=device_identities,attribution,consent_state,audience_memberships", 200),
    ],
)
async def test_fields_are_required_and_known(known: World, query: str, status: int) -> None:
    """spec/profiles.md, worked case 14."""
    response = await known.client.get(f"{BASE}/{MPID}{query}", headers=await known.token())
    assert response.status == status
    if status == 400:
        assert (await first_error(response))["code"] == "BAD_REQUEST"


async def test_without_a_token_there_is_no_profile(known: World) -> None:
    """spec/profiles.md, worked case 15."""
    response = await known.client.get(f"{BASE}/{MPID}{FIELDS}")
    assert response.status == 401
    assert (await first_error(response))["code"] == "UNAUTHORIZED"


@pytest.mark.parametrize("ids", ["1/2/12", "1/9/3", "9/2/3"])
@pytest.mark.parametrize("path", ["/userprofile/v1/{}/4411", "/userprofile/v1/resolve/{}"])
async def test_another_workspace_is_out_of_scope(known: World, path: str, ids: str) -> None:
    """spec/profiles.md, worked case 15."""
    method = "POST" if "resolve" in path else "GET"
    response = await known.client.request(
        method, path.format(ids) + FIELDS, headers=await known.token()
    )
    assert response.status == 403
    assert (await first_error(response))["code"] == "FORBIDDEN"


async def test_a_credential_without_the_api_is_refused(known: World) -> None:
    """spec/profiles.md, 7.4."""
    headers = await known.token("viewer")
    assert (await known.client.get(f"{BASE}/{MPID}{FIELDS}", headers=headers)).status == 403


async def resolve(world: World, **changes: Any) -> Any:
    body = {"environment_type": "production", "identity": IDENTITY} | changes
    body = {name: value for name, value in body.items() if value is not None}
    return await world.client.post(RESOLVE + FIELDS, json=body, headers=await world.token())


@pytest.mark.parametrize("identity_type", ["customer_id", "customerid"])
async def test_an_immutable_identity_resolves_to_its_profile(
    known: World, identity_type: str
) -> None:
    """spec/profiles.md, worked case 16."""
    headers = await known.token()
    response = await resolve(known, identity={"type": identity_type, "value": "c-1"})
    by_mpid = await known.client.get(f"{BASE}/{MPID}{FIELDS}", headers=headers)
    assert response.status == 200
    assert await response.json() == await by_mpid.json()


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        pytest.param({"identity": {"type": "email", "value": "c-1"}}, 400, id="not immutable"),
        pytest.param({"identity": {"type": "passport", "value": "c-1"}}, 400, id="unknown type"),
        pytest.param({"identity": {"type": "customer_id", "value": "none"}}, 404, id="nobody's"),
        pytest.param({"identity": {"type": "customer_id", "value": ""}}, 400, id="empty value"),
        pytest.param({"identity": {"type": "customer_id", "value": 7}}, 400, id="number"),
        pytest.param({"identity": {"value": "c-1"}}, 400, id="no type"),
        pytest.param({"identity": "c-1"}, 400, id="no object"),
        pytest.param({"identity": None}, 400, id="no identity"),
        pytest.param({"environment_type": "development"}, 404, id="other environment"),
        pytest.param({"environment_type": "staging"}, 400, id="unknown environment"),
        pytest.param({"environment_type": None}, 400, id="no environment"),
    ],
)
async def test_what_does_not_resolve(known: World, changes: dict[str, Any], status: int) -> None:
    """spec/profiles.md, worked cases 16 and 17."""
    response = await resolve(known, **changes)
    assert response.status == status


async def test_a_malformed_body_does_not_resolve(known: World) -> None:
    headers = await known.token()
    for body in (b"{", b"[]", b""):
        response = await known.client.post(RESOLVE + FIELDS, data=body, headers=headers)
        assert response.status == 400


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{BASE}/9223372036854775808", 400),
        (f"{BASE}/-9223372036854775809", 400),
        (f"{BASE}/abc", 400),
        (f"{BASE}/{'9' * 30}", 400),
        ("/userprofile/v1/x/2/3/9", 400),
        (f"{BASE}/9223372036854775807", 404),
        (f"{BASE}/-9223372036854775808", 404),
        (f"{BASE}/12", 404),
    ],
)
async def test_an_mpid_is_an_integer_of_64_bits(known: World, path: str, status: int) -> None:
    """spec/profiles.md, worked case 18."""
    response = await known.client.get(path + FIELDS, headers=await known.token())
    assert response.status == status


async def test_an_mpid_keeps_all_its_digits(known: World) -> None:
    """spec/profiles.md, worked case 18."""
    mpid = "-9223372036854775807"
    response = await known.client.get(f"{BASE}/{mpid}{FIELDS}", headers=await known.token())
    assert f'"mpid":{mpid},' in await response.text()


async def test_30_requests_pass_at_once_and_then_15_a_second(known: World) -> None:
    """spec/profiles.md, worked case 19."""
    headers = await known.token()
    statuses = []
    for _ in range(100):
        response = await known.client.get(f"{BASE}/{MPID}{FIELDS}", headers=headers)
        statuses.append(response.status)
        if response.status == 200:
            assert 0 <= int(response.headers[USED]) <= 100
        else:
            assert response.headers["Retry-After"] == "1"
            assert response.headers["X-mp-rate-limit-exceeded"] == "account"
        known.clock.advance(1)
    assert statuses[:30] == [200] * 30
    assert statuses.count(200) == 31
    assert set(statuses) == {200, 429}


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", f"{BASE}/{MPID}"), ("DELETE", f"{BASE}/{MPID}"), ("GET", RESOLVE), ("PUT", RESOLVE)],
)
async def test_another_method_gets_405(known: World, method: str, path: str) -> None:
    response = await known.client.request(method, path + FIELDS, headers=await known.token())
    assert response.status == 405
    assert "POST" in response.headers["Allow"]


async def test_a_recovering_shard_gets_503(known: World) -> None:
    headers = await known.token()
    known.deployment.failure = ShardUnavailable("shard 1")
    response = await known.client.get(f"{BASE}/{MPID}{FIELDS}", headers=headers)
    assert (response.status, response.headers["Retry-After"]) == (503, "1")


def serve_audiences(world: World) -> None:
    world.config.current = msgspec.structs.replace(
        world.config.current, has_client_audience_api=True
    )
    memberships = [
        {"audience_id": number, "audience_name": "Secret", "expiration_timestamp_ms": None}
        for number in (123, 456)
    ]
    world.deployment.profiles[MPID, "production"] = {"audience_memberships": memberships}


@pytest.mark.parametrize(
    "path", ["/v1/kw/audience", "/v1/k2/audience/", "/nativeevents/v1/kw/audience"]
)
async def test_a_client_reads_the_ids_of_its_audiences(world: World, path: str) -> None:
    """spec/profiles.md, worked case 24."""
    serve_audiences(world)
    response = await world.client.get(f"{path}?mpid={MPID}")
    assert response.status == 200
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    body = await response.json()
    assert (body["dt"], body["ct"], str(UUID(body["id"]))) == ("cam", T, body["id"])
    assert body["audience_memberships"] == [{"audience_id": 123}, {"audience_id": 456}]
    response = await world.client.get(f"{path}?mpid=99")
    assert (await response.json())["audience_memberships"] == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/nope/audience?mpid=4411", 401),
        ("/v1/kw/audience?mpid=abc", 400),
        ("/v1/kw/audience", 400),
    ],
)
async def test_what_a_client_cannot_ask(world: World, path: str, status: int) -> None:
    """spec/profiles.md, worked case 24."""
    serve_audiences(world)
    response = await world.client.get(path)
    assert response.status == status
    assert response.headers["Access-Control-Allow-Origin"] == "*"


async def test_audiences_are_shown_to_clients_only_if_the_workspace_says_so(world: World) -> None:
    """spec/profiles.md, worked case 24."""
    assert (await world.client.get(f"/v1/kw/audience?mpid={MPID}")).status == 403
