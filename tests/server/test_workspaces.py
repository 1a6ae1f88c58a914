"""Several workspaces on one port: a request belongs to the one whose credential it names."""

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import jwt
import msgspec
import pytest

from actors.clock import ManualClock
from actors.identity.calls import ModifyAnswer
from actors.identity.state import IdentityRecord
from config.numbers import Numbers, assign_numbers
from config.settings import Settings
from config.workspace import WorkspaceDocument
from server import context, tokens
from server.edge_config import EdgeConfig, WorkspaceKey, digest, edge_config
from server.limit_file import LimitFile
from tests.server.conftest import T, World, basic, config_with, credential, key_info, serving
from tests.server.routes.identity import body, post, signed

Worlds = list[World]

BATCH: dict[str, Any] = {"user_identities": {"customer_id": "a"}}
NOW = datetime.fromtimestamp(T / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
MPID = 77
FIELDS = "fields=user_identities"


def workspace(number: int) -> EdgeConfig:
    """Make a workspace's configuration: its number is at the end of all its credentials."""
    keys = (
        key_info(f"feed-{number}", f"s{number}", 1),
        key_info(f"web-{number}", f"w{number}", 4),
    )
    client_id = f"ops-{number}"
    return config_with(
        account=number + 10,
        workspace=number,
        workspace_slug=f"w{number}",
        scope=number,
        keys={each.key: each for each in keys},
        credentials={client_id: credential(client_id, platform="admin", profile="read_only")},
        workspace_key=WorkspaceKey(f"own-{number}", digest(f"o{number}")),
        has_client_audience_api=True,
    )


@pytest.fixture
async def worlds(clock: ManualClock, limit_file: LimitFile) -> AsyncIterator[Worlds]:
    """Serve workspaces 3, 4 and 5."""
    async with serving(clock, limit_file, *map(workspace, (3, 4, 5))) as made:
        for each in made:
            each.deployment.profiles[MPID, "production"] = {"user_identities": []}
            each.deployment.users[MPID] = {"workspace": each.config.current.workspace}
            each.deployment.records["production", MPID] = IdentityRecord([])
            each.deployment.undo_answer = ModifyAnswer((("email", MPID),))
        yield made


def feed(number: int) -> dict[str, str]:
    """Return the header of a workspace's feed."""
    return basic(f"feed-{number}:s{number}")


def counts(worlds: Worlds) -> list[int]:
    """Return how much each workspace was asked for."""
    return [
        sum(
            len(kept)
            for kept in (
                each.deployment.applied,
                each.deployment.identity_calls,
                each.deployment.modify_calls,
                each.deployment.aliases,
                each.deployment.queries,
                each.deployment.kept,
            )
        )
        for each in worlds
    ]


# -- Each kind of credential ----------------------------------------------------------------------


async def send_events(world: World, number: int) -> int:
    return (await world.client.post("/v2/events", json=BATCH, headers=feed(number))).status


async def send_bulk(world: World, number: int) -> int:
    path = "/s2s/v2/bulkevents"
    return (await world.client.post(path, json=[BATCH], headers=feed(number))).status


async def send_historical(world: World, number: int) -> int:
    data = {"event_name": "Opened", "timestamp_unixtime_ms": T - 73 * 3_600_000}
    sent = [{**BATCH, "events": [{"event_type": "custom_event", "data": data}]}]
    path = "/v2/bulkevents/historical"
    return (await world.client.post(path, json=sent, headers=feed(number))).status


async def send_web_batch(world: World, number: int) -> int:
    return (await world.client.post(f"/v3/JS/web-{number}/events", json=BATCH)).status


async def send_web_batch_with_another_header(world: World, number: int) -> int:
    path = f"/webevents/v3/js/web-{number}/events"
    return (await world.client.post(path, json=BATCH, headers=feed(9 - number))).status


async def send_pixel(world: World, number: int) -> int:
    return (await world.client.get(f"/v1/web-{number}/Pixel?dt=AppEvent&n=x")).status


async def identify_by_key_alone(world: World, number: int) -> int:
    return (await post(world, "/v1/identify", body(), {"x-mp-key": f"web-{number}"})).status


async def identify_by_signature(world: World, number: int) -> int:
    sent = json.dumps(body()).encode()
    headers = signed("/v1/login", sent, NOW, secret=f"s{number}")
    headers["x-mp-key"] = f"feed-{number}"
    return (await post(world, "/v1/login", sent, headers)).status


async def identify_by_basic(world: World, number: int) -> int:
    headers = {**feed(number), "x-mp-key": f"web-{9 - number}"}
    return (await post(world, "/v1/identify", body(), headers)).status


async def modify(world: World, number: int) -> int:
    sent = {**body(), "identity_changes": []}
    return (await post(world, "/v1/881/modify", sent, {"x-mp-key": f"web-{number}"})).status


def alias_of(number: int) -> dict[str, Any]:
    return {
        "request_id": "r",
        "request_type": "alias",
        "environment": "production",
        "api_key": f"web-{number}",
        "data": {"source_mpid": "411", "destination_mpid": "902"},
    }


async def alias_by_key_alone(world: World, number: int) -> int:
    path = f"/v1/identity/web-{number}/alias"
    return (await post(world, path, alias_of(number), {"x-mp-key": f"web-{9 - number}"})).status


async def alias_by_basic(world: World, number: int) -> int:
    path = f"/webevents/v1/identity/web-{number}/Alias"
    return (await post(world, path, alias_of(number), basic(f"web-{number}:w{number}"))).status


async def read_timeline(world: World, number: int) -> int:
    path = f"/platform/v2/workspaces/{number}/users/{MPID}/events"
    headers = await world.token(f"ops-{number}")
    return (await world.client.get(path, headers=headers)).status


async def undo_once(world: World, number: int) -> int:
    path = f"/platform/identity/{number}/production/mpids/{MPID}/undo"
    headers = await world.token(f"ops-{number}") | {"Idempotency-Key": "k"}
    return (await world.client.post(path, headers=headers)).status


CALLS = [
    send_events,
    send_bulk,
    send_historical,
    send_web_batch,
    send_web_batch_with_another_header,
    send_pixel,
    identify_by_key_alone,
    identify_by_signature,
    identify_by_basic,
    modify,
    alias_by_key_alone,
    alias_by_basic,
    read_timeline,
    undo_once,
]


@pytest.mark.parametrize("call", CALLS)
async def test_a_credential_reaches_its_own_workspace(
    worlds: Worlds, call: Callable[[World, int], Awaitable[int]]
) -> None:
    """Whichever it is in the order of workspaces, and whoever asked before."""
    for index, number in ((1, 4), (2, 5), (0, 3), (1, 4)):
        before = counts(worlds)
        assert await call(worlds[0], number) in (200, 202)
        before[index] += 1
        if call is undo_once and before[index] > 1:
            before[index] = 1  # the answer of the first time was given again
        assert counts(worlds) == before


async def test_a_profile_is_read_in_the_workspace_of_the_token(worlds: Worlds) -> None:
    identities = [{"type": "customer_id", "encoding": "none", "value": "c-4"}]
    worlds[1].deployment.profiles[MPID, "production"] = {"user_identities": identities}
    response = await worlds[0].client.get(
        f"/userprofile/v1/1/14/4/{MPID}?{FIELDS}", headers=await worlds[0].token("ops-4")
    )
    assert (await response.json())["user_identities"] == identities


async def test_a_user_is_read_in_the_workspace_of_the_token(worlds: Worlds) -> None:
    for number in (3, 4, 5):
        response = await worlds[0].client.get(
            f"/platform/v2/workspaces/{number}/users/{MPID}",
            headers=await worlds[0].token(f"ops-{number}"),
        )
        assert await response.json() == {"workspace": number}


async def test_audiences_are_read_in_the_workspace_of_the_key_in_the_path(worlds: Worlds) -> None:
    memberships = [{"audience_id": 9}]
    worlds[2].deployment.profiles[MPID, "production"] = {"audience_memberships": memberships}
    for key, expected in (("web-5", memberships), ("web-4", [])):
        response = await worlds[0].client.get(f"/v1/{key}/audience?mpid={MPID}")
        assert (await response.json())["audience_memberships"] == expected


@pytest.mark.parametrize(
    ("pair", "status"),
    [("own-3:o3", 400), ("own-5:o5", 400), ("own-5:o3", 403), ("own-9:o5", 403), ("web-5:w5", 403)],
)
async def test_a_workspaces_own_key_seeds_there(worlds: Worlds, pair: str, status: int) -> None:
    """The body is no JSON: who gets as far as that was let in."""
    response = await worlds[0].client.post(
        "/v2/calculatedattributes", data=b"{", headers=basic(pair)
    )
    assert response.status == status


# -- What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 401, id="none"),
        pytest.param({"x-mp-key": "web-4"}, 401, id="a key alone"),
        pytest.param(basic("feed-4:s3"), 403, id="the secret of another workspace"),
        pytest.param(basic("feed-4:"), 403, id="no secret"),
        pytest.param(basic("feed-9:s3"), 403, id="an unknown key"),
        pytest.param({"Authorization": "Bearer feed-4"}, 403, id="another scheme"),
        pytest.param({"Authorization": "Basic é"}, 403, id="unreadable"),
        pytest.param({"Authorization": "Basic"}, 403, id="a scheme alone"),
    ],
)
async def test_what_proves_no_input_is_refused_as_ever(
    worlds: Worlds, headers: dict[str, str], status: int
) -> None:
    for _ in range(2):
        response = await worlds[0].client.post("/v2/events", json=BATCH, headers=headers)
        assert response.status == status
    assert counts(worlds) == [0, 0, 0]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="none"),
        pytest.param({"x-mp-key": "web-9"}, id="an unknown key"),
        pytest.param({"x-mp-key": "feed-4"}, id="a key that is not enough alone"),
        pytest.param(
            {"x-mp-key": "web-4", "Date": NOW, "x-mp-signature": "00"}, id="a wrong signature"
        ),
        pytest.param(
            {**basic("feed-4:s3"), "x-mp-key": "web-4"}, id="a wrong secret, although a good key"
        ),
        pytest.param(
            {**basic("feed-9:s3"), "x-mp-key": "web-4"}, id="an unknown key, although a good one"
        ),
    ],
)
async def test_what_proves_no_key_makes_no_identity_call(
    worlds: Worlds, headers: dict[str, str]
) -> None:
    assert (await post(worlds[0], "/v1/identify", body(), headers)).status == 401
    assert counts(worlds) == [0, 0, 0]


