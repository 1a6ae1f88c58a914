"""Bearer tokens over HTTP (spec/platform-api.md, 2)."""

import logging
import re
from typing import Any

import jwt
import msgspec
import pytest

from server import tokens
from server.edge_config import digest
from tests.server.conftest import T, World, credential

GOOD = {"client_id": "ops", "client_secret": "ops-secret", "grant_type": "client_credentials"}
PROFILE = "/userprofile/v1/1/2/3/9?fields=user_identities"


async def post(world: World, **changes: str | None) -> Any:
    fields = {name: value for name, value in (GOOD | changes).items() if value is not None}
    return await world.client.post("/oauth/token", json=fields)


async def status_with(world: World, headers: dict[str, str]) -> int:
    return (await world.client.get(PROFILE, headers=headers)).status


@pytest.mark.parametrize("is_form", [False, True])
async def test_a_good_secret_gets_a_token(world: World, is_form: bool) -> None:
    """spec/platform-api.md, worked case 1; JSON or form."""
    if is_form:
        response = await world.client.post("/oauth/token", data=GOOD)
    else:
        response = await world.client.post("/oauth/token", json=GOOD)
    assert response.status == 200
    assert response.headers["Cache-Control"] == "no-store"
    body = await response.json()
    assert (body["expires_in"], body["token_type"]) == (28800, "Bearer")
    assert "kid" in jwt.get_unverified_header(body["access_token"])
    claims = jwt.decode(body["access_token"], options={"verify_signature": False})
    assert re.fullmatch("[0-9a-f]{64}", claims.pop("secret_id"))
    assert claims == {
        "iss": "headwater",
        "sub": "ops",
        "aud": "https://api.mparticle.com",
        "iat": T // 1000,
        "exp": T // 1000 + 28800,
        "scope": "platform profile",
        "account": 2,
        "workspaces": [3],
        "perms": {"platform": "admin", "profile": "read_only"},
    }


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        pytest.param({"grant_type": "password"}, 400, "unsupported_grant_type", id="grant type"),
        pytest.param({"client_secret": "wrong"}, 401, "invalid_client", id="wrong secret"),
        pytest.param({"client_id": "nobody"}, 401, "invalid_client", id="unknown client"),
        pytest.param({"audience": "https://x.example"}, 403, "access_denied", id="audience"),
        pytest.param({"client_id": None}, 400, "invalid_request", id="no client id"),
        pytest.param({"client_secret": ""}, 400, "invalid_request", id="empty secret"),
        pytest.param({"grant_type": None}, 400, "invalid_request", id="no grant type"),
    ],
)
async def test_refusals_have_oauths_own_shape(
    world: World, changes: dict[str, str | None], status: int, error: str
) -> None:
    """spec/platform-api.md, worked case 1."""
    response = await post(world, **changes)
    assert response.status == status
    body = await response.json()
    assert set(body) == {"error", "error_description"}
    assert body["error"] == error


@pytest.mark.parametrize("body", [b"{", b"[]", b"", b'{"client_id": 1}'])
async def test_a_malformed_body_gets_400(world: World, body: bytes) -> None:
    response = await world.client.post("/oauth/token", data=body)
    assert response.status == 400
    assert (await response.json())["error"] == "invalid_request"


async def test_an_audience_of_the_settings_is_accepted(world: World) -> None:
    audiences = ("https://api.mparticle.com", "https://cdp.example")
    world.config.current = msgspec.structs.replace(world.config.current, token_audiences=audiences)
    response = await post(world, audience="https://cdp.example")
    token = (await response.json())["access_token"]
    assert await status_with(world, {"Authorization": f"Bearer {token}"}) == 404


async def test_an_inactive_credential_gets_no_token(world: World) -> None:
    inactive = msgspec.structs.replace(credential("ops", platform="admin"), is_active=False)
    world.config.current = msgspec.structs.replace(
        world.config.current, credentials={"ops": inactive}
    )
    assert (await post(world)).status == 401


async def test_more_than_60_failures_a_minute_get_429(world: World) -> None:
    """spec/platform-api.md, 2; another client is not affected."""
    for _ in range(60):
        assert (await post(world, client_secret="wrong")).status == 401
    for secret in ("wrong", "ops-secret"):
        response = await post(world, client_secret=secret)
        assert (response.status, response.headers["Retry-After"]) == (429, "60")
    response = await post(world, client_id="reader", client_secret="reader-secret")
    assert response.status == 200
    world.clock.advance(59_999)
    assert (await post(world)).status == 429
    world.clock.advance(1)
    assert (await post(world)).status == 200


async def test_success_does_not_count_as_a_failure(world: World) -> None:
    for _ in range(70):
        assert (await post(world)).status == 200


