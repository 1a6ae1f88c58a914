"""Connections, sharing and journeys over HTTP (spec/audiences.md, 12 to 14)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.audiences.objects import Fault
from tests.actors.audiences.desks import age_from, attribute, clips
from tests.server.routes.audiences import V2, AudienceWorld, audience_world

PREMIUM = attribute("premium")
JOURNEYS = f"{V2}/journeys"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[AudienceWorld]:
    async with audience_world(tmp_path) as opened:
        yield opened


async def test_a_connection_is_made_changed_and_ended(world: AudienceWorld) -> None:
    """Section 12.2."""
    number = await world.activate("Premium", PREMIUM)
    path = f"{number}/subscriptions"
    made = await world.ask(
        201, "POST", path, {"output_id": 1, "shared_user_attributes": ["status"]}
    )
    assert made == {
        "id": 1,
        "audience_id": number,
        "variant": None,
        "output_id": 1,
        "is_active": True,
        "is_faulted": False,
        "fault": None,
        "settings": {},
        "shared_user_attributes": ["status"],
        "initial_load": {"is_done": True},
        "last_sent_on": None,
    }
    assert await world.ask(200, "GET", path) == [made]
    assert await world.ask(200, "PUT", f"{path}/1", made) == made
    changed = await world.ask(200, "PUT", f"{path}/1", {"is_active": False})
    assert changed["is_active"] is False
    problem = await world.refuse(422, "PUT", f"{path}/1", {"output_id": 2})
    assert (problem["code"], problem["path"]) == ("INVALID_STATE", "/output_id")
    await world.ask(204, "DELETE", f"{path}/1")
    await world.refuse(404, "GET", f"{path}/1")
    await world.refuse(404, "DELETE", f"{path}/1")
    await world.refuse(404, "GET", "77/subscriptions")


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        ({}, 400, "/output_id"),
        ({"output_id": "hook"}, 400, "/output_id"),
        ({"output_id": 9}, 422, "/output_id"),
        ({"output_id": 1, "settings": {"listId": "12"}}, 400, "/settings/listId"),
        ({"output_id": 1, "variant": "A"}, 422, "/variant"),
        ({"output_id": 1, "active": True}, 400, "/active"),
        ({"output_id": 1, "shared_user_attributes": "all"}, 400, "/shared_user_attributes"),
    ],
)
async def test_what_is_wrong_with_a_connection_is_told(
    world: AudienceWorld, body: dict[str, object], status: int, path: str
) -> None:
    number = await world.activate("Premium", PREMIUM)
    problem = await world.refuse(status, "POST", f"{number}/subscriptions", body)
    assert problem["path"] == path


async def test_a_faulted_connection_shows_in_the_audience_until_it_is_resumed(
    world: AudienceWorld,
) -> None:
    """Section 2.1 and worked case 48."""
    number = await world.activate("Premium", PREMIUM)
    await world.ask(201, "POST", f"{number}/subscriptions", {"output_id": 1})
    resume = f"{number}/subscriptions/1/resume"
    problem = await world.refuse(422, "POST", resume)
    assert problem["code"] == "INVALID_STATE"
    await world.desk.calls.fault_subscription(1, Fault(world.clock.now_ms(), "http_401", "no"))
    shown = await world.ask(200, "GET", f"{number}/subscriptions/1")
    assert shown["is_faulted"] is True
    assert shown["fault"] == {
        "faulted_on": "2026-03-10T13:00:00.000",
        "reason_code": "http_401",
        "message": "no",
        "first_job_id": None,
    }
    assert (await world.ask(200, "GET", str(number)))["status"] == "faulted"
    await world.ask(204, "POST", resume)
    assert (await world.ask(200, "GET", str(number)))["status"] == "active"
    await world.refuse(404, "POST", f"{number}/subscriptions/2/resume")


async def test_bulk_connection_needs_an_output(world: AudienceWorld) -> None:
    body = {"audience_ids": [await world.activate("Premium", PREMIUM), 99]}
    await world.refuse(404, "POST", f"{V2}/outputs/9/connect-audiences", body)
    rows = await world.ask(200, "POST", f"{V2}/outputs/2/connect-audiences", body)
    assert [set(each) for each in rows] == [
        {"audience_id", "subscription_id"},
        {"audience_id", "errors"},
    ]
    assert rows[1]["errors"][0]["code"] == "NOT_FOUND"


async def test_an_audience_can_be_shared_with_the_accounts_that_there_are(
    world: AudienceWorld,
) -> None:
    """Section 12.1; tests/whole/test_audience_sharing.py has another account."""
    number = await world.make("Premium", PREMIUM)
    shown = await world.ask(200, "GET", f"{number}/sharing")
    assert shown == {
        "default_level": "private",
        "accounts": [{"account_id": 2, "level": "owner"}],
        "requests": [],
    }
    default = "/platform/v2/accounts/2/audience-sharing"
    await world.ask(200, "PUT", default, {"default_level": "usable"})
    assert (await world.ask(200, "GET", default))["default_level"] == "usable"
    await world.refuse(404, "GET", "/platform/v2/accounts/9/audience-sharing")
    unchanged = await world.ask(200, "GET", f"{number}/sharing")
    assert unchanged["default_level"] == "private"
    later = await world.make("Later", PREMIUM)
    assert (await world.ask(200, "GET", f"{later}/sharing"))["default_level"] == "usable"
    changed = await world.ask(200, "PUT", f"{number}/sharing", {"default_level": "view_only"})
    assert changed["default_level"] == "view_only"
    body = {"accounts": [{"account_id": 5, "level": "usable"}]}
    problem = await world.refuse(422, "PUT", f"{number}/sharing", body)
    assert problem["code"] == "REFERENCE_NOT_FOUND"


async def test_a_journey_is_made_of_milestones(world: AudienceWorld) -> None:
    """Worked case 46."""
    journey = await world.ask(201, "POST", JOURNEYS, {"name": "J", "inputs": [7]})
    assert (journey["name"], journey["inputs"], journey["milestones"]) == ("J", [7], [])
    path = f"{JOURNEYS}/{journey['id']}"
    milestones = f"{path}/milestones"
    first = await world.ask(201, "POST", milestones, {"name": "M1", "definition": PREMIUM})
    second = await world.ask(201, "POST", milestones, {"name": "M2", "definition": age_from(18)})
    rest = await world.ask(201, "POST", milestones, {"name": "R", "kind": "remaining_users"})
    assert [each["position"] for each in (first, second, rest)] == [0, 1, 2]
    body = {"name": "C", "parent_id": first["id"], "definition": clips(1)}
    child = await world.ask(201, "POST", milestones, body)
    for each in (first, second, rest, child):
        await world.ask(201, "POST", f"{each['audience_id']}/subscriptions", {"output_id": 1})
    await world.desk.settle()
    members = [world.desk.members(each["audience_id"]) for each in (first, second, rest, child)]
    assert members == [{1001, 1002}, {1003}, {1004, 1005}, {1001}]

    audience = await world.ask(200, "GET", str(second["audience_id"]))
    assert audience["journey_id"] == journey["id"]
    assert audience["definition"]["criteria"] == {"op": "exclude", "nodes": [age_from(18), PREMIUM]}
    problem = await world.refuse(422, "PUT", str(second["audience_id"]), {"definition": PREMIUM})
    assert problem["code"] == "INVALID_STATE"

    await world.ask(200, "PUT", f"{milestones}/{second['id']}", {"position": 0})
    await world.desk.settle()
    assert world.desk.members(second["audience_id"]) == {1001, 1003}
    assert world.desk.members(first["audience_id"]) == {1002}

    problem = await world.refuse(422, "DELETE", f"{milestones}/{first['id']}")
    assert problem["code"] == "INVALID_STATE"
    problem = await world.refuse(422, "POST", milestones, {"name": "R2", "kind": "remaining_users"})
    assert problem["code"] == "INVALID_STATE"
    await world.refuse(422, "DELETE", path)
    for each in (child, rest, first, second):
        await world.ask(204, "DELETE", f"{milestones}/{each['id']}")
    await world.ask(204, "DELETE", path)
    await world.refuse(404, "GET", path)


async def test_what_is_wrong_with_a_journey_is_told(world: AudienceWorld) -> None:
    problem = await world.refuse(400, "POST", JOURNEYS, {})
    assert problem["path"] == "/name"
    problem = await world.refuse(422, "POST", JOURNEYS, {"name": "J", "inputs": [99]})
    assert (problem["code"], problem["path"]) == ("REFERENCE_NOT_FOUND", "/inputs/0")
    journey = await world.ask(201, "POST", JOURNEYS, {"name": "J"})
    path = f"{JOURNEYS}/{journey['id']}"
    renamed = await world.ask(200, "PUT", path, {"name": "K"})
    assert renamed["name"] == "K"
    assert await world.ask(200, "GET", JOURNEYS) == [renamed]
    wrong = [
        ({"name": "M"}, 400, "/definition"),
        ({"name": "M", "definition": {"op": "xor"}}, 400, "/definition/op"),
        ({"name": "M", "definition": PREMIUM, "parent_id": 9}, 422, "/parent_id"),
        ({"name": "M", "definition": PREMIUM, "kind": "odd"}, 400, "/kind"),
    ]
    for body, status, place in wrong:
        problem = await world.refuse(status, "POST", f"{path}/milestones", body)
        assert problem["path"] == place
    await world.refuse(
        404, "POST", f"{JOURNEYS}/9/milestones", {"name": "M", "definition": PREMIUM}
    )
    await world.refuse(404, "PUT", f"{path}/milestones/9", {"name": "M"})
    await world.refuse(404, "DELETE", f"{path}/milestones/9")
