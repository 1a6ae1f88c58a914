"""`Idempotency-Key` on what the Platform API is asked to do (spec/platform-api.md, 1)."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse

from actors.clock import ManualClock
from server.app import ROUTES
from tests.whole.sent import DAY
from tests.whole.test_configuration_api import EDITABLE
from tests.whole.test_groups import HOUSEHOLD
from tests.whole.world import T, World, running

GROUPS = "/platform/workspaces/1/groups"
POOL = "/platform/identity/1/production"


async def post(
    world: World, path: str, key: str | None, body: Any = None, client: str = "ops"
) -> ClientResponse:
    headers = await world.token(client)
    if key is not None:
        headers["Idempotency-Key"] = key
    return await world.client.post(path, json=body, headers=headers)


async def test_a_repeated_post_is_done_once(world: World) -> None:
    """spec/platform-api.md, worked case 30, for group definitions (spec/identity.md, 13)."""
    first = await post(world, GROUPS, "k1", HOUSEHOLD)
    assert first.status == 201
    again = await post(world, GROUPS + "/", "k1", HOUSEHOLD)
    assert (again.status, await again.read()) == (201, await first.read())
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    other = await post(world, GROUPS, "k1", HOUSEHOLD | {"id": "other"})
    assert other.status == 409
    assert (await other.json())["errors"][0]["code"] == "CONFLICT"
    assert len(await (await world.get(GROUPS)).json()) == 1
    assert (await post(world, GROUPS, "k2", HOUSEHOLD)).status == 409  # it exists
    assert (await post(world, GROUPS, None, HOUSEHOLD)).status == 409


async def test_a_repeated_run_is_the_same_run(world: World) -> None:
    assert (await post(world, GROUPS, None, HOUSEHOLD)).status == 201
    run = f"{GROUPS}/household/run"
    first = await (await post(world, run, "k1")).json()
    await world.groups.work()
    again = await post(world, run, "k1")
    assert (again.status, await again.json()) == (202, first)
    assert await (await post(world, run, "k2")).json() != first


async def test_a_key_is_forgotten_after_a_day(world: World, clock: ManualClock) -> None:
    assert (await post(world, GROUPS, None, HOUSEHOLD)).status == 201
    run = f"{GROUPS}/household/run"
    first = await (await post(world, run, "k1")).json()
    await world.groups.work()
    clock.advance(DAY)
    assert await (await post(world, run, "k1")).json() == first
    clock.advance(1)
    assert await (await post(world, run, "k1")).json() != first


async def test_a_key_is_its_senders_and_the_paths_alone(world: World) -> None:
    """What another credential, or another path, is asked with the same key is another request."""
    assert (await post(world, GROUPS, "k1", HOUSEHOLD)).status == 201
    assert (await post(world, f"{GROUPS}/household/run", "k1")).status == 202
    assert (await post(world, GROUPS, "k1", HOUSEHOLD, "viewer")).status == 403


async def test_what_was_refused_may_be_tried_again(world: World) -> None:
    run = f"{GROUPS}/household/run"
    assert (await post(world, run, "k1")).status == 404
    assert (await post(world, GROUPS, None, HOUSEHOLD)).status == 201
    assert (await post(world, run, "k1")).status == 202


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_a_key_has_a_length(world: World, key: str) -> None:
    assert (await post(world, GROUPS, key, HOUSEHOLD)).status == 400
    assert (await post(world, GROUPS, "k" * 255, HOUSEHOLD)).status == 201


async def test_without_a_token_nothing_is_told(world: World) -> None:
    assert (await post(world, GROUPS, "k1", HOUSEHOLD)).status == 201
    response = await world.client.post(GROUPS, json=HOUSEHOLD, headers={"Idempotency-Key": "k1"})
    assert response.status == 401


async def test_of_many_at_once_one_is_done(world: World) -> None:
    """The others are told that it is under way, or what it was answered."""
    answers = await asyncio.gather(*(post(world, GROUPS, "k1", HOUSEHOLD) for _ in range(10)))
    assert {each.status for each in answers} <= {201, 409}
    made = [await each.read() for each in answers if each.status == 201]
    assert len(set(made)) == 1
    for each in answers:
        if each.status == 409:
            assert "under way" in (await each.json())["errors"][0]["message"]


async def test_an_undo_is_repeated_without_undoing_more(world: World) -> None:
    """spec/identity.md, 12: two changes, one undo that is sent twice."""
    sent = {"environment": "production", "known_identities": {"customerid": "c1"}}
    key = {"x-mp-key": "kw-web-site"}
    mpid = (await (await world.client.post("/v1/login", json=sent, headers=key)).json())["mpid"]
    for value in ("e1", "e2"):
        change = {"identity_type": "email", "new_value": value}
        body = {"environment": "production", "identity_changes": [change]}
        assert (await world.client.post(f"/v1/{mpid}/modify", json=body, headers=key)).status == 200
    undo = f"{POOL}/mpids/{mpid}/undo"
    first = await post(world, undo, "k1")
    again = await post(world, undo, "k1")
    assert (first.status, await first.json()) == (again.status, await again.json())
    record = await (await world.get(f"{POOL}/mpids/{mpid}")).json()
    assert {each["value"] for each in record["identities"]} == {"c1", "e1"}


def kept_bytes(folder: Path) -> bytes:
    """Return all that the stores have on disk."""
    return b"".join(each.read_bytes() for each in folder.rglob("*.mdb"))


async def test_a_secret_that_is_shown_once_is_shown_to_who_repeats_the_request(
    tmp_path: Path, clock: ManualClock
) -> None:
    """A rotation whose answer got lost; also after a restart. The stores do not show it."""
    credentials = "/platform/v2/organizations/1/accounts/1/credentials"
    rotate, keys = f"{credentials}/etl/rotate", "/platform/v2/workspaces/1/inputs/1/keys"
    requests: list[tuple[str, Any]] = [
        (credentials, {"client_id": "etl", "apis": ["platform"]}),
        (rotate, None),
        (keys, None),
    ]

    async def answers(world: World) -> list[tuple[int, str | None, Any]]:
        found = [await post(world, path, "k1", body) for path, body in requests]
        return [(each.status, each.headers.get("ETag"), await each.json()) for each in found]

    async with running(tmp_path, shards=1, document=EDITABLE, clock=clock) as world:
        first = await answers(world)
        assert [status for status, _, _ in first] == [201, 200, 201]
        assert await answers(world) == first
        assert (await post(world, rotate, "k1", {"immediate": True})).status == 409
        shown = await (await world.get("/platform/v2/workspaces/1/inputs/1")).json()
        assert len(shown["keys"]) == 2
    async with running(tmp_path, shards=1, document=EDITABLE, clock=clock) as world:
        assert await answers(world) == first
    kept = await asyncio.to_thread(kept_bytes, tmp_path)
    for _, _, body in first:
        assert (body.get("client_secret") or body["secret"]).encode() not in kept


async def test_every_post_of_the_platform_api_can_be_repeated(world: World) -> None:
    """A key that is too long is refused by each of them."""
    token = await world.token()
    asked = 0
    for route in ROUTES:
        if (route.method, route.api) == ("POST", "platform"):
            path = re.sub(r"\{\w+\}", "1", route.path)
            headers = {**token, "Idempotency-Key": "k" * 256}
            response = await world.client.post(path, json={}, headers=headers)
            assert response.status == 400, path
            assert "Idempotency-Key" in await response.text(), path
            asked += 1
    assert asked > 30


async def test_a_repeated_request_counts_like_any_other(world: World) -> None:
    assert (await post(world, GROUPS, "k1", HOUSEHOLD)).status == 201
    again = await post(world, GROUPS, "k1", HOUSEHOLD)
    assert "X-mp-rate-limit-percentage-used" in again.headers


async def test_a_restart_forgets_no_key(tmp_path: Path) -> None:
    clock = ManualClock(T)
    async with running(tmp_path, clock=clock) as world:
        first = await (await post(world, GROUPS, "k1", HOUSEHOLD)).read()
    async with running(tmp_path, clock=clock) as world:
        again = await post(world, GROUPS, "k1", HOUSEHOLD)
        assert (again.status, await again.read()) == (201, first)
