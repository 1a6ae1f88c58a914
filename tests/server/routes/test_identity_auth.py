"""Who may make identity calls (spec/identity.md, 4.2)."""

import gzip
import json
import logging
from datetime import UTC, datetime

import msgspec
import pytest

from tests.server.conftest import T, World, basic, key_info
from tests.server.routes.identity import (
    ALIAS,
    KEY,
    KEY_ONLY,
    MODIFY,
    PATHS,
    SECRET,
    body_for,
    post,
    set_up,
    signed,
)

SENT = b'{"environment":"development","request_id":"r-1","known_identities":{"customerid":"u-77"}}'
ISO = {
    "x-mp-key": KEY,
    "Date": "20240105T101112Z",
    "x-mp-signature": "4076ea362db002353eef505d7fee652c23b7a4695ab50a9d3e196098a1c8ae42",
}
RFC = {
    "x-mp-key": KEY,
    "Date": "Fri, 05 Jan 2024 10:11:12 GMT",
    "x-mp-signature": "25714ca39647bb5ac8b3a932f0bcc85e41cb1588936da41d6755efe393ebf7d3",
}
GZIP = {"Content-Encoding": "gzip"}
NOW = datetime.fromtimestamp(T / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
FORBIDDEN_KEY_ONLY = msgspec.structs.replace(key_info(KEY, SECRET, 4), allows_key_only=False)


async def status(world: World, path: str, sent: bytes, headers: dict[str, str]) -> int:
    """Send a request and return its status; a 401 or 403 has no body."""
    response = await post(world, path, sent, headers)
    if response.status in (401, 403):
        assert await response.read() == b""
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    return response.status


async def test_a_date_in_iso_8601_is_signed(world: World) -> None:
    """spec/identity.md, worked case 3."""
    set_up(world, max_skew_ms=0)
    assert await status(world, "/v1/identify", SENT, ISO) == 200
    assert await status(world, "/v1/identify", SENT.replace(b"77", b"78"), ISO) == 401
    assert len(world.deployment.identity_calls) == 1


@pytest.mark.parametrize("path", ["/v1/identify", "/identity/v1/identify", "/v1/identify?cb=1"])
@pytest.mark.parametrize("is_compressed", [False, True])
async def test_a_date_of_rfc_1123_is_signed_with_the_default_path_and_plain_body(
    world: World, path: str, is_compressed: bool
) -> None:
    """spec/identity.md, worked case 4."""
    set_up(world, max_skew_ms=0)
    sent = gzip.compress(SENT) if is_compressed else SENT
    headers = {**RFC, **GZIP} if is_compressed else RFC
    assert await status(world, path, sent, headers) == 200
    upper = {**headers, "x-mp-signature": RFC["x-mp-signature"].upper()}
    assert await status(world, path, sent, upper) == 200


@pytest.mark.parametrize("path", ["/v1/identify?a=1&b=2", "/identity/v1/login?a=1", MODIFY])
async def test_what_was_really_asked_for_may_be_signed_too(world: World, path: str) -> None:
    set_up(world)
    sent = json.dumps(body_for(path)).encode()
    assert await status(world, path, sent, signed(path, sent, NOW)) == 200


async def test_a_key_that_does_not_exist_signs_nothing(world: World) -> None:
    set_up(world)
    headers = signed("/v1/identify", SENT, NOW)
    assert await status(world, "/v1/identify", SENT, {**headers, "x-mp-key": "nobody"}) == 401
    del headers["x-mp-key"]
    assert await status(world, "/v1/identify", SENT, headers) == 401


@pytest.mark.parametrize(
    ("seconds", "skew_ms", "expected"),
    [
        pytest.param(86_400, 86_400_000, 200, id="just inside"),
        pytest.param(-86_400, 86_400_000, 200, id="just inside, early"),
        pytest.param(86_401, 86_400_000, 401, id="just outside"),
        pytest.param(-86_401, 86_400_000, 401, id="just outside, early"),
        pytest.param(10**9, 0, 200, id="no check"),
    ],
)
async def test_a_signature_does_not_last(
    world: World, seconds: int, skew_ms: int, expected: int
) -> None:
    set_up(world, max_skew_ms=skew_ms)
    moment = datetime.fromtimestamp(T / 1000 + seconds, UTC)
    headers = signed("/v1/identify", SENT, moment.strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert await status(world, "/v1/identify", SENT, headers) == expected


async def test_a_date_that_cannot_be_read_does_not_refuse_by_itself(world: World) -> None:
    """spec/clients.md, 5.1: Android writes the zone of the device by any name."""
    set_up(world)
    date = "Thu, 01 Jan 2026 01:00:00 Hora de Verano"
    headers = signed("/v1/identify", SENT, date)
    assert await status(world, "/v1/identify", SENT, headers) == 200
    assert await status(world, "/v1/identify", SENT, {**headers, "Date": date + "!"}) == 401


async def test_a_signature_needs_a_date(world: World) -> None:
    set_up(world, max_skew_ms=0)
    headers = signed("/v1/identify", SENT, "")
    del headers["Date"]
    assert await status(world, "/v1/identify", SENT, headers) == 401


async def test_basic_decides_alone(world: World) -> None:
    """spec/identity.md, worked case 5."""
    set_up(world)
    right = {"Authorization": "Basic a2V5LXdlYi0xOnMzY3IzdC1leGFtcGxl"}
    assert await status(world, "/v1/identify", SENT, right) == 200
    for wrong in (f"{KEY}:wrong", f"{KEY}:", "nobody:x", KEY):
        headers = {**basic(wrong), **KEY_ONLY}
        assert await status(world, "/v1/identify", SENT, headers) == 401
    for header in ("", "Basic", "Basic %", "Bearer x"):
        headers = {"Authorization": header, **KEY_ONLY}
        assert await status(world, "/v1/identify", SENT, headers) == 401


async def test_the_key_alone_is_enough_where_the_input_allows_it(world: World) -> None:
    """spec/identity.md, worked case 6."""
    set_up(world, FORBIDDEN_KEY_ONLY, max_skew_ms=0)
    assert await status(world, "/v1/identify", SENT, KEY_ONLY) == 401
    assert await status(world, "/v1/identify", SENT, ISO) == 200
    set_up(world, max_skew_ms=0)
    assert await status(world, "/v1/identify", SENT, KEY_ONLY) == 200
    wrong = {**ISO, "x-mp-signature": "0" * 64}
    assert await status(world, "/v1/identify", SENT, wrong) == 401
    assert await status(world, "/v1/identify", SENT, {**ISO, "x-mp-signature": ""}) == 401


@pytest.mark.parametrize("path", [*PATHS, "/identity/v1/login"])
@pytest.mark.parametrize("headers", [{}, {"x-mp-key": "nobody"}, {"x-mp-key": ""}])
async def test_row_2_without_a_good_key_nothing_is_said(
    world: World, path: str, headers: dict[str, str]
) -> None:
    set_up(world)
    assert await status(world, path, b"{", headers) == 401


async def test_row_2_a_revoked_key_is_no_key(world: World) -> None:
    set_up(world, msgspec.structs.replace(key_info(KEY, SECRET, 4), is_active=False))
    for headers in (KEY_ONLY, basic(f"{KEY}:{SECRET}"), signed("/v1/identify", SENT, NOW)):
        assert await status(world, "/v1/identify", SENT, headers) == 401


@pytest.mark.parametrize("path", [*PATHS, ALIAS])
async def test_row_2_a_workspace_that_is_not_provisioned_gets_403(world: World, path: str) -> None:
    """spec/identity.md, worked case 7."""
    set_up(world, is_enabled=False)
    assert await status(world, path, b"{", KEY_ONLY) == 403
    assert await status(world, path, b"{", {"x-mp-key": "nobody", **basic("nobody:x")}) == 401


# -- Alias: the key is in the path ----------------------------------------------------------------


async def test_an_alias_needs_a_key_in_the_path_that_may_be_used_alone(world: World) -> None:
    set_up(world)
    assert await status(world, ALIAS, b"{}", {}) == 400
    assert await status(world, "/v1/identity/nobody/alias", b"{}", KEY_ONLY) == 401
    set_up(world, FORBIDDEN_KEY_ONLY)
    assert await status(world, ALIAS, b"{}", KEY_ONLY) == 401


@pytest.mark.parametrize("prefix", ["", "/webevents", "/nativeevents"])
async def test_a_signature_of_an_alias_has_to_be_right(world: World, prefix: str) -> None:
    set_up(world, FORBIDDEN_KEY_ONLY)
    headers = signed(ALIAS, b"{}", NOW)
    del headers["x-mp-key"]
    assert await status(world, prefix + ALIAS, b"{}", headers) == 400
    assert await status(world, prefix + ALIAS, b"{ }", headers) == 401
    set_up(world)
    assert await status(world, prefix + ALIAS, b"{ }", headers) == 401


async def test_basic_of_an_alias_has_to_be_of_the_key_in_the_path(world: World) -> None:
    set_up(world, FORBIDDEN_KEY_ONLY, key_info("other", "x", 1))
    assert await status(world, ALIAS, b"{}", basic(f"{KEY}:{SECRET}")) == 400
    assert await status(world, ALIAS, b"{}", basic("other:x")) == 401
    assert await status(world, ALIAS, b"{}", basic(f"{KEY}:x")) == 401


async def test_secrets_and_identities_stay_out_of_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """spec/observability.md, 8."""
    caplog.set_level(logging.DEBUG)
    set_up(world)
    world.deployment.failure = RuntimeError("boom")
    headers = signed("/v1/identify", SENT, NOW)
    assert await status(world, "/v1/identify", SENT, headers) == 500
    assert SECRET not in caplog.text
    assert "u-77" not in caplog.text
    assert SECRET not in repr(world.config.current)
