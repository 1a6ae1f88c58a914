"""The audience API over HTTP (spec/audiences.md, 14)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors.audiences.queries import Asked
from actors.errors import ShardUnavailable
from server.audience_gateway import AudienceGateway
from server.routes import audiences as audience_routes
from tests.actors.audiences.desks import age_from, attribute, clips, member_of
from tests.server.routes.audiences import V2, AudienceWorld, audience_world

PREMIUM = attribute("premium")
SDK_DOCUMENT = {
    "schema_version": "1.6.0",
    "audience": {
        "operator": "greater_than_equal",
        "left": {
            "operator": "count",
            "group_by_model": "user",
            "operand": {"model": "events", "path": "event_id"},
            "condition": {
                "operator": "and",
                "expressions": [
                    {
                        "operator": "equals",
                        "left": {"model": "events", "path": "event_name"},
                        "right": "Clip Played",
                    },
                    {
                        "operator": "greater_than_equal",
                        "left": {"model": "events", "path": "timestamp"},
                        "right": {"date": {"relative": {"offset": -3, "unit": "day"}}},
                    },
                ],
            },
        },
        "right": 2,
    },
}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[AudienceWorld]:
    async with audience_world(tmp_path) as opened:
        yield opened


async def test_an_audience_is_shown_as_it_was_made(world: AudienceWorld) -> None:
    """Section 2."""
    made = await world.ask(
        201, "POST", "", {"name": "Premium", "tags": ["vip"], "inputs": [7], "definition": PREMIUM}
    )
    assert made == {
        "id": made["id"],
        "name": "Premium",
        "external_name": "Premium",
        "type": "real_time",
        "workspaces": [3],
        "inputs": [7],
        "environment": "production",
        "definition": {"version": 1, "criteria": PREMIUM},
        "tags": ["vip"],
        "status": "draft",
        "size": None,
        "added_last_24_hours": None,
        "dropped_last_24_hours": None,
        "volatility": None,
        "created_by": "app",
        "created_on": "2026-03-10T13:00:00.000",
        "last_modified_by": "app",
        "last_modified_on": "2026-03-10T13:00:00.000",
        "revision": 1,
        "warnings": [],
        "shared": False,
    }
    assert await world.ask(200, "GET", str(made["id"])) == made
    assert await world.ask(200, "PUT", str(made["id"]), made) == made
    assert await world.ask(200, "GET", "") == [made]


async def test_a_definition_is_read_back_in_canonical_form(world: AudienceWorld) -> None:
    """Worked case 52."""
    short = {
        "and": [
            {
                "type": "calculated_attribute",
                "name": "ltv",
                "operator": "greater_than",
                "value": 500,
            },
            {
                "type": "event",
                "event_type": "commerce_event",
                "action": "purchase",
                "count": {"operator": "greater_or_equal", "value": 2},
                "within": {"value": 30, "unit": "days"},
            },
        ]
    }
    number = await world.make("Short", short)
    shown = await world.ask(200, "GET", str(number))
    criteria = shown["definition"]["criteria"]
    assert criteria["op"] == "and"
    calculated, event = criteria["nodes"]
    assert (calculated["attribute_name"], calculated["value_type"]) == ("ltv", "number")
    assert event["commerce_action"] == "purchase"
    assert event["frequency"]["value"] == 2
    assert event["recency"] == {"type": "within_last", "value": 30, "unit": "days"}


REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"definition": {"version": 1, "criteria": {"op": "and", "nodes": []}}},
        "/definition/criteria/nodes",
    ),
    (
        {"definition": {"version": 1, "criteria": {"op": "not", "nodes": [PREMIUM, PREMIUM]}}},
        "/definition/criteria/nodes",
    ),
    (
        {"definition": {"version": 1, "criteria": {"op": "xor", "nodes": [PREMIUM]}}},
        "/definition/criteria/op",
    ),
    (
        {"definition": {"version": 1, "criteria": {**clips(1), "frequencey": {}}}},
        "/definition/criteria/frequencey",
    ),
    (
        {"definition": {"version": 1, "criteria": {"type": "event", "event_type": "custom_event"}}},
        "/definition/criteria/event_name",
    ),
    (
        {"definition": {"version": 1, "criteria": attribute("x", "greater_than")}},
        "/definition/criteria/operator",
    ),
    ({"tags": ["a" * 19]}, "/tags/0"),
    ({"name": "n" * 101}, "/name"),
    ({"name": ""}, "/name"),
    ({"nmae": "x"}, "/nmae"),
    ({"type": "other"}, "/type"),
    ({"workspaces": []}, "/workspaces"),
    ({"inputs": ["web"]}, "/inputs/0"),
    ({"type": "standard", "range": {"start": "2026-01-02", "end": "2026-01-01"}}, "/range/end"),
    ({"type": "standard", "range": {"start": "2026-13-02", "end": "latest"}}, "/range/start"),
    ({"range": "all"}, "/range"),
]


@pytest.mark.parametrize(("fields", "path"), REFUSED, ids=[path for _, path in REFUSED])
async def test_a_document_that_is_wrong_is_refused_with_its_place(
    world: AudienceWorld, fields: dict[str, Any], path: str
) -> None:
    """Worked cases 28 and 29."""
    problem = await world.refuse(400, "POST", "", {"name": "X", **fields})
    assert (problem["code"], problem["path"]) == ("VALIDATION_ERROR", path)
    assert await world.ask(200, "GET", "") == []


async def test_what_breaks_a_rule_about_other_objects_is_422(world: AudienceWorld) -> None:
    """Worked case 30."""
    deep: Any = PREMIUM
    for _ in range(9):
        deep = {"op": "and", "nodes": [deep]}
    wide = {"op": "or", "nodes": [{"op": "or", "nodes": [PREMIUM] * 34}] * 3}
    for definition in (deep, wide):
        body = {"name": "X", "definition": definition}
        assert (await world.refuse(422, "POST", "", body))["code"] == "LIMIT_EXCEEDED"
    body = {"name": "X", "definition": member_of(999)}
    problem = await world.refuse(422, "POST", "", body)
    assert (problem["code"], problem["path"]) == (
        "REFERENCE_NOT_FOUND",
        "/definition/audience_id",
    )


async def test_an_active_audience_has_a_size_and_before_an_estimate(world: AudienceWorld) -> None:
    """Worked case 31."""
    number = await world.make("Premium", PREMIUM)
    await world.ask(204, "POST", f"{number}/activation")
    shown = await world.ask(200, "GET", str(number))
    assert (shown["status"], shown["size"], shown["is_estimate"]) == ("activating", 2, True)
    [listed] = await world.ask(200, "GET", "")
    assert (listed["size"], listed["is_estimate"]) == (2, True)
    [plain] = await world.ask(200, "GET", "/v1/audiences?accountId=2")  # has no mark of estimates
    assert (plain["size"], "is_estimate" in plain) == (None, False)
    await world.desk.settle()
    for path in ("", "/v1/audiences?accountId=2"):
        assert [each["size"] for each in await world.ask(200, "GET", path)] == [2]
    shown = await world.ask(200, "GET", str(number))
    assert (shown["status"], shown["size"], shown["volatility"]) == ("active", 2, 0.0)
    assert "is_estimate" not in shown
    await world.ask(204, "DELETE", f"{number}/activation")
    await world.desk.settle()
    shown = await world.ask(200, "GET", str(number))
    assert (shown["status"], shown["size"]) == ("inactive", None)


async def test_an_audience_that_is_being_activated_is_estimated_once(
    world: AudienceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimated: list[Asked] = []
    fails = [True]

    async def estimate(gateway: AudienceGateway, asked: Asked) -> Any:
        estimated.append(asked)
        if fails:
            raise ShardUnavailable("shard 0")
        return await whole(gateway, asked)

    whole = AudienceGateway.estimate
    monkeypatch.setattr(AudienceGateway, "estimate", estimate)
    number = await world.make("Premium", PREMIUM)
    await world.ask(204, "POST", f"{number}/activation")
    assert (await world.ask(200, "GET", str(number)))["size"] is None
    fails.clear()
    shown = await asyncio.gather(*(world.ask(200, "GET", str(number)) for _ in range(5)))
    assert {each["size"] for each in shown} == {2}
    assert len(estimated) == 2  # that which failed, and one for all


async def test_a_list_does_not_wait_for_estimates_that_take_long(
    world: AudienceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = asyncio.Event()

    async def estimate(gateway: AudienceGateway, asked: Asked) -> Any:
        await counted.wait()
        return await whole(gateway, asked)

    whole = AudienceGateway.estimate
    monkeypatch.setattr(AudienceGateway, "estimate", estimate)
    monkeypatch.setattr(audience_routes, "LIST_ESTIMATES_S", 0.01)
    numbers = [await world.make(name, PREMIUM) for name in ("One", "Two")]
    for number in numbers:
        await world.ask(204, "POST", f"{number}/activation")
    listed = await world.ask(200, "GET", "")
    assert [(each["size"], "is_estimate" in each) for each in listed] == [(None, False)] * 2
    counted.set()
    await asyncio.gather(*(world.ask(200, "GET", str(number)) for number in numbers))
    listed = await world.ask(200, "GET", "")
    assert [(each["size"], each["is_estimate"]) for each in listed] == [(2, True)] * 2


async def test_drafts_are_made_and_changed_while_a_shard_is_away(world: AudienceWorld) -> None:
    """A refusal of what was done would have the caller do it once more."""
    kept = await world.activate("Premium", PREMIUM)
    world.desk.shards[0].is_away = True
    made = await world.ask(201, "POST", "", {"name": "Draft", "definition": PREMIUM})
    assert (made["status"], made["size"]) == ("draft", None)
    changed = await world.ask(200, "PUT", str(made["id"]), {"tags": ["a"]})
    assert changed["tags"] == ["a"]
    assert (await world.ask(201, "POST", f"{kept}/clone"))["name"] == "Premium (copy)"
    listed = await world.ask(200, "GET", "")
    assert [(each["name"], each["size"]) for each in listed] == [
        ("Premium", None),
        ("Draft", None),
        ("Premium (copy)", None),
    ]


async def test_sizes_are_not_known_until_a_shard_has_its_members_again(
    world: AudienceWorld,
) -> None:
    number, other = [await world.activate(name, PREMIUM) for name in ("Premium", "Other")]
    world.desk.shards[0].is_loading = True
    changed = await world.ask(200, "PUT", str(number), {"name": "Gold"})
    assert (changed["name"], changed["status"]) == ("Gold", "active")
    sizes = ("size", "added_last_24_hours", "dropped_last_24_hours", "volatility")
    assert [changed[each] for each in sizes] == [None] * 4
    await world.ask(202, "DELETE", f"/v1/audiences/{other}?accountId=2")
    for path in ("", "/v1/audiences?accountId=2"):
        listed = await world.ask(200, "GET", path)
        assert [(each["id"], each["size"]) for each in listed] == [(number, None)]
    world.desk.shards[0].is_loading = False
    assert (await world.ask(200, "GET", str(number)))["size"] == 2


async def test_the_list_is_filtered(world: AudienceWorld) -> None:
    premium = await world.activate("Premium", PREMIUM, tags=["a", "b"])
    standard = await world.make("Standard", PREMIUM, type="standard", tags=["a"])

    async def found(query: str) -> list[int]:
        return [each["id"] for each in await world.ask(200, "GET", f"{V2}/audiences{query}")]

    assert await found("") == [premium, standard]
    assert await found("?status=active") == [premium]
    assert await found("?type=standard") == [standard]
    assert await found("?tag=a&tag=b") == [premium]
    assert await found("?tag=a") == [premium, standard]
    assert await found("?shared=true") == []
    for query in ("status=odd", "type=odd", "shared=odd"):
        await world.refuse(400, "GET", f"{V2}/audiences?{query}")


async def test_a_change_names_the_revision_that_it_is_of(world: AudienceWorld) -> None:
    number = await world.make("Premium", PREMIUM)
    change = {"definition": attribute("gold")}
    await world.refuse(412, "PUT", str(number), change, If_Match="7")
    await world.refuse(400, "PUT", str(number), change, If_Match="odd")
    changed = await world.ask(200, "PUT", str(number), change, If_Match='"1"')
    assert changed["revision"] == 2
    problem = await world.refuse(422, "PUT", str(number), {"type": "static"})
    assert (problem["code"], problem["path"]) == ("INVALID_STATE", "/type")


async def test_who_may_do_what(world: AudienceWorld) -> None:
    number = await world.make("Premium", PREMIUM)
    await world.ask(200, "GET", str(number), client="viewer")
    changes = [
        ("POST", "", {"name": "X"}),
        ("PUT", str(number), {"name": "X"}),
        ("DELETE", str(number), None),
        ("POST", f"{number}/activation", None),
        ("POST", f"{number}/clone", None),
        ("POST", f"{number}/download", {"identity_types": ["email"]}),
        ("PUT", f"{number}/members", {"add": [1]}),
        ("POST", f"{V2}/journeys", {"name": "J"}),
    ]
    for method, path, body in changes:
        problem = await world.refuse(403, method, path, body, client="viewer")
        assert problem["code"] == "FORBIDDEN"
    await world.refuse(404, "GET", "/platform/v2/workspaces/9/audiences")
    await world.refuse(404, "GET", "odd")
    await world.refuse(404, "GET", "77")
    response = await world.client.get(f"{V2}/audiences")
    assert response.status == 401


async def test_version_1_lists_active_audiences_as_a_bare_array(world: AudienceWorld) -> None:
    """Worked case 49; case 15 of the platform API."""
    await world.make("Draft", PREMIUM)
    plain = await world.activate("Premium", PREMIUM)
    group = await world.activate("Both", {"and": [PREMIUM, age_from(18)]})
    body = {"output_id": 1}
    await world.ask(201, "POST", f"{plain}/subscriptions", body)
    response = await world.client.get("/v1/audiences", headers=await world.token())
    assert response.status == 401
    assert (await response.json())["data"] == []
    listed = await world.ask(200, "GET", "/v1/audiences?accountId=2")
    assert [(each["id"], each["is_calculated"]) for each in listed] == [
        (plain, False),
        (group, True),
    ]
    assert listed[0] == {
        "id": plain,
        "name": "Premium",
        "external_name": "Premium",
        "size": 2,
        "created_by": "app",
        "last_modified_by": "app",
        "last_modified_on": "2026-03-10T13:00:00.000",
        "is_calculated": False,
        "added_last_24_hours": 0,
        "dropped_last_24_hours": 0,
        "status": "active",
        "workspaces": [{"id": 3, "name": "W1", "created_on": None, "data_type": "workspace"}],
        "connected_outputs": [
            {
                "provider_name": "AudienceWebhook",
                "configurations": [{"name": "Hook"}],
                "data_type": "audience_output",
            }
        ],
        "data_type": "audience",
    }
    assert await world.ask(200, "GET", "/v1/workspace/3/audiences?accountId=2") == listed
    for path in ("/v1/audiences?accountId=9", "/v1/workspace/9/audiences?accountId=2"):
        await world.ask(404, "GET", path)


async def test_version_1_deletes(world: AudienceWorld) -> None:
    """Worked case 49; case 16 of the platform API."""
    inner = await world.activate("A", PREMIUM)
    outer = await world.activate("B", member_of(inner))
    body = await world.ask(422, "DELETE", f"/v1/audiences/{inner}?accountId=2")
    assert body["errors"][0]["code"] == "NESTED_AUDIENCE"
    assert len(await world.ask(200, "GET", "/v1/audiences?accountId=2")) == 2
    await world.ask(202, "DELETE", f"/v1/audiences/{outer}?accountId=2")
    await world.ask(202, "DELETE", f"/v1/audiences/{inner}?accountId=2")
    body = await world.ask(404, "DELETE", "/v1/audiences/999999?accountId=2")
    assert (body["dataType"], body["errors"][0]["code"]) == ("audience", "NOT_FOUND")


async def test_a_test_is_immutable(world: AudienceWorld) -> None:
    """Worked case 42."""
    number = await world.activate("Paris Fans", PREMIUM)
    path = f"{number}/abtest"

    def body(*shares: float) -> dict[str, Any]:
        return {
            "variations": [
                {"name": chr(65 + place), "percentage": share} for place, share in enumerate(shares)
            ]
        }

    await world.refuse(404, "GET", path)
    problem = await world.refuse(400, "POST", path, body(60, 41))
    assert problem["path"] == "/variations"
    problem = await world.refuse(400, "POST", path, body(0.005))
    assert problem["path"] == "/variations/0/percentage"
    problem = await world.refuse(422, "POST", path, body(*[1] * 6))
    assert problem["code"] == "LIMIT_EXCEEDED"
    made = await world.ask(201, "POST", path, body(40, 33.33))
    assert made["test_id"] == 1
    assert made["variations"] == [
        {"name": "A", "percentage": 40.0},
        {"name": "B", "percentage": 33.33},
        {"name": "Control", "percentage": 26.67},
    ]
    await world.ask(405, "PUT", path, body(50))
    rows = await world.ask(
        200,
        "POST",
        f"{V2}/outputs/1/connect-audiences",
        {"audience_ids": [number, await world.activate("Other", PREMIUM)]},
    )
    assert rows[0]["errors"][0]["code"] == "INVALID_STATE"
    assert rows[1]["subscription_id"] == 1
    await world.ask(204, "DELETE", path)
    assert (await world.ask(201, "POST", path, body(50)))["test_id"] == 2


async def test_an_imported_document_is_shown_in_both_forms(world: AudienceWorld) -> None:
    """Worked case 51."""
    number = await world.activate("Imported", SDK_DOCUMENT)
    assert world.desk.members(number) == {1001}
    shown = await world.ask(200, "GET", str(number))
    assert shown["imported_definition"] == SDK_DOCUMENT
    again = await world.ask(200, "PUT", str(number), shown)
    assert again["revision"] == shown["revision"]
    assert shown["definition"]["criteria"]["event_name"] == "Clip Played"


async def test_standard_audiences_are_calculated(world: AudienceWorld) -> None:
    """Worked cases 44 and 45."""
    number = await world.make(
        "S", PREMIUM, type="standard", range={"start": "2018-01-01", "end": "2020-01-01"}
    )
    body = {"audience_ids": [number]}
    assert await world.ask(202, "POST", "calculate", body) == {"credits": 2}
    await world.desk.settle()
    shown = await world.ask(200, "GET", str(number))
    assert (shown["status"], shown["calculated_on"]) == ("ready", "2026-03-10T13:00:00.000")
    assert shown["range"] == {"start": "2018-01-01", "end": "2020-01-01"}
    await world.ask(201, "POST", f"{number}/subscriptions", {"output_id": 1})
    for times in (1, 2):
        await world.ask(202, "POST", f"{number}/send", {"subscription_ids": [1]})
        assert world.desk.shards[0].live.subscriptions[0].sends == times
    problem = await world.refuse(422, "POST", f"{number}/send", {"subscription_ids": [1, 2]})
    assert (problem["code"], problem["path"]) == ("REFERENCE_NOT_FOUND", "/subscription_ids/1")
    world.clock.advance(30 * 86_400_000 + 1)
    assert (await world.ask(200, "GET", str(number)))["status"] == "expired"
    problem = await world.refuse(422, "POST", "calculate", body)
    assert (problem["code"], problem["path"]) == ("INVALID_STATE", "/audience_ids/0")
    problem = await world.refuse(422, "POST", f"{number}/send", {"subscription_ids": [1]})
    assert problem["code"] == "INVALID_STATE"