@pytest.mark.parametrize(
    ("key", "headers"),
    [
        pytest.param("web-4", feed(3), id="a good header of another workspace"),
        pytest.param("web-4", feed(4), id="another key of the same workspace"),
        pytest.param("web-9", feed(4), id="an unknown key in the path"),
    ],
)
async def test_an_alias_needs_the_key_of_its_path(
    worlds: Worlds, key: str, headers: dict[str, str]
) -> None:
    response = await post(worlds[0], f"/v1/identity/{key}/alias", alias_of(4), headers)
    assert response.status == 401
    assert counts(worlds) == [0, 0, 0]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v3/JS/web-9/events", 403),
        ("/v3/JS/feed-4/events", 403),
        ("/v3/JS/own-4/events", 403),
        ("/v3/JS/ops-4/events", 403),
    ],
)
async def test_a_key_in_a_path_has_to_be_one_of_a_website(
    worlds: Worlds, path: str, status: int
) -> None:
    assert (await worlds[0].client.post(path, json=BATCH, headers=feed(4))).status == status
    assert counts(worlds) == [0, 0, 0]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/platform/v2/workspaces/3/users/77", 404),
        ("/platform/v2/workspaces/5/users/77", 404),
        ("/platform/identity/3/config", 404),
        ("/platform/v2/accounts/13/outputs", 404),
        (f"/userprofile/v1/1/13/3/77?{FIELDS}", 403),
        (f"/userprofile/v1/1/14/3/77?{FIELDS}", 403),
    ],
)
async def test_a_token_is_worth_nothing_in_another_workspace(
    worlds: Worlds, path: str, status: int
) -> None:
    headers = await worlds[0].token("ops-4")
    assert (await worlds[0].client.get(path, headers=headers)).status == status


