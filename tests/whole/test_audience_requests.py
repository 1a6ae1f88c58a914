"""Conventions of the Platform API at audiences and calculated attributes (spec/platform-api.md, 1),
and limits of an account (spec/audiences.md, 15; spec/calculated-attributes.md, 10)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from actors.clock import ManualClock
from tests.whole.sent import custom
from tests.whole.test_audiences import AUDIENCE_DOCUMENT, ask, send, status_is
from tests.whole.test_calculated import activate as calculate
from tests.whole.test_calculated import definition
from tests.whole.test_calculated import make as make_attribute
from tests.whole.world import World, changed, named, running, serving

BOUGHT = {"type": "event", "event_type": "custom_event", "event_name": "Bought"}


@pytest.fixture
async def world(tmp_path: Path, clock: ManualClock) -> AsyncIterator[World]:
    async with running(tmp_path, document=AUDIENCE_DOCUMENT, clock=clock, shards=3) as opened:
        yield opened


async def pages(world: World, path: str, limit: int) -> list[list[int]]:
    """Follow the links of a list from page to page; return the ids, or MPIDs, of each."""
    found: list[list[int]] = []
    url: str | None = f"{path}?limit={limit}"
    while url is not None:
        response = await world.client.get(url, headers=await world.token())
        assert response.status == 200, await response.text()
        body = await response.json()
        found.append(body["mpids"] if isinstance(body, dict) else [each["id"] for each in body])
        following = response.links.get("next")
        url = None if following is None else str(URL(following["url"]).relative())
    return found


async def test_lists_come_page_by_page(world: World) -> None:
    made = [(await ask(world, 201, "POST", "", {"name": f"A{n}"}))["id"] for n in range(5)]
    base = f"/platform/v2/workspaces/{world.number}"
    first, second, third, fourth, fifth = made
    audiences = f"{base}/audiences"
    assert await pages(world, audiences, 2) == [[first, second], [third, fourth], [fifth]]
    assert await pages(world, audiences, 5) == [made]
    attributes = [await make_attribute(world, name, definition("count")) for name in "abc"]
    found = await pages(world, f"{base}/calculatedattributes", 2)
    assert found == [attributes[:2], attributes[2:]]
    for query in ("limit=0", "limit=1001", "cursor=9", "cursor=x"):
        response = await world.client.get(f"{audiences}?{query}", headers=await world.token())
        assert response.status == 400, query


async def test_members_of_a_standard_audience_come_page_by_page_also_after_a_restart(
    tmp_path: Path, clock: ManualClock
) -> None:
    def opened() -> Any:
        return running(tmp_path, document=AUDIENCE_DOCUMENT, clock=clock, shards=3)

    async with opened() as world:
        for number in range(7):
            await send(world, f"c{number}", custom("Bought"))
        await send(world, "other", custom("Else"))
        body = {"name": "Buyers", "type": "standard", "range": "all", "definition": BOUGHT}
        audience = (await ask(world, 201, "POST", "", body))["id"]
        path = f"/platform/v2/workspaces/{world.number}/audiences/{audience}/members"
        assert await pages(world, path, 3) == [[]]
        await ask(world, 202, "POST", "/calculate", {"audience_ids": [audience]})
        shown = await ask(world, 200, "GET", f"/{audience}")
        assert (shown["status"], shown["calculation_percent_complete"]) == ("calculating", 0)
        await world.settle_audiences()
        assert "calculation_percent_complete" not in await ask(world, 200, "GET", f"/{audience}")
        buyers = sorted([await world.mpid(f"c{number}") for number in range(7)])
        expected = [buyers[:3], buyers[3:6], buyers[6:]]
        assert await pages(world, path, 3) == expected
        member = await ask(world, 200, "GET", f"/{audience}/members/{buyers[0]}")
        assert member["mpid"] == buyers[0]
        outsider = await world.mpid("other")
        await ask(world, 404, "GET", f"/{audience}/members/{outsider}")
        # What comes later changes nothing, until it is calculated anew.
        await send(world, "other", custom("Bought"))
        assert await pages(world, path, 3) == expected
    async with opened() as world:
        assert await pages(world, path, 3) == expected
        await ask(world, 202, "POST", "/calculate", {"audience_ids": [audience]})
        assert await pages(world, path, 3) == expected  # as before, until users are come to
        await world.settle_audiences()
        buyers = sorted([*buyers, outsider])
        assert await pages(world, path, 3) == [buyers[:3], buyers[3:6], buyers[6:]]
        clock.advance(31 * 24 * 3_600_000)
        assert (await ask(world, 200, "GET", f"/{audience}"))["status"] == "expired"
        assert await pages(world, path, 8) == [buyers]
        refused = await ask(world, 422, "POST", f"/{audience}/subscriptions", {"output_id": 2})
        assert refused["errors"][0]["message"] == "The audience has expired."


async def test_a_connection_shows_whether_its_first_load_is_done(world: World) -> None:
    """Section 12.2; one that is not active has none."""
    await send(world, "a", status="gold")
    body = {"name": "Gold", "definition": status_is("gold")}
    audience = (await ask(world, 201, "POST", "", body))["id"]
    await ask(world, 204, "POST", f"/{audience}/activation")
    await world.settle_audiences()
    path = f"/{audience}/subscriptions"
    made = await ask(world, 201, "POST", path, {"output_id": 2})
    assert made["initial_load"] == {"is_done": False}
    await world.settle_audiences()
    assert (await ask(world, 200, "GET", path))[0]["initial_load"] == {"is_done": True}
    paused = await ask(world, 200, "PUT", f"{path}/{made['id']}", {"is_active": False})
    assert paused["initial_load"] == {}


async def test_a_repeated_post_is_done_once(world: World) -> None:
    headers = await world.token() | {"Idempotency-Key": "k1"}
    base = f"/platform/v2/workspaces/{world.number}"
    body = {"name": "Gold", "definition": status_is("gold")}
    attribute = {"name": "Buys", "draft_definition": definition("count")}
    for path, sent in (("/audiences", body), ("/calculatedattributes", attribute)):
        first = await world.client.post(base + path, json=sent, headers=headers)
        again = await world.client.post(base + path, json=sent, headers=headers)
        assert (first.status, again.status) == (201, 201)
        assert await first.json() == await again.json()
        other = await world.client.post(base + path, json=sent | {"name": "X"}, headers=headers)
        assert other.status == 409
    assert len(await ask(world, 200, "GET", "")) == 1


async def test_an_estimate_of_what_is_gone_says_so(world: World) -> None:
    """Section 7: it is no error of the request."""
    found = await ask(world, 200, "POST", "/estimate", {"definition": BOUGHT, "inputs": [99]})
    assert (found["state"], found["estimate"], found["low"]) == ("error", None, None)
    assert "99" in found["message"]
    wrong = await ask(world, 400, "POST", "/estimate", {"definition": BOUGHT | {"x": 1}})
    assert wrong["errors"][0]["path"] == "/definition/x"


async def test_what_is_active_is_counted_over_the_workspaces_of_an_account(
    tmp_path: Path, clock: ManualClock
) -> None:
    limits = {"active_audiences": 1, "active_calculated_attributes": 1}
    documents = [
        changed(named("w1"), workspace={"limits": limits}),
        changed(named("w2"), workspace={"limits": limits}),
        changed(named("w3"), account={"id": "beta", "name": "Beta"}, workspace={"limits": limits}),
    ]
    async with serving(tmp_path, documents, clock=clock, shards=1) as [one, other, foreign]:
        made = {}
        for name, world in (("A", one), ("B", other), ("C", foreign)):
            body = {"name": name, "definition": status_is("gold")}
            made[name] = (await ask(world, 201, "POST", "", body))["id"]
        await ask(one, 204, "POST", f"/{made['A']}/activation")
        refused = await ask(other, 422, "POST", f"/{made['B']}/activation")
        assert refused["errors"][0]["code"] == "LIMIT_EXCEEDED"
        await ask(foreign, 204, "POST", f"/{made['C']}/activation")
        await ask(one, 204, "DELETE", f"/{made['A']}/activation")
        await ask(other, 204, "POST", f"/{made['B']}/activation")
        await calculate(one, "Buys", definition("count"))
        number = await make_attribute(other, "Buys", definition("count"))
        url = f"/platform/v2/workspaces/{other.number}/calculatedattributes/{number}/activation"
        response = await other.client.post(url, headers=await other.token())
        assert response.status == 400
        [error] = (await response.json())["errors"]
        limit = "You have reached the account limit on active calculated attributes."
        assert error["message"] == limit
        await calculate(foreign, "Buys", definition("count"))
