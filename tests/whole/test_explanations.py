"""Questions about audiences of every type (spec/audiences.md, 10, 13 and 14)."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from actors.audiences.variations import variation
from actors.clock import ManualClock
from tests.whole.test_audiences import (
    AUDIENCE_DOCUMENT,
    DAY_MS,
    advance,
    ask,
    members,
    ping,
    pinged,
    send,
    status_is,
)
from tests.whole.test_joint_audiences import BOTH, count, documents
from tests.whole.world import T, World, running, serving


@pytest.fixture
async def world(tmp_path: Path, clock: ManualClock) -> AsyncIterator[World]:
    async with running(tmp_path, document=AUDIENCE_DOCUMENT, clock=clock) as opened:
        await send(opened, "gold", ping(T), status="gold")
        await send(opened, "silver", status="silver")
        yield opened


async def made(world: World, **fields: Any) -> int:
    number: int = (await ask(world, 201, "POST", "", {"name": "One", **fields}))["id"]
    return number


async def explained(world: World, number: int, customer: str) -> Any:
    mpid = await world.mpid(customer)
    return await ask(world, 200, "GET", f"/{number}/members/{mpid}/explanation")


def outcomes(found: Any) -> list[tuple[str, bool]]:
    return [(each["id"], each["result"]) for each in found["criteria"]]


async def test_a_static_audience_says_who_is_on_its_list(world: World) -> None:
    number = await made(world, type="static")
    gold = await world.mpid("gold")
    await ask(world, 202, "PUT", f"/{number}/members", {"add": [gold]})
    before = await explained(world, number, "gold")
    assert (before["result"], before["is_member"]) == (False, False)  # it is a draft
    await ask(world, 204, "POST", f"/{number}/activation")
    await world.settle_audiences()
    found = await explained(world, number, "gold")
    assert (found["result"], found["is_member"], found["since_ms"]) == (True, True, T)
    assert (outcomes(found), found["variant"]) == ([("/criteria", True)], None)
    found = await explained(world, number, "silver")
    assert (found["result"], found["is_member"]) == (False, False)
    assert outcomes(found) == [("/criteria", False)]
    await ask(world, 404, "GET", f"/{number}/members/7/explanation")
    await ask(world, 422, "POST", f"/{number}/dry-run", {"definition": status_is("gold")})


async def test_a_standard_audience_is_explained_as_it_would_be_calculated_now(
    world: World,
) -> None:
    """Its range, and not the lookback, says which events count."""
    number = await made(world, type="standard", range="all", definition=count("Ping", 1))
    advance(world, 20 * DAY_MS)
    await send(world, "silver", status="silver")
    found = await explained(world, number, "gold")
    assert (found["result"], found["is_member"]) == (True, False)
    assert (await explained(world, number, "silver"))["result"] is False
    await ask(world, 202, "POST", "/calculate", {"audience_ids": [number]})
    await world.settle_audiences()
    found = await explained(world, number, "gold")
    assert (found["result"], found["is_member"], found["is_counted"]) == (True, True, True)
    await send(world, "silver", ping(T))
    change = await ask(world, 200, "POST", f"/{number}/dry-run", {"definition": count("Ping", 1)})
    assert (change["entering"], change["leaving"], change["staying"]) == (1, 0, 1)


async def test_an_audience_with_a_test_names_the_variation(world: World) -> None:
    number = await made(world, definition=status_is("gold"))
    test = {"variations": [{"name": "A", "percentage": 40}, {"name": "B", "percentage": 40}]}
    await ask(world, 201, "POST", f"/{number}/abtest", test)
    await ask(world, 204, "POST", f"/{number}/activation")
    await world.settle_audiences()
    kept = (await world.audiences.call("audience", number)).test
    for customer in ("gold", "silver"):  # whoever comes in later is in that one, too
        found = await explained(world, number, customer)
        assert found["variant"] == variation(number, kept, await world.mpid(customer))
    change = await ask(world, 200, "POST", f"/{number}/dry-run", {"definition": status_is("none")})
    assert (change["entering"], change["leaving_mpids"]) == (0, [await world.mpid("gold")])


async def test_a_milestone_is_explained_by_all_that_its_audience_is_made_of(world: World) -> None:
    """Its own criteria, those of its siblings to the left, and its parent's."""

    async def journey(path: str, body: Any) -> Any:
        url = f"/platform/v2/workspaces/{world.number}/journeys{path}"
        response = await world.client.post(url, json=body, headers=await world.token())
        assert response.status == 201, await response.text()
        return await response.json()

    path = f"/{(await journey('', {'name': 'J', 'inputs': [1]}))['id']}/milestones"
    criteria = {"kind": "criteria", "definition": status_is("gold")}
    first = await journey(path, {"name": "M1", **criteria})
    rest = await journey(path, {"name": "Rest", "kind": "remaining_users"})
    child = {"name": "C", "kind": "criteria", "parent_id": first["id"], "definition": pinged(1)}
    below = await journey(path, child)
    for number in (first["audience_id"], rest["audience_id"], below["audience_id"]):
        await ask(world, 201, "POST", f"/{number}/subscriptions", {"output_id": 2})
    await world.settle_audiences()
    expected = {
        first["audience_id"]: {"gold": True, "silver": False},
        rest["audience_id"]: {"gold": False, "silver": True},
        below["audience_id"]: {"gold": True, "silver": False},
    }
    for number, verdicts in expected.items():
        for customer, verdict in verdicts.items():
            found = await explained(world, number, customer)
            assert (found["result"], found["is_member"]) == (verdict, verdict)
        body = {"definition": status_is("gold")}
        await ask(world, 422, "POST", f"/{number}/dry-run", body)
    assert len(outcomes(await explained(world, below["audience_id"], "gold"))) == 2