def token(claims: Any, key: bytes = b"x" * 32) -> str:
    """Sign claims with a key that is not the deployment's."""
    return jwt.encode(claims, key, algorithm="HS256")


def raw_token(claims: bytes) -> str:
    return f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c2ln"


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(token({"sub": "ops-4", "workspaces": [4]}), id="forged"),
        pytest.param(token({"sub": "nobody"}), id="an unknown client"),
        pytest.param(token({}), id="no client"),
        pytest.param(raw_token(b'{"sub": ["ops-4"]}'), id="a list for a client"),
        pytest.param(raw_token(b'{"a":' + b"[" * 5000), id="nested"),
        pytest.param(raw_token(b"\xff"), id="no text"),
        pytest.param("a.é.c", id="not ASCII"),
        pytest.param("a.b", id="two parts"),
        pytest.param("a.b.c.d", id="four parts"),
        pytest.param("feed-4", id="a key"),
    ],
)
async def test_a_token_that_is_not_ours_gets_401(worlds: Worlds, sent: str) -> None:
    response = await worlds[0].client.get(
        "/platform/v2/workspaces/4/users/77", headers={"Authorization": f"Bearer {sent}"}
    )
    assert response.status == 401


# -- Tokens ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [3, 4, 5])
async def test_a_token_is_issued_by_the_workspace_of_the_client(
    worlds: Worlds, number: int
) -> None:
    header = (await worlds[0].token(f"ops-{number}"))["Authorization"]
    claims = jwt.decode(header.removeprefix("Bearer "), options={"verify_signature": False})
    assert (claims["workspaces"], claims["account"]) == ([number], number + 10)