async def test_a_client_gets_600_tokens_a_minute(world: World) -> None:
    """Each has an entry in the audit log; another client is not affected."""
    for _ in range(600):
        assert (await post(world)).status == 200
    response = await post(world)
    assert (response.status, response.headers["Retry-After"]) == (429, "60")
    assert (await response.json())["error"] == "too_many_requests"
    assert (await post(world, client_secret="wrong")).status == 401
    entries = len(world.deployment.audit_log.entries)
    assert entries == 600
    other = await post(world, client_id="reader", client_secret="reader-secret")
    assert other.status == 200
    world.clock.advance(60_000)
    assert (await post(world)).status == 200


@pytest.mark.parametrize(
    ("seconds", "status"),
    [(28800 + 59, 404), (28800 + 60, 401)],
)
async def test_a_token_lives_8_hours_and_the_allowed_skew(
    world: World, seconds: int, status: int
) -> None:
    """spec/profiles.md, worked case 15; spec/platform-api.md, 2: clock skew of 60 s."""
    headers = await world.token()
    world.clock.advance(seconds * 1000)
    assert await status_with(world, headers) == status


async def test_a_token_of_an_edge_whose_clock_is_ahead_is_good_with_the_others(
    world: World,
) -> None:
    """After the machine's clock was ahead, an edge's is for as long again; a new edge's is not."""
    headers = await world.token()
    world.clock.advance(-3600 * 1000)
    assert await status_with(world, headers) == 404
    world.clock.advance((3600 + 28800 + 60) * 1000)
    assert await status_with(world, headers) == 401


@pytest.mark.parametrize(
    "credentials",
    [
        pytest.param({}, id="deleted"),
        pytest.param(
            {
                "ops": msgspec.structs.replace(
                    credential("ops", profile="read_only"), is_active=False
                )
            },
            id="deactivated",
        ),
        pytest.param({"ops": credential("ops", profile="read_only")}, id="narrowed"),
    ],
)
async def test_a_token_dies_with_its_credential(world: World, credentials: dict[str, Any]) -> None:
    """spec/platform-api.md, worked case 29."""
    headers = await world.token()
    assert await status_with(world, headers) == 404
    world.config.current = msgspec.structs.replace(world.config.current, credentials=credentials)
    assert await status_with(world, headers) == 401


async def test_what_a_token_says_of_its_secret_cannot_be_guessed_from_it(world: World) -> None:
    """It is keyed: who has read a token cannot try secrets on it."""
    said = set()
    for key in (b"x" * 32, b"y" * 32):
        world.config.current = msgspec.structs.replace(world.config.current, token_key=key)
        token = (await (await post(world)).json())["access_token"]
        claims = jwt.decode(token, options={"verify_signature": False})
        assert digest("ops-secret").hex() not in str(claims)
        said.add(claims["secret_id"])
    assert len(said) == 2


@pytest.mark.parametrize("said", [None, "", "0" * 64])
async def test_a_token_that_does_not_say_its_secret_gets_401(
    world: World, said: str | None
) -> None:
    """Nor one that was issued before tokens said it."""
    config = world.config.current
    genuine = (await world.token())["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(genuine, options={"verify_signature": False}) | {"secret_id": said}
    if said is None:
        del claims["secret_id"]
    headers = {"kid": tokens.key_id(config.token_key)}
    signed = jwt.encode(claims, config.token_key, algorithm=tokens.ALGORITHM, headers=headers)
    assert await status_with(world, {"Authorization": f"Bearer {signed}"}) == 401


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("Bearer", id="no token"),
        pytest.param("Bearer abc", id="not a token"),
        pytest.param("Bearer a.b.c", id="not JSON"),
        pytest.param("Basic azE6czE=", id="other scheme"),
    ],
)
async def test_what_is_not_a_token_gets_401(world: World, header: str) -> None:
    response = await world.client.get(PROFILE, headers={"Authorization": header})
    assert response.status == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("algorithm", ["HS256", "HS512", "none"])
async def test_a_forged_token_gets_401(world: World, algorithm: str) -> None:
    genuine = (await world.token())["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(genuine, options={"verify_signature": False})
    kid = jwt.get_unverified_header(genuine)["kid"]
    key = "" if algorithm == "none" else "x" * 64
    forged = jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})
    assert await status_with(world, {"Authorization": f"Bearer {forged}"}) == 401


async def test_another_server_key_ends_all_tokens(world: World) -> None:
    headers = await world.token()
    world.config.current = msgspec.structs.replace(world.config.current, token_key=b"y" * 32)
    assert await status_with(world, headers) == 401


async def test_the_scheme_may_be_in_any_case(world: World) -> None:
    token = (await world.token())["Authorization"].removeprefix("Bearer ")
    assert await status_with(world, {"Authorization": f"bearer {token}"}) == 404


async def test_secrets_appear_in_no_answer_and_no_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for changes in ({}, {"grant_type": "x"}, {"audience": "x"}, {"client_id": "nobody"}):
        assert "ops-secret" not in await (await post(world, **changes)).text()
    assert "ops-secret" not in "".join(str(record.__dict__) for record in caplog.records)
