"""Secrets are compared in constant time: `compare_digest` decides, wherever one is looked at.

README, Security. Where it says no, what is right is refused: so nothing else decides beside it.
"""

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from actors.clock import ManualClock
from server.edge_config import WorkspaceKey, digest
from tests.server.admin_ports import Start, admin_ports
from tests.server.conftest import World, basic
from tests.server.routes.identity import ALIAS, KEY, SECRET, body, post, set_up, signed

DATE = "Thu, 01 Jan 2026 00:00:00 GMT"
OAUTH = {"client_id": "ops", "client_secret": "ops-secret", "grant_type": "client_credentials"}
PROFILE = "/userprofile/v1/1/2/3/9?fields=user_identities"

Ask = Callable[[World, dict[str, str]], Awaitable[Any]]

# How each is asked for, with a bearer token that is good; who compares; how a refusal is answered.
PATHS: dict[str, tuple[Ask, str, int]] = {
    "events": (
        lambda world, _: post(world, "/v2/events", b"{}", basic(f"{KEY}:{SECRET}")),
        "server.auth.compare_digest",
        403,
    ),
    "identity, Basic": (
        lambda world, _: post(world, "/v1/login", body(), basic(f"{KEY}:{SECRET}")),
        "server.auth.compare_digest",
        401,
    ),
    "identity, signed": (
        lambda world, _: post(world, "/v1/login", b"{", signed("/v1/login", b"{", DATE)),
        "server.signatures.hmac.compare_digest",
        401,
    ),
    "alias, signed": (
        lambda world, _: post(world, ALIAS, b"{}", signed(ALIAS, b"{}", DATE)),
        "server.signatures.hmac.compare_digest",
        401,
    ),
    "client events": (
        lambda world, _: post(
            world, f"/v2/{KEY}/events", b"{}", signed(f"/v2/{KEY}/events", b"{}", DATE)
        ),
        "server.signatures.hmac.compare_digest",
        403,
    ),
    "workspace key": (
        lambda world, _: post(world, "/v2/calculatedattributes", b"[", basic(f"kw:{SECRET}")),
        "server.auth.compare_digest",
        403,
    ),
    "client secret": (
        lambda world, _: world.client.post("/oauth/token", json=OAUTH),
        "server.auth.compare_digest",
        401,
    ),
    "bearer token": (
        lambda world, token: world.client.get(PROFILE, headers=token),
        "jwt.algorithms.hmac.compare_digest",
        401,
    ),
    "secret behind a token": (
        lambda world, token: world.client.get(PROFILE, headers=token),
        "server.tokens.hmac",
        401,
    ),
}


@pytest.mark.parametrize("path", PATHS)
async def test_a_secret_is_right_if_the_comparison_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    ask, compares, refusal = PATHS[path]
    set_up(world)
    world.config.current = msgspec.structs.replace(
        world.config.current,
        workspace_key=WorkspaceKey(key="kw", secret_digest=digest(SECRET)),
    )
    token = await world.token()
    asked: list[tuple[Any, Any]] = []

    def refuse(one: Any, other: Any) -> bool:
        asked.append((one, other))
        return False

    with monkeypatch.context() as patched:
        fake: Any = refuse
        if compares.endswith(".hmac"):  # this module's alone: PyJWT compares signatures by it, too
            fake = SimpleNamespace(compare_digest=refuse, digest=hmac.digest)
        patched.setattr(compares, fake)
        assert (await ask(world, token)).status == refusal
    assert any(one == other for one, other in asked)  # the secret itself was compared
    assert (await ask(world, token)).status not in (401, 403)


@pytest.fixture
async def start(clock: ManualClock, tmp_path: Path) -> AsyncIterator[Start]:
    async with admin_ports(clock, tmp_path) as made:
        yield made


async def test_so_is_the_token_of_the_metrics(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, headers = await start("right"), {"Authorization": "Bearer right"}
    with monkeypatch.context() as patched:
        patched.setattr("server.admin.compare_digest", lambda one, other: False)
        assert (await client.get("/metrics", headers=headers)).status == 401
    assert (await client.get("/metrics", headers=headers)).status == 200