@pytest.mark.parametrize(
    ("client_id", "secret"),
    [("ops-4", "ops-3-secret"), ("nobody", "ops-3-secret"), ("feed-4", "s4"), ("", "x")],
)
async def test_no_token_is_issued_without_the_clients_secret(
    worlds: Worlds, client_id: str, secret: str
) -> None:
    fields = {"client_id": client_id, "client_secret": secret, "grant_type": "client_credentials"}
    response = await worlds[0].client.post("/oauth/token", json=fields)
    assert response.status == (401 if client_id else 400)


# -- Configurations that are switched --------------------------------------------------------------


def change(world: World, **fields: Any) -> None:
    world.config.current = msgspec.structs.replace(world.config.current, **fields)


async def test_a_new_key_works_at_once(worlds: Worlds) -> None:
    headers = basic("new-key:s")
    assert (await worlds[0].client.post("/v2/events", json=BATCH, headers=headers)).status == 403
    change(worlds[2], keys={"new-key": key_info("new-key", "s", 1)})
    assert (await worlds[0].client.post("/v2/events", json=BATCH, headers=headers)).status == 202
    assert counts(worlds) == [0, 0, 1]


async def test_a_removed_key_ends_at_once(worlds: Worlds) -> None:
    assert await send_events(worlds[0], 4) == 202
    change(worlds[1], keys={})
    assert await send_events(worlds[0], 4) == 403
    assert await send_events(worlds[0], 5) == 202
    assert counts(worlds) == [0, 1, 1]


async def test_a_key_can_move_to_another_workspace(worlds: Worlds) -> None:
    """While both have it, it works as before, in one of them."""
    keys = worlds[1].config.current.keys
    assert await send_events(worlds[0], 4) == 202
    change(worlds[2], keys=keys)
    assert await send_events(worlds[0], 4) == 202
    assert counts(worlds) == [0, 2, 0]
    change(worlds[1], keys={})
    assert await send_events(worlds[0], 4) == 202
    assert await send_web_batch(worlds[0], 4) == 202
    assert counts(worlds) == [0, 2, 2]


