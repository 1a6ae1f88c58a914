"""Group identity over HTTP (spec/identity.md, 13)."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import ClientResponse

from actors.clock import ManualClock
from actors.groups.live import READ_ONLY
from actors.profiles.retention import DAY_MS
from actors.store.resharding import reshard
from tests.whole.cases import dropped, problems, user
from tests.whole.world import MAP_SIZE, World, running

PATH = "/platform/workspaces/1"
HOUSEHOLD: dict[str, Any] = {
    "id": "household",
    "description": "same address",
    "source_user_attribute": "$address",
    "attributes": [{"id": "owns_cat", "type": "boolean_or"}],
}
ELM_STREET = "household:0ec0ea7c0ab66299885dfb29eb969659"
OWNS_CAT = "household:owns_cat"


async def ask(
    world: World, method: str, path: str, body: Any = None, *, client: str = "ops", **query: str
) -> ClientResponse:
    """Send a request of a credential to the Platform API."""
    headers = await world.token(client)
    return await world.client.request(method, PATH + path, json=body, params=query, headers=headers)


async def answer(world: World, status: int, method: str, path: str, *body: Any, **more: Any) -> Any:
    """Send a request whose status has to be this one; return the body."""
    response = await ask(world, method, path, *body, **more)
    assert response.status == status, await response.text()
    return await response.json() if response.content_length else None


async def run(world: World, definition: str) -> None:
    """Ask for a run, and have it done."""
    started = await answer(world, 202, "POST", f"/groups/{definition}/run")
    assert isinstance(started["run_id"], str)
    await world.groups.work()


async def has(world: World, customer: str, **attributes: Any) -> None:
    """Set user attributes of a customer."""
    await world.accept(user(customer, user_attributes=attributes))


async def members(world: World, group_id: str, **query: str) -> dict[str, Any]:
    definition = group_id.partition(":")[0]
    path = f"/groups/{definition}/members"
    page = await answer(world, 200, "GET", path, group_id=group_id, **query)
    return cast(dict[str, Any], page)


async def own(world: World, customer: str) -> Any:
    """Return what a customer has by its household."""
    return (await world.attributes(customer)).get(OWNS_CAT)


async def elm_street(world: World) -> None:
    """Have U1 and U2 live together, and U3 elsewhere."""
    await has(world, "u1", **{"$address": "12 Elm St, Springfield", "owns_cat": True})
    await has(world, "u2", **{"$address": " 12 elm st,  springfield "})
    await has(world, "u3", **{"$address": "1 Oak Ave", "owns_cat": True})
    await answer(world, 201, "POST", "/groups/", HOUSEHOLD)


async def test_case_35_a_household_shares_its_cat(world: World) -> None:
    """Worked case 35."""
    await elm_street(world)
    before = [await world.mpid(each) for each in ("u1", "u2", "u3")]
    assert await own(world, "u1") is None  # nothing before the first run
    await run(world, "household")
    assert [await own(world, each) for each in ("u1", "u2", "u3")] == ["true", "true", None]
    page = await members(world, ELM_STREET)
    assert page == {
        "group_id": ELM_STREET,
        "mpids": sorted(before[:2]),
        "attributes": {OWNS_CAT: "true"},
        "next_cursor": None,
    }
    of_user = [
        {"definition_id": "household", "group_id": ELM_STREET, "attributes": {OWNS_CAT: "true"}}
    ]
    assert await answer(world, 200, "GET", f"/users/{before[1]}/groups") == of_user
    assert await answer(world, 200, "GET", f"/users/{before[2]}/groups") == []

    await has(world, "u1", owns_cat=False)
    assert [await own(world, each) for each in ("u1", "u2")] == ["true", "true"]
    await run(world, "household")
    assert [await own(world, each) for each in ("u1", "u2")] == ["false", "false"]

    await has(world, "u2", **{"$address": "1 Elsewhere"})
    assert [await own(world, each) for each in ("u1", "u2")] == ["false", "false"]
    await run(world, "household")
    assert [await own(world, each) for each in ("u1", "u2")] == [None, None]
    await answer(world, 404, "GET", "/groups/household/members", group_id=ELM_STREET)
    assert [await world.mpid(each) for each in ("u1", "u2", "u3")] == before


async def test_case_36_an_account_is_a_group_by_its_id(world: World) -> None:
    """Worked case 36."""
    for customer in ("a", "b", "c"):
        await has(world, customer, account_id=1234, plan="pro" if customer == "a" else "free")
    definition = {
        "id": "account_id",
        "source_user_attribute": "account_id",
        "attributes": [{"id": "plan", "type": "list_union"}],
    }
    made = await answer(world, 201, "POST", "/groups/", definition)
    assert made == {
        **definition,
        "description": "",
        "created_on": "2026-01-01T00:00:00.000Z",
        "last_run_on": None,
    }
    response = await ask(world, "POST", "/groups/", definition)
    assert (response.status, (await problems(response))[0]["code"]) == (409, "CONFLICT")
    wrong = {**definition, "id": "x", "attributes": [{"id": "plan", "type": "xor"}]}
    response = await ask(world, "POST", "/groups/", wrong)
    assert (response.status, (await problems(response))[0]["code"]) == (400, "BAD_REQUEST")
    await run(world, "account_id")
    page = await members(world, "account_id:1234")
    assert page["mpids"] == sorted([await world.mpid(each) for each in ("a", "b", "c")])
    assert (await world.attributes("b"))["account_id:plan"] == ["pro", "free"]

    await answer(world, 204, "DELETE", "/groups/account_id")
    assert "account_id:plan" not in await world.attributes("b")  # at once, before anything runs
    await answer(world, 404, "GET", "/groups/account_id")
    assert await answer(world, 200, "GET", f"/users/{await world.mpid('b')}/groups") == []
    await world.groups.work()
    for shard in world.shards:
        with shard.store.read() as txn:
            assert not list(txn.scan("group_members")) + list(txn.scan("group_values"))


async def test_a_group_attribute_goes_out_with_every_batch_of_a_member(world: World) -> None:
    await elm_street(world)
    await run(world, "household")
    await world.accept(user("u2"))
    assert world.outgoing()[-1]["user_attributes"][OWNS_CAT] == "true"
    await answer(world, 204, "DELETE", "/groups/household")
    await world.accept(user("u2"))
    assert OWNS_CAT not in world.outgoing()[-1]["user_attributes"]


async def test_the_user_activity_api_shows_group_attributes(world: World) -> None:
    await elm_street(world)
    await run(world, "household")
    response = await world.get(f"/platform/v2/workspaces/1/users/{await world.mpid('u2')}")
    assert {"name": OWNS_CAT, "value": "true"} in (await response.json())["user_attributes"]


async def test_batches_cannot_write_a_group_attribute(world: World) -> None:
    await elm_street(world)
    await run(world, "household")
    change = {
        "event_type": "user_attribute_change",
        "data": {"user_attribute_name": OWNS_CAT, "new": "x", "old": None, "deleted": False},
    }
    await world.accept(
        user(
            "u2",
            user_attributes={OWNS_CAT: "no", "other": "1"},
            deleted_user_attributes=[OWNS_CAT],
            events=[change],
        )
    )
    assert dropped(world, READ_ONLY) == 3
    attributes = await world.attributes("u2")
    assert (attributes[OWNS_CAT], attributes["other"]) == ("true", "1")
    await has(world, "u2", **{"$address": "1 Elsewhere"})
    await run(world, "household")
    assert await own(world, "u2") is None


async def test_what_was_written_before_the_definition_is_taken_away_by_the_run(
    world: World,
) -> None:
    await has(world, "u3", **{OWNS_CAT: "mine"})
    await elm_street(world)
    await run(world, "household")
    assert await own(world, "u3") is None


async def test_the_daily_job_runs_all_definitions_when_it_is_due(
    world: World, clock: ManualClock
) -> None:
    await elm_street(world)
    clock.advance(DAY_MS - 1)
    await world.groups.work()
    assert await own(world, "u2") is None
    clock.advance(1)
    await world.groups.work()
    assert await own(world, "u2") == "true"
    [shown] = await answer(world, 200, "GET", "/groups/")
    assert shown["last_run_on"] == "2026-01-02T00:00:00.000Z"
    await has(world, "u1", owns_cat=False)
    clock.advance(DAY_MS - 1)
    await world.groups.work()
    assert await own(world, "u2") == "true"


async def test_an_idle_member_leaves_at_the_next_run(world: World, clock: ManualClock) -> None:
    await elm_street(world)
    await run(world, "household")
    clock.advance(100 * DAY_MS)
    await world.accept(user("u2"))
    await has(world, "u2", **{"$address": "12 elm st, springfield"})
    await run(world, "household")
    assert await own(world, "u2") is None


async def test_a_replaced_definition_holds_from_the_next_run_on(world: World) -> None:
    await elm_street(world)
    await has(world, "u2", rooms=3)
    await run(world, "household")
    changed = {**HOUSEHOLD, "attributes": [{"id": "rooms", "type": "max"}]}
    shown = await answer(world, 200, "PUT", "/groups/household/", changed)
    assert shown["attributes"] == changed["attributes"]
    assert await own(world, "u1") == "true"
    await run(world, "household")
    attributes = await world.attributes("u1")
    assert (attributes.get(OWNS_CAT), attributes["household:rooms"]) == (None, "3")
    moved = await ask(world, "PUT", "/groups/household", {**changed, "id": "other"})
    assert moved.status == 400


async def test_members_come_in_pages(world: World) -> None:
    await elm_street(world)
    for number in range(5):
        await has(world, f"m{number}", **{"$address": "12 elm st, springfield"})
    await run(world, "household")
    whole = (await members(world, ELM_STREET))["mpids"]
    assert len(whole) == 7
    first = await members(world, ELM_STREET, limit="3")
    second = await members(world, ELM_STREET, limit="3", cursor=first["next_cursor"])
    third = await members(world, ELM_STREET, limit="3", cursor=second["next_cursor"])
    assert first["mpids"] + second["mpids"] + third["mpids"] == whole
    assert third["next_cursor"] is None
    for wrong in ({"limit": "1001"}, {"limit": "0"}, {"cursor": "x"}, {"environment": "test"}):
        await answer(world, 400, "GET", "/groups/household/members", group_id=ELM_STREET, **wrong)


async def test_environments_have_groups_of_their_own(world: World) -> None:
    await elm_street(world)
    body = user("u1", user_attributes={"$address": "12 elm st, springfield"})
    await world.accept({**body, "environment": "development"})
    await run(world, "household")
    query = {"group_id": ELM_STREET, "environment": "development"}
    await answer(world, 404, "GET", "/groups/household/members", **query)
    mpid = await world.mpid_in("u1", "development")
    found = await answer(world, 200, "GET", f"/users/{mpid}/groups", environment="development")
    assert found == []


async def test_a_definition_survives_a_restart_with_another_number_of_shards(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with running(tmp_path, shards=3, clock=clock) as world:
        await elm_street(world)
        await run(world, "household")
        expected = await members(world, ELM_STREET)
        await has(world, "u1", owns_cat=False)
        await answer(world, 202, "POST", "/groups/household/run")
    new = [tmp_path / "moved-0", tmp_path / "moved-1"]
    reshard([tmp_path / f"shard-{number}" for number in range(3)], new, MAP_SIZE)
    for number in range(3):
        (tmp_path / f"shard-{number}").rename(tmp_path / f"old-{number}")
    for number, folder in enumerate(new):
        folder.rename(tmp_path / f"shard-{number}")
    async with running(tmp_path, shards=2, clock=clock) as world:
        assert await members(world, ELM_STREET) == expected
        assert [await own(world, each) for each in ("u1", "u2")] == ["true", "true"]
        await world.groups.work()  # the run that was asked for before
        assert [await own(world, each) for each in ("u1", "u2")] == ["false", "false"]


async def test_ingestion_goes_on_between_slices(world: World, monkeypatch: Any) -> None:
    await elm_street(world)
    monkeypatch.setattr(world.groups._runner, "_slice_size", 1)
    await answer(world, 202, "POST", "/groups/household/run")
    working = asyncio.create_task(world.groups.work())
    sent = 0
    while not working.done() or sent == 0:
        await has(world, f"late{sent}", **{"$address": "12 elm st, springfield"})
        sent += 1
    await working
    assert await own(world, "u2") == "true"
    assert all([await own(world, f"late{each}") in (None, "true") for each in range(sent)])
    await run(world, "household")
    assert len((await members(world, ELM_STREET))["mpids"]) == sent + 2


# -- The API's conventions ------------------------------------------------------------------------


async def test_both_prefixes_serve_with_and_without_a_trailing_slash(world: World) -> None:
    headers = await world.token()
    for number, base in enumerate(("/platform", "/platform/experimental")):
        for slash in ("", "/"):
            body = {**HOUSEHOLD, "id": f"h{number}{len(slash)}"}
            path = f"{base}/workspaces/1/groups"
            made = await world.client.post(path + slash, json=body, headers=headers)
            assert made.status == 201, await made.text()
            one = await world.client.get(f"{path}/{body['id']}{slash}", headers=headers)
            assert (await one.json())["id"] == body["id"]
    listed = await answer(world, 200, "GET", "/groups/")
    assert [each["id"] for each in listed] == ["h00", "h01", "h10", "h11"]


CHANGES = [
    ("POST", "/groups/", HOUSEHOLD),
    ("PUT", "/groups/household", HOUSEHOLD),
    ("POST", "/groups/household/run", None),
    ("DELETE", "/groups/household", None),
]


async def test_a_read_only_credential_may_only_read(world: World) -> None:
    await elm_street(world)
    for method, path, body in CHANGES:
        response = await ask(world, method, path, body, client="viewer")
        assert (response.status, (await problems(response))[0]["code"]) == (403, "FORBIDDEN")
    for path in ("/groups", "/groups/household"):
        await answer(world, 200, "GET", path, client="viewer")


async def test_who_may_see_no_people_does_not_see_the_groups_of_one(world: World) -> None:
    """spec/privacy.md, 10.2: each access is in the audit log besides."""
    await elm_street(world)
    mpid = await world.mpid("u1")
    await answer(world, 403, "GET", f"/users/{mpid}/groups", client="viewer")
    await answer(world, 200, "GET", f"/users/{mpid}/groups")
    response = await world.get("/platform/v2/accounts/1/audit-logs")
    items = (await response.json())["items"]
    read = [each["resource_id"] for each in items if each["action"] == "read"]
    assert read.count(str(mpid)) == 1


async def test_requests_without_a_token_or_to_another_workspace_are_refused(world: World) -> None:
    headers = await world.token()
    for method, path, body in [
        *CHANGES,
        ("GET", "/groups", None),
        ("GET", "/users/1/groups", None),
    ]:
        response = await world.client.request(method, PATH + path, json=body)
        assert response.status == 401
        other = f"/platform/workspaces/2{path}"
        response = await world.client.request(method, other, json=body, headers=headers)
        assert response.status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/groups/none"),
        ("PUT", "/groups/none"),
        ("DELETE", "/groups/none"),
        ("POST", "/groups/none/run"),
        ("GET", "/groups/none/members?group_id=none:1"),
        ("GET", "/groups/household/members?group_id=household:1"),
        ("GET", "/groups/household/members?group_id=other:1"),
        ("GET", "/users/5/groups"),
    ],
)
async def test_what_is_not_there_is_not_found(world: World, method: str, path: str) -> None:
    await answer(world, 201, "POST", "/groups", HOUSEHOLD)
    body = {**HOUSEHOLD, "id": "none"} if method == "PUT" else None
    response = await ask(world, method, path, body)
    assert (response.status, (await problems(response))[0]["code"]) == (404, "NOT_FOUND")


def _attributes(count: int) -> list[dict[str, str]]:
    return [{"id": f"a{number}", "type": "max"} for number in range(count)]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"id": "a b"}, '"id"'),
        ({"id": "a" * 65}, '"id"'),
        ({"id": ""}, '"id"'),
        ({"id": 5}, '"id"'),
        ({"description": "d" * 1025}, '"description"'),
        ({"description": None}, '"description"'),
        ({"source_user_attribute": ""}, '"source_user_attribute"'),
        ({"source_user_attribute": "s" * 257}, '"source_user_attribute"'),
        ({"source_user_attribute": "household:owns_cat"}, '"source_user_attribute"'),
        ({"attributes": []}, '"attributes"'),
        ({"attributes": _attributes(51)}, '"attributes"'),
        ({"attributes": ["x"]}, '"attributes[0]"'),
        ({"attributes": [{"id": "x", "type": "xor"}]}, '"attributes[0].type"'),
        ({"attributes": [{"id": "", "type": "max"}]}, '"attributes[0].id"'),
        ({"attributes": [{"id": "x" * 257, "type": "max"}]}, '"attributes[0].id"'),
        ({"attributes": _attributes(1) * 2}, '"attributes[1].id"'),
        ({"attributes": [{"id": "x", "type": "max", "more": 1}]}, "attributes[0]"),
        ({"more": 1}, "Unknown field"),
    ],
)
async def test_a_wrong_definition_is_refused_by_name(
    world: World, change: Mapping[str, Any], named: str
) -> None:
    response = await ask(world, "POST", "/groups", {**HOUSEHOLD, **change})
    assert response.status == 400
    [problem] = await problems(response)
    assert problem["code"] == "BAD_REQUEST"
    assert named in problem["message"]
    assert await answer(world, 200, "GET", "/groups") == []


async def test_limits_are_inclusive(world: World) -> None:
    longest: dict[str, Any] = {
        "id": "a" * 64,
        "description": "d" * 1024,
        "source_user_attribute": "s" * 256,
        "attributes": [*_attributes(49), {"id": "x" * 256, "type": "max"}],
    }
    await answer(world, 201, "POST", "/groups", longest)


async def test_a_workspace_has_at_most_20_definitions(world: World) -> None:
    for number in range(20):
        await answer(world, 201, "POST", "/groups", {**HOUSEHOLD, "id": f"g{number}"})
    response = await ask(world, "POST", "/groups", {**HOUSEHOLD, "id": "g20"})
    assert (response.status, (await problems(response))[0]["code"]) == (400, "BAD_REQUEST")
    await answer(world, 200, "PUT", "/groups/g0", {**HOUSEHOLD, "id": "g0"})


async def test_a_group_attribute_cannot_be_the_source_of_another_definition(world: World) -> None:
    await answer(world, 201, "POST", "/groups", HOUSEHOLD)
    chained = {**HOUSEHOLD, "id": "next", "source_user_attribute": OWNS_CAT}
    assert (await ask(world, "POST", "/groups", chained)).status == 400
    source = {**HOUSEHOLD, "id": "street", "source_user_attribute": "town:name"}
    await answer(world, 201, "POST", "/groups", source)
    town = {**HOUSEHOLD, "id": "town", "attributes": [{"id": "name", "type": "latest"}]}
    assert (await ask(world, "POST", "/groups", town)).status == 400


async def test_a_body_has_to_be_json(world: World) -> None:
    headers = await world.token()
    path = PATH + "/groups"
    text = await world.client.post(
        path, data="{}", headers={**headers, "Content-Type": "text/plain"}
    )
    assert text.status == 415
    broken = await world.client.post(
        path, data="{", headers={**headers, "Content-Type": "application/json"}
    )
    assert broken.status == 400


async def test_a_run_that_waits_serves_everybody_who_asks(world: World) -> None:
    await answer(world, 201, "POST", "/groups", HOUSEHOLD)
    first = await answer(world, 202, "POST", "/groups/household/run")
    assert await answer(world, 202, "POST", "/groups/household/run") == first
    await world.groups.work()
    assert await answer(world, 202, "POST", "/groups/household/run") != first
