"""API credentials through the Platform API (spec/platform-api.md, 2 and 3)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from tests.whole.world import DOCUMENT, World, changed, running

BASE = "/platform/v2/organizations/1/accounts/1/credentials"
DAY_MS = 24 * 3600 * 1000
EDITABLE = changed(DOCUMENT, workspace={"config": {"allow_api_edits": True}})


@pytest.fixture
async def world(tmp_path: Path, clock: ManualClock) -> AsyncIterator[World]:
    async with running(tmp_path, document=EDITABLE, clock=clock) as only:
        yield only


async def ask(
    world: World, status: int, method: str, path: str = "", body: Any = None, **headers: str
) -> Any:
    """Ask, and let everybody hear of it."""
    sent = {**(await world.token()), **headers}
    response = await world.client.request(method, f"{BASE}{path}", json=body, headers=sent)
    assert response.status == status, await response.text()
    await world.follow()
    return await response.json() if status != 204 else None


async def login(world: World, client_id: str, secret: str) -> tuple[int, str]:
    """Ask for a token; return the status, and the token if there is one."""
    fields = {
        "client_id": client_id,
        "client_secret": secret,
        "grant_type": "client_credentials",
    }
    response = await world.client.post("/oauth/token", json=fields)
    return response.status, (await response.json()).get("access_token", "")


async def calls(world: World, token: str, path: str = "/platform/v2/workspaces/1") -> int:
    response = await world.client.get(path, headers={"Authorization": f"Bearer {token}"})
    return response.status


async def test_a_credential_is_made_used_changed_and_deleted(world: World) -> None:
    made = await ask(world, 201, "POST", body={"role": "user", "apis": ["platform"]})
    name, secret = made["client_id"], made["client_secret"]
    assert len(secret) == 64
    status, token = await login(world, name, secret)
    assert (status, await calls(world, token)) == (200, 200)
    assert await calls(world, token, BASE) == 403  # only administrators manage credentials
    shown = await ask(world, 200, "GET", f"/{name}")
    assert shown == {**made, "client_secret": None}
    assert shown["created_by"] == "ops"
    assert name in [each["client_id"] for each in await ask(world, 200, "GET")]
    changed = await ask(world, 200, "PATCH", f"/{name}", {"role": "read_only"})
    assert changed["role"] == "read_only"
    assert await calls(world, token) == 401  # it was narrowed
    await ask(world, 204, "DELETE", f"/{name}")
    await ask(world, 404, "GET", f"/{name}")
    assert (await login(world, name, secret))[0] == 401


async def test_one_that_is_switched_off_loses_its_tokens(world: World) -> None:
    """spec/platform-api.md, worked case 29."""
    made = await ask(world, 201, "POST", body={"client_id": "etl", "apis": ["platform"]})
    _, token = await login(world, "etl", made["client_secret"])
    assert await calls(world, token) == 200
    await ask(world, 200, "PATCH", "/etl", {"status": "inactive"})
    assert await calls(world, token) == 401
    assert (await login(world, "etl", made["client_secret"]))[0] == 401


async def test_a_former_secret_works_for_a_day(world: World, clock: ManualClock) -> None:
    made = await ask(world, 201, "POST", body={"client_id": "etl", "apis": ["platform"]})
    rotated = await ask(world, 200, "POST", "/etl/rotate")
    old, new = made["client_secret"], rotated["client_secret"]
    assert old != new
    assert rotated["former_secret_until"] == "2026-01-02T00:00:00.000Z"
    assert [(await login(world, "etl", each))[0] for each in (old, new, "x")] == [200, 200, 401]
    clock.advance(DAY_MS)
    assert [(await login(world, "etl", each))[0] for each in (old, new)] == [401, 200]


async def test_a_former_secret_is_refused_at_once_if_that_is_asked_for(world: World) -> None:
    made = await ask(world, 201, "POST", body={"client_id": "etl", "apis": ["platform"]})
    once = await ask(world, 200, "POST", "/etl/rotate")
    twice = await ask(world, 200, "POST", "/etl/rotate", {"immediate": True})
    secrets = [each["client_secret"] for each in (made, once, twice)]
    assert [(await login(world, "etl", each))[0] for each in secrets] == [401, 401, 200]
    assert "former_secret_until" not in twice


async def test_a_token_ends_with_the_secret_that_it_was_got_with(
    world: World, clock: ManualClock
) -> None:
    """Each former secret's lives on as long as the secret does."""
    made = await ask(world, 201, "POST", body={"client_id": "etl", "apis": ["platform"]})
    once = await ask(world, 200, "POST", "/etl/rotate")
    clock.advance(20 * 3600 * 1000)
    both = [await login(world, "etl", each["client_secret"]) for each in (made, once)]
    assert [await calls(world, token) for _, token in both] == [200, 200]
    clock.advance(4 * 3600 * 1000 - 1)
    assert [await calls(world, token) for _, token in both] == [200, 200]
    clock.advance(1)
    assert [await calls(world, token) for _, token in both] == [401, 200]
    await ask(world, 200, "POST", "/etl/rotate", {"immediate": True})
    assert [await calls(world, token) for _, token in both] == [401, 401]