async def test_a_token_ends_when_its_client_moves_to_another_workspace(worlds: Worlds) -> None:
    headers = await worlds[0].token("ops-4")
    change(worlds[2], credentials=worlds[1].config.current.credentials)
    change(worlds[1], credentials={})
    for number in (4, 5):
        path = f"/platform/v2/workspaces/{number}/users/77"
        assert (await worlds[0].client.get(path, headers=headers)).status == 401
    headers = await worlds[0].token("ops-4")
    path = "/platform/v2/workspaces/5/users/77"
    assert (await worlds[0].client.get(path, headers=headers)).status == 200


async def test_headers_that_are_forgotten_work_as_before(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "MAX_KNOWN_HEADERS", 2)
    for _ in range(2):
        for number in (3, 4, 5):
            assert await send_events(worlds[0], number) == 202
    assert counts(worlds) == [2, 2, 2]


async def test_long_headers_work_too(worlds: Worlds) -> None:
    secret = "s" * context.MAX_KNOWN_HEADER_CHARS
    change(worlds[1], keys={"feed-4": key_info("feed-4", secret, 1)})
    headers = basic(f"feed-4:{secret}")
    for _ in range(2):
        response = await worlds[0].client.post("/v2/events", json=BATCH, headers=headers)
        assert response.status == 202
    assert counts(worlds) == [0, 2, 0]


# -- Rate limits ----------------------------------------------------------------------------------


def document(number: int, account: int, limits: Any) -> EdgeConfig:
    """Make a configuration of a document: one feed, which is input 1 of each workspace."""
    parsed = WorkspaceDocument.model_validate(
        {
            "version": 1,
            "account": {"id": f"a{account}", "name": "A", "number": account},
            "workspace": {"id": f"w{number}", "name": "W", "number": number, "limits": limits},
            "inputs": [
                {
                    "id": "backend",
                    "kind": "feed",
                    "name": "Backend",
                    "keys": [{"key": f"feed-key-{number}", "secret": "s"}],
                }
            ],
        }
    )
    return edge_config(parsed, assign_numbers(parsed, Numbers()), Settings(), "k" * 32)


async def exceeded(world: World, number: int) -> str | None:
    """Send a batch; return the level whose limit refused it."""
    headers = basic(f"feed-key-{number}:s")
    response = await world.client.post("/v2/events", json=BATCH, headers=headers)
    assert response.status in (202, 429)
    level: str | None = response.headers.get("X-mp-rate-limit-exceeded")
    return level


ONE = {"batches_per_second": 1}


@pytest.mark.parametrize(
    ("limits", "level", "shared_by"),
    [
        pytest.param(ONE, "feed", {3}, id="an input"),
        pytest.param({"workspace": ONE}, "workspace", {3}, id="a workspace"),
        pytest.param({"account": ONE}, "account", {3, 4}, id="an account"),
        pytest.param({"org": ONE}, "org", {3, 4, 5}, id="the organization"),
        pytest.param({"system": ONE}, "system", {3, 4, 5}, id="the system"),
    ],
)
async def test_a_limit_is_shared_by_those_of_its_level(
    clock: ManualClock, limit_file: LimitFile, limits: Any, level: str, shared_by: set[int]
) -> None:
    """Workspaces 3 and 4 are of one account, 5 of another."""
    configs = [document(number, 2 if number < 5 else 6, limits) for number in (3, 4, 5)]
    async with serving(clock, limit_file, *configs) as [first, *_]:
        assert await exceeded(first, 3) is None
        for number in (3, 4, 5):
            assert await exceeded(first, number) == (level if number in shared_by else None)


# -- What is read off headers ----------------------------------------------------------------------


def test_the_client_in_a_token_is_read_without_its_key(clock: ManualClock) -> None:
    config = workspace(4)
    ops = config.credentials["ops-4"]
    issued = tokens.issue(ops, ops.secret_digest, config.token_audiences[0], config, clock)
    assert tokens.claimed_client(issued) == "ops-4"