@pytest.mark.parametrize(
    ("as_of", "result"),
    [
        ("0001-01-01T00:00:00+14:00", False),
        ("1969-12-31", False),
        ("2025-12-31T23:59:59.999Z", False),
        ("2026-01-01T00:00:00.000Z", True),
        ("2026-01-01T01:00:00.000Z", True),
        ("2026-01-01T01:00:00.001Z", False),
        ("9999-12-31T23:59:59-14:00", False),
    ],
)
async def test_any_instant_can_be_asked_for(world: World, as_of: str, result: bool) -> None:
    advance(world, 400 * DAY_MS)
    gold = await world.mpid("gold")
    body = {"definition": pinged(1), "mpids": [gold], "as_of": as_of}
    [found] = await ask(world, 200, "POST", "/evaluate", body)
    assert found["result"] is result


async def test_an_instant_is_asked_for_over_several_workspaces(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with serving(tmp_path, documents(), clock=clock) as [one, other, _]:
        await send(one, "a", ping(T))
        advance(one, DAY_MS)
        await send(other, "a", ping(T + DAY_MS))
        advance(one, 100 * DAY_MS)
        body: dict[str, Any] = {
            "definition": count("Ping", 2),
            "mpids": [await one.mpid("a"), 7],
            "workspaces": BOTH,
        }
        for days, result in ((0, False), (1, True), (29, True), (32, False)):
            body["as_of"] = f"{_day(days)}T00:00:00Z"
            found = await ask(one, 200, "POST", "/evaluate", body)
            assert [each["result"] for each in found] == [result, None], days
        await send(one, "a", status="here")  # or nothing would count the user any more
        static = {"name": "List", "type": "static", "workspaces": BOTH}
        number = (await ask(one, 201, "POST", "", static))["id"]
        await ask(other, 202, "PUT", f"/{number}/members", {"add": [body["mpids"][0]]})
        await ask(one, 204, "POST", f"/{number}/activation")
        await one.settle_audiences()
        assert await members(other, number) == body["mpids"][:1]
        found = await explained(other, number, "a")
        assert (found["result"], found["is_member"]) == (True, True)
        standard = {
            "name": "Standard",
            "type": "standard",
            "range": "all",
            "workspaces": BOTH,
            "definition": count("Ping", 2),
        }
        number = (await ask(one, 201, "POST", "", standard))["id"]
        assert (await explained(other, number, "a"))["result"] is True
        await ask(other, 202, "POST", "/calculate", {"audience_ids": [number]})
        await one.settle_audiences()
        assert (await explained(other, number, "a"))["is_member"] is True
        dry = {"definition": count("Ping", 3)}
        change = await ask(other, 200, "POST", f"/{number}/dry-run", dry)
        assert (change["entering"], change["leaving"]) == (0, 1)


def _day(days: int) -> str:
    return (date(2026, 1, 1) + timedelta(days=days)).isoformat()