async def test_a_new_credential_of_the_same_id_does_not_revive_tokens(world: World) -> None:
    body = {"client_id": "etl", "apis": ["platform"]}
    made = await ask(world, 201, "POST", body=body)
    _, token = await login(world, "etl", made["client_secret"])
    assert await calls(world, token) == 200
    await ask(world, 204, "DELETE", "/etl")
    assert await calls(world, token) == 401
    await ask(world, 201, "POST", body=body)
    assert await calls(world, token) == 401


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"apis": ["platform"], "secret": "mine"}),
        (400, {"apis": ["platform"], "client_secret": "mine"}),
        (422, {}),
        (422, {"apis": []}),
        (422, {"apis": ["cooking"]}),
        (422, {"apis": ["platform"], "role": "king"}),
        (422, {"apis": ["platform"], "client_id": "ops"}),
    ],
)
async def test_what_is_no_credential_is_refused(
    world: World, status: int, body: dict[str, Any]
) -> None:
    before = await ask(world, 200, "GET")
    assert (await ask(world, status, "POST", body=body))["errors"]
    assert await ask(world, 200, "GET") == before


async def test_the_last_administrator_stays(world: World) -> None:
    for method, body in (("DELETE", None), ("PATCH", {"status": "inactive"})):
        answer = await ask(world, 422, method, "/ops", body)
        assert "last active administrator" in answer["errors"][0]["message"]


@pytest.mark.parametrize("apis", [None, 5, "platform"])
async def test_the_only_administrator_keeps_a_list_of_apis(world: World, apis: Any) -> None:
    assert (await ask(world, 422, "PATCH", "/ops", {"apis": apis}))["errors"]


@pytest.mark.parametrize("role", [["admin"], {"admin": True}, None, 5])
async def test_the_only_administrator_keeps_a_role_that_is_a_text(world: World, role: Any) -> None:
    assert (await ask(world, 422, "PATCH", "/ops", {"role": role}))["errors"]


async def test_those_of_others_are_not_there(world: World) -> None:
    for path in ("/1/accounts/2", "/2/accounts/1"):
        response = await world.client.get(
            f"/platform/v2/organizations{path}/credentials", headers=await world.token()
        )
        assert response.status == 404


async def test_edits_of_two_at_once_are_told_apart(world: World) -> None:
    await ask(world, 201, "POST", body={"client_id": "etl", "apis": ["platform"]})
    await ask(world, 412, "PATCH", "/etl", {"role": "user"}, **{"If-Match": '"0"'})


async def test_those_of_a_file_are_changed_there(tmp_path: Path, clock: ManualClock) -> None:
    async with running(tmp_path, document=DOCUMENT, clock=clock) as world:
        answer = await ask(world, 409, "PATCH", "/ops", {"role": "user"})
        assert answer["errors"][0]["message"] == "Managed by configuration file."
        await ask(world, 201, "POST", body={"client_id": "etl", "apis": ["platform"]})
        await ask(world, 204, "DELETE", "/etl")


async def test_no_secret_is_in_the_audit_log(world: World) -> None:
    """spec/platform-api.md, worked case 32."""
    made = await ask(world, 201, "POST", body={"client_id": "etl", "apis": ["platform"]})
    rotated = await ask(world, 200, "POST", "/etl/rotate")
    response = await world.client.get(
        "/platform/v2/accounts/1/audit-logs?resource=credential", headers=await world.token()
    )
    items = (await response.json())["items"]
    assert [(each["action"], each["resource_id"]) for each in items[:2]] == [
        ("update", "etl"),
        ("create", "etl"),
    ]
    text = await response.text()
    assert made["client_secret"] not in text
    assert rotated["client_secret"] not in text


async def test_rotating_again_takes_no_secret_away(world: World, clock: ManualClock) -> None:
    """Nor does a rotation that is repeated because its answer got lost."""
    made = await ask(world, 201, "POST", body={"client_id": "etl", "apis": ["platform"]})
    secrets = [made["client_secret"]]
    for _ in range(5):
        secrets.append((await ask(world, 200, "POST", "/etl/rotate"))["client_secret"])
        clock.advance(1000)
    assert [(await login(world, "etl", each))[0] for each in secrets] == [200] * 6
    answer = await ask(world, 422, "POST", "/etl/rotate")
    assert answer["errors"][0]["code"] == "LIMIT_EXCEEDED"
    await ask(world, 200, "PATCH", "/etl", {"role": "user"})  # keeps them
    clock.advance(DAY_MS - 5000)
    statuses = [(await login(world, "etl", each))[0] for each in secrets]
    assert statuses == [401, 200, 200, 200, 200, 200]
    clock.advance(2000)
    last = (await ask(world, 200, "POST", "/etl/rotate"))["client_secret"]
    statuses = [(await login(world, "etl", each))[0] for each in (*secrets, last)]
    assert statuses == [401, 401, 401, 200, 200, 200, 200]
