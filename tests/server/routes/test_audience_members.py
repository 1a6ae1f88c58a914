"""Members, estimates, explanations and files over HTTP (spec/audiences.md, 7, 11 and 14)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.actors.audiences.desks import age_from, attribute, clips
from tests.oracle.audiences.fixture import NOW, iso
from tests.server.routes.audiences import AudienceWorld, audience_world

PREMIUM = attribute("premium")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[AudienceWorld]:
    async with audience_world(tmp_path) as opened:
        yield opened


async def test_evaluation_as_of_an_instant(world: AudienceWorld) -> None:
    body = {
        "definition": {"and": [{**PREMIUM, "id": "status"}, clips(1)]},
        "mpids": [1001, 1002, 42],
        "as_of": iso(NOW),
    }
    assert await world.ask(200, "POST", "evaluate", body, client="viewer") == [
        {
            "mpid": 1001,
            "result": True,
            "criteria": {"status": True, "/criteria/nodes/1": True},
            "expiration_timestamp_ms": None,
        },
        {
            "mpid": 1002,
            "result": False,
            "criteria": {"status": True, "/criteria/nodes/1": False},
            "expiration_timestamp_ms": None,
        },
        {"mpid": 42, "result": None, "criteria": {}, "expiration_timestamp_ms": None},
    ]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"mpids": []}, "/mpids"),
        ({"mpids": list(range(101))}, "/mpids"),
        ({"as_of": "yesterday"}, "/as_of"),
        ({"definition": {"op": "xor", "nodes": [PREMIUM]}}, "/definition/op"),
        ({"environment": "test"}, "/environment"),
        ({"odd": 1}, "/odd"),
    ]
    for change, path in wrong:
        problem = await world.refuse(400, "POST", "evaluate", body | change)
        assert problem["path"] == path
    problem = await world.refuse(422, "POST", "evaluate", body | {"inputs": [99]})
    assert (problem["code"], problem["path"]) == ("REFERENCE_NOT_FOUND", "/inputs/0")


async def test_an_estimate_tells_of_every_criterion(world: AudienceWorld) -> None:
    """Worked case 50, with five users."""
    body = {"definition": {"and": [{**PREMIUM, "id": "status"}, clips(1)]}}
    found = await world.ask(200, "POST", "estimate", body)
    assert (found["estimate"], found["low"], found["high"]) == (1, 1, 1)
    assert (found["method"], found["state"], found["sample_size"]) == ("exact", "ok", 5)
    assert found["per_criterion"]["status"]["estimate"] == 2
    assert found["per_criterion"]["/criteria/nodes/1"]["estimate"] == 1


async def test_members_come_in_pages(world: AudienceWorld) -> None:
    number = await world.activate("Any", {"not": attribute("none")})
    page = await world.ask(200, "GET", f"{number}/members?limit=2")
    assert page == {"mpids": [1001, 1002], "next_cursor": "1002"}
    found = list(page["mpids"])
    while page["next_cursor"]:
        page = await world.ask(200, "GET", f"{number}/members?limit=2&cursor={page['next_cursor']}")
        found += page["mpids"]
    assert found == [1001, 1002, 1003, 1004, 1005]
    member = await world.ask(200, "GET", f"{number}/members/1001")
    assert member == {"mpid": 1001, "since_ms": NOW}
    await world.refuse(404, "GET", f"{number}/members/7")
    await world.refuse(404, "GET", "77/members")
    await world.refuse(400, "GET", f"{number}/members?cursor=odd")
    await world.refuse(400, "GET", f"{number}/members?limit=1001")


async def test_it_is_told_why_a_user_is_no_member(world: AudienceWorld) -> None:
    number = await world.activate("Both", {"and": [PREMIUM, clips(1)]})
    found = await world.ask(200, "GET", f"{number}/members/1002/explanation")
    assert (found["result"], found["is_member"], found["is_counted"]) == (False, False, True)
    assert [(each["id"], each["result"]) for each in found["criteria"]] == [
        ("/criteria/nodes/0", True),
        ("/criteria/nodes/1", False),
    ]
    await world.refuse(404, "GET", f"{number}/members/7/explanation")
    draft = await world.make("Empty")
    problem = await world.refuse(422, "GET", f"{draft}/members/1002/explanation")
    assert problem["code"] == "INVALID_STATE"


async def test_a_dry_run_tells_who_would_enter_and_leave(world: AudienceWorld) -> None:
    number = await world.activate("Premium", PREMIUM)
    found = await world.ask(200, "POST", f"{number}/dry-run", {"definition": age_from(18)})
    assert found == {
        "entering": 1,
        "leaving": 1,
        "staying": 1,
        "entering_mpids": [1003],
        "leaving_mpids": [1002],
        "warnings": [],
    }
    assert world.desk.members(number) == {1001, 1002}
    problem = await world.refuse(400, "POST", f"{number}/dry-run", {})
    assert problem["path"] == "/definition"


async def test_a_static_list_is_changed(world: AudienceWorld) -> None:
    number = await world.make("List", type="static")
    await world.ask(204, "POST", f"{number}/activation")
    await world.ask(202, "PUT", f"{number}/members", {"add": [1001, 1002], "remove": [1002]})
    await world.desk.settle()
    assert world.desk.members(number) == {1001}
    problem = await world.refuse(400, "PUT", f"{number}/members", {"add": ["x"]})
    assert problem["path"] == "/add/0"
    problem = await world.refuse(400, "PUT", f"{number}/members", {"add": list(range(10_001))})
    assert problem["path"] == "/add"
    premium = await world.make("Premium", PREMIUM)
    await world.refuse(422, "PUT", f"{premium}/members", {"add": [1]})


async def test_a_file_of_members_is_ordered_and_fetched(world: AudienceWorld) -> None:
    """Worked case 43."""
    number = await world.activate("Gold", attribute("gold"))
    problem = await world.refuse(400, "POST", f"{number}/download", {"identity_types": []})
    assert problem["path"] == "/identity_types"
    body = {"identity_types": ["email", "partner:braze", "google_advertising_id", "Email"]}
    problem = await world.refuse(400, "POST", f"{number}/download", body)
    assert problem["path"] == "/identity_types/3"
    ordered = await world.ask(202, "POST", f"{number}/download", {"identity_types": ["email"]})
    pending = await world.ask(200, "GET", ordered["status_url"])
    assert pending == {"status": "pending", "url": None}
    await world.desk.desk.work()
    ready = await world.ask(200, "GET", ordered["status_url"])
    assert ready["status"] == "ready"
    content = await world.ask(200, "GET", ready["url"])
    assert content[:2] == b"PK"
    world.clock.advance(8 * 86_400_000)
    await world.desk.desk.work()
    gone = await world.ask(200, "GET", ordered["status_url"])
    assert gone == {"status": "expired", "url": None}
    await world.refuse(404, "GET", ready["url"])
    standard = await world.make("S", PREMIUM, type="standard")
    problem = await world.refuse(422, "POST", f"{standard}/download", {"identity_types": ["email"]})
    assert problem["code"] == "INVALID_STATE"
