"""The Data Planning API: the worked cases of spec/data-plans.md, by number."""

import copy
from collections.abc import AsyncIterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from server.context import EDGES
from server.limits import Level, Limit
from tests.actors.plans.plans import (
    HOME,
    Data,
    custom_match,
    document,
    event,
    point,
    quote,
    with_attributes,
)
from tests.whole.world import DOCUMENT, World, changed, running

OTHER = event("custom_event", event_name="Other")
HELD = {
    "id": "held",
    "kind": "event",
    "module": "webhook",
    "name": "Held",
    "settings": {"url": "https://held.example.com/in"},
}
CREDENTIALS = [
    *DOCUMENT["api_credentials"],
    {
        "client_id": "planner",
        "client_secret": "planner-secret",
        "role": "user",
        "apis": ["data_planning"],
    },
    {
        "client_id": "reader",
        "client_secret": "reader-secret",
        "role": "read_only",
        "apis": ["data_planning"],
    },
]
WORKSPACE = {**DOCUMENT["workspace"], "limits": {"data_plan_bytes": 20_000}}
EDITABLE = changed(
    DOCUMENT,
    workspace=WORKSPACE,
    api_credentials=CREDENTIALS,
    outputs=[*DOCUMENT["outputs"], HELD],
)


@pytest.fixture
async def world(tmp_path: Path, clock: ManualClock) -> AsyncIterator[World]:
    async with running(tmp_path, document=EDITABLE, clock=clock) as only:
        yield only


async def ask(
    world: World,
    method: str,
    path: str = "",
    body: Any = None,
    *,
    client: str = "planner",
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Any, Mapping[str, str]]:
    """Ask below the plans, and let everybody hear of it."""
    url = f"/platform/v2/workspaces/1/plans{path}"
    sent = {**await world.token(client), **(headers or {})}
    response = await world.client.request(method, url, json=body, headers=sent)
    answer = await response.json() if response.status != 204 else None
    await world.follow()
    return response.status, answer, response.headers


async def done(world: World, method: str, path: str = "", body: Any = None) -> Any:
    """Ask, and be answered 200 or 204."""
    status, answer, _ = await ask(world, method, path, body)
    assert status in (200, 204), answer
    return answer


async def refusal(world: World, method: str, path: str = "", body: Any = None) -> tuple[int, Any]:
    """Ask for what is refused; return the status and the first error."""
    status, answer, _ = await ask(world, method, path, body)
    assert status >= 400, answer
    return status, answer["errors"][0]


def web_plan(**version: Any) -> Data:
    """Return a plan with one version, to be made."""
    first = {"version": 1, "version_document": document(), **version}
    return {"data_plan_name": "Web plan", "data_plan_versions": [first]}


async def test_case_18_a_plan_is_called_by_the_slug_of_its_name(world: World) -> None:
    made = await done(world, "POST", "", {"data_plan_name": "Mobile  Data-Plan!"})
    assert made["data_plan_id"] == "mobile_data_plan_"
    [version] = made["data_plan_versions"]
    assert (version["version"], version["activated_environment"]) == (1, "none")
    assert version["version_document"] == {"data_points": []}
    assert (version["quarantine_feed_id"], version["data_plan_id"]) == (None, "mobile_data_plan_")
    assert made["created_on"] == "2026-01-01T00:00:00.000Z"
    assert made["created_by"] == version["created_by"] == "client_id:planner"
    assert made["last_modified_on"] is None
    [listed] = await done(world, "GET")
    assert "version_document" not in listed["data_plan_versions"][0]
    assert await done(world, "GET", "/mobile_data_plan_/") == made


async def test_case_19_what_cannot_be_compiled_is_refused_with_its_place(world: World) -> None:
    await done(world, "POST", "", web_plan())
    status, error = await refusal(world, "POST", "", web_plan())
    assert (status, error["message"]) == (400, "Data plan ID web_plan already exists.")
    assert (error["statusCode"], error["code"]) == (400, "BAD_REQUEST")
    for schema, keyword in (({"anyOf": [{}]}, "anyOf"), ({"pattern": "(?=a)b"}, "pattern")):
        body = web_plan(version_document={"data_points": [point(custom_match("E"), schema)]})
        body["data_plan_name"] = "Other"
        status, error = await refusal(world, "POST", "", body)
        assert status == 400
        assert (error["keyword"], error["match_key"]) == (keyword, "custom_event:other:E")
        assert error["error_type"] == "invalid_value"
        assert error["schema_pointer"] == f"#/data_points/0/validator/definition/{keyword}"


async def test_case_20_documents_have_an_end(world: World) -> None:
    points = [point(custom_match(str(number)), {}) for number in range(1001)]
    body = web_plan(version_document={"data_points": points})
    status, error = await refusal(world, "POST", "", body)
    message = "Data plan exceeds maximum of 1000 with 1001 data points."
    assert (status, error["message"]) == (400, message)
    headers = {**await world.token("planner"), "Content-Type": "application/json"}
    large = BytesIO(b" " * (10 * 1024 * 1024 + 1))
    url = "/platform/v2/workspaces/1/plans"
    response = await world.client.post(url, data=large, headers=headers)
    [error] = (await response.json())["errors"]
    assert (response.status, error["message"]) == (413, "Request too large.")
    quota = web_plan(activated_environment="development")
    quota["data_plan_versions"][0]["version_document"]["data_points"] += [
        {**point(custom_match("long"), {}), "description": "x" * 20_000}
    ]
    status, error = await refusal(world, "POST", "", quota)
    assert (status, error["message"]) == (400, "Data plan memory quota exceeded.")


async def test_case_21_what_is_in_production_is_locked(world: World) -> None:
    await done(world, "POST", "", web_plan(activated_environment="production"))
    last = "Unable to delete plan version - plans must contain at least one plan version."
    assert (await refusal(world, "DELETE", "/web_plan/versions/1"))[1]["message"] == last
    await done(world, "POST", "/web_plan/versions", {})
    status, error = await refusal(world, "DELETE", "/web_plan/versions/1")
    assert status == 400
    assert "this version is active in prod" in error["message"]
    status, error = await refusal(world, "DELETE", "/web_plan")
    assert (status, "active in prod" in error["message"]) == (400, True)
    change = {"version_document": {"data_points": [HOME]}}
    status, error = await refusal(world, "PATCH", "/web_plan/versions/1", change)
    message = "Version 1 of plan ID web_plan is active in prod and cannot be changed."
    assert (status, error["message"]) == (400, message)
    change["activated_environment"] = "development"  # type: ignore[assignment]
    changed = await done(world, "PATCH", "/web_plan/versions/1", change)
    assert changed["version_document"] == {"data_points": [HOME]}
    await done(world, "DELETE", "/web_plan/versions/1")
    assert (await ask(world, "DELETE", "/web_plan"))[0] == 204


async def test_case_22_what_there_is_not_is_named(world: World) -> None:
    await done(world, "POST", "", {"data_plan_name": "Plan 1"})
    for number in ("10", "x"):
        status, error = await refusal(world, "GET", f"/plan_1/versions/{number}")
        message = f"The specified version {number} in plan ID plan_1 was not found in workspace 1."
        assert (status, error["message"]) == (404, message)
    status, error = await refusal(world, "PATCH", "/nope", {})
    message = "The specified plan ID nope in workspace 1 was not found."
    assert (status, error["message"]) == (404, message)


async def test_case_23_a_batch_is_tried_without_being_sent(world: World) -> None:
    status, error = await refusal(world, "POST", "/validate", {})
    assert (status, error["message"]) == (400, "A required value was missing.")
    batch = {"events": [quote({"premium": 1, "coupon": "X"}, event_id=7)]}
    found = await done(world, "POST", "/validate", {"document": document(), "batch": batch})
    assert found["batch"] == batch
    assert found["results"] == [
        {
            "event_type": "validation_result",
            "data": {
                "match": custom_match("Quote Requested"),
                "validated_event_id": "7",
                "validation_errors": [
                    {
                        "validation_error_type": "unplanned",
                        "key": "coupon",
                        "error_pointer": "#/data/custom_attributes",
                        "expected": None,
                        "actual": "coupon",
                        "schema_keyword": "additionalProperties",
                        "action_expected": "allow",
                    }
                ],
            },
        }
    ]
    dropping = {"version_document": document(event_attribute="drop_attribute")}
    found = await done(world, "POST", "/validate", {"document": dropping, "batch": batch})
    assert found["batch"]["events"][0]["data"]["custom_attributes"] == {"premium": 1}
    assert world.log() == []
    nested: list[Any] = []
    for _ in range(300):
        nested = [nested]
    for body, message in (
        ({"document": {"x": 1}, "batch": batch}, "Invalid data plan document."),
        ({"document": document(), "batch": {"events": [{}]}}, "Invalid Event Batch."),
        ({"document": document(), "batch": []}, "Invalid Event Batch."),
        ({"document": document(), "batch": {"mpid": 1 << 70}}, "Invalid Event Batch."),
        ({"document": document(), "batch": {"x": nested}}, "Invalid Event Batch."),
    ):
        status, error = await refusal(world, "POST", "/validate", body)
        assert (status, error["message"]) == (400, message)


async def test_case_24_an_old_view_changes_nothing(world: World, clock: ManualClock) -> None:
    await done(world, "POST", "", web_plan())
    path = "/web_plan/versions/1"
    _, _, headers = await ask(world, "GET", path)
    old = {"If-Match": headers["ETag"]}
    clock.advance(1)
    renamed = {"version_description": "second"}
    status, answer, headers = await ask(world, "PATCH", path, renamed, headers=old)
    assert (status, answer["version_description"]) == (200, "second")
    assert answer["last_modified_by"] == "client_id:planner"
    assert headers["ETag"] != old["If-Match"]
    status, answer, _ = await ask(world, "PATCH", path, {"version_description": "x"}, headers=old)
    assert (status, answer["errors"][0]["message"]) == (409, "The resource has changed.")
    assert (await done(world, "GET", path))["version_description"] == "second"


async def test_case_25_a_change_holds_for_the_next_batch(world: World) -> None:
    """Within five seconds on every shard; here as soon as shards have looked."""
    plan = web_plan(
        activated_environment="development",
        version_document=document(event_attribute="drop_attribute"),
    )
    await done(world, "POST", "", plan)
    batch = {
        "mpid": 1 << 40,
        "environment": "development",
        "events": [quote({"premium": 1, "coupon": "X"})],
        "context": {"data_plan": {"plan_id": "web_plan"}},
    }
    await world.accept(batch, "k2")
    planned = point(custom_match("Quote Requested"), with_attributes({"premium": {}, "coupon": {}}))
    await done(
        world, "PATCH", "/web_plan/versions/1", {"version_document": {"data_points": [planned]}}
    )
    await world.accept(batch, "k2")
    found = [each["events"][0]["data"]["custom_attributes"].keys() for each in world.outgoing()]
    assert found == [{"premium"}, {"premium", "coupon"}]


async def test_case_28_what_was_answered_is_there_after_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path, document=EDITABLE) as world:
        await done(world, "POST", "", web_plan())
        await done(world, "PATCH", "/web_plan", {"data_plan_name": "Renamed"})
    async with running(tmp_path, document=EDITABLE) as world:
        [found] = await done(world, "GET")
        assert (found["data_plan_id"], found["data_plan_name"]) == ("web_plan", "Renamed")


async def test_quarantine_is_named_by_the_number_of_an_output(world: World) -> None:
    await done(world, "POST", "", web_plan(activated_environment="development"))
    path = "/web_plan/versions/1"
    for number in (99, "2", True):
        status, error = await refusal(world, "PATCH", path, {"quarantine_feed_id": number})
        assert (status, error["message"]) == (400, "quarantine_feed_id: no output has this id.")
    changed = await done(world, "PATCH", path, {"quarantine_feed_id": 2})
    assert changed["quarantine_feed_id"] == 2
    await done(world, "PATCH", path, {"version_document": document(event="drop_event")})
    context = {"data_plan": {"plan_id": "web_plan"}}
    batch = {"mpid": 1, "environment": "development", "events": [OTHER], "context": context}
    await world.accept(batch)
    await done(world, "POST", "/web_plan/versions", {"version": 5})
    status, error = await refusal(world, "DELETE", path)
    assert (status, "quarantine feed" in error["message"]) == (400, True)
    status, error = await refusal(world, "PATCH", path, {"quarantine_feed_id": None})
    assert (status, "deletes 1 deliveries that wait" in error["message"]) == (400, True)
    detached = await done(world, "PATCH", f"{path}?force=true", {"quarantine_feed_id": None})
    assert detached["quarantine_feed_id"] is None
    await done(world, "DELETE", path)
    assert [each["version"] for each in await versions(world)] == [5]


async def versions(world: World) -> list[Data]:
    """Return the versions of the plan."""
    found: list[Data] = (await done(world, "GET", "/web_plan"))["data_plan_versions"]
    return found


async def test_numbers_of_deleted_versions_are_nobody_elses(world: World) -> None:
    await done(world, "POST", "", web_plan())
    assert (await done(world, "POST", "/web_plan/versions", {}))["version"] == 2
    status, error = await refusal(world, "POST", "/web_plan/versions", {"version": 2})
    message = "Version 2 already exists in plan ID web_plan."
    assert (status, error["message"]) == (400, message)
    await done(world, "DELETE", "/web_plan/versions/2")
    assert (await done(world, "POST", "/web_plan/versions", {}))["version"] == 3


async def test_clients_send_whole_plans_back(world: World) -> None:
    made = await done(world, "POST", "", web_plan())
    made["data_plan_name"] = "Renamed"
    renamed = await done(world, "PATCH", "/web_plan", made)
    assert (renamed["data_plan_id"], renamed["data_plan_name"]) == ("web_plan", "Renamed")
    version = copy.deepcopy(renamed["data_plan_versions"][0])
    assert await done(world, "PATCH", "/web_plan/versions/1", version) == version
    status, _ = await refusal(world, "PATCH", "/web_plan", {"data_plan_id": "other"})
    assert status == 400
    status, _ = await refusal(world, "PATCH", "/web_plan/versions/1", {"version": 2})
    assert status == 400


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data_plan_name": " "},
        {"data_plan_name": "x" * 256},
        {"data_plan_name": 5},
        {"data_plan_name": "x", "data_plan_id": "No Slug"},
        {"data_plan_name": "x", "data_plan_versions": {}},
        {"data_plan_name": "x", "data_plan_versions": [{"version": 0}]},
        {"data_plan_name": "x", "data_plan_versions": [{"version": 1}, {"version": 1}]},
        {"data_plan_name": "x", "data_plan_versions": [{"activated_environment": "prod"}]},
        {"data_plan_name": "x", "data_plan_versions": [{"version_document": []}]},
        {"data_plan_name": "x", "data_plan_description": 1},
    ],
)
async def test_bodies_that_are_wrong_are_refused(body: Data, world: World) -> None:
    status, error = await refusal(world, "POST", "", body)
    assert status == 400
    assert error["message"]
    assert await done(world, "GET") == []


async def test_what_is_no_json_is_said_to_be_none(world: World) -> None:
    headers = {**await world.token("planner"), "Content-Type": "application/json"}
    url = "/platform/v2/workspaces/1/plans"
    response = await world.client.post(url, data=b"{", headers=headers)
    assert (response.status, (await response.json())["errors"][0]["message"]) == (
        400,
        "Invalid JSON.",
    )


async def test_who_may_only_look_changes_nothing(world: World) -> None:
    await done(world, "POST", "", web_plan())
    for method, path, body in (
        ("POST", "", web_plan()),
        ("PATCH", "/web_plan", {}),
        ("DELETE", "/web_plan", None),
    ):
        status, answer, _ = await ask(world, method, path, body, client="reader")
        assert (status, answer["errors"][0]["message"]) == (403, "Forbidden")
    status, _, headers = await ask(world, "GET", client="reader")
    assert (status, headers["X-mp-rate-limit-percentage-used"]) == (200, "0")
    status, _, _ = await ask(world, "GET", client="ops")
    assert status == 403
    url = "/platform/v2/workspaces/1/plans"
    response = await world.client.get(url)
    assert (response.status, (await response.json())["errors"][0]["message"]) == (
        401,
        "Unauthorized",
    )


@pytest.mark.parametrize(
    ("level", "key", "most"), [("account", "planning:1", 3000), ("org", "planning", 6000)]
)
async def test_requests_of_a_minute_are_bounded(
    world: World, clock: ManualClock, level: Level, key: str, most: int
) -> None:
    """spec/data-plans.md, 5.1: all methods together, of one account and of all."""
    edge = world.edge.app[EDGES].first
    others = Limit(level, key, 0, most, window_ms=60_000)
    edge.limiter.admit([others], most - 2, edge.ticks_ms())
    await done(world, "POST", "", web_plan())
    await done(world, "DELETE", "/web_plan")
    clock.advance(59_001)
    for method, path in (("GET", ""), ("POST", ""), ("PATCH", "/p"), ("DELETE", "/p")):
        status, answer, headers = await ask(world, method, path, {})
        assert status == 429, answer
        told = (headers["Retry-After"], headers["X-mp-rate-limit-exceeded"])
        assert told == ("1", level)
        assert "X-mp-rate-limit-percentage-used" not in headers
    clock.advance(999)
    assert await done(world, "GET") == []


async def test_plans_of_a_file_are_changed_in_the_file(tmp_path: Path) -> None:
    versions = [{"version": 1, "document": document()}]
    plans = [{"id": "web_plan", "name": "Web plan", "versions": versions}]
    async with running(tmp_path, document=changed(EDITABLE, data_plans=plans)) as world:
        status, error = await refusal(world, "PATCH", "/web_plan", {"data_plan_name": "x"})
        assert (status, error["message"]) == (409, "Managed by configuration file.")
        await done(world, "POST", "", {"data_plan_name": "Another"})
        assert len(await done(world, "GET")) == 2


async def test_a_version_that_comes_second_gets_the_next_number(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two at once: it is tried again, and does not ask for what it nearly had."""
    await done(world, "POST", "", web_plan())
    edit = world.configuration.edit

    async def overtaken(*arguments: Any) -> Any:
        monkeypatch.setattr(world.configuration, "edit", edit)
        assert (await done(world, "POST", "/web_plan/versions", {}))["version"] == 2
        return await edit(*arguments)

    monkeypatch.setattr(world.configuration, "edit", overtaken)
    assert (await done(world, "POST", "/web_plan/versions", {}))["version"] == 3


async def test_a_version_is_not_made_of_a_catalog_that_is_not_there(world: World) -> None:
    await done(world, "POST", "", web_plan())
    status, error = await refusal(world, "POST", "/web_plan/versions?from=catalog", {})
    assert (status, error["code"]) == (400, "BAD_REQUEST")
    assert len((await done(world, "GET", "/web_plan"))["data_plan_versions"]) == 1


async def test_a_plan_of_nearly_a_megabyte_can_be_repeated(world: World) -> None:
    """Whether a request has a key changes nothing of how long it may be."""
    plan = web_plan() | {"data_plan_description": "x" * 900_000}
    key = {"Idempotency-Key": "k1"}
    answers = [await ask(world, "POST", "", plan, headers=key) for _ in range(2)]
    assert [status for status, _, _ in answers] == [200, 200]
    assert answers[0][1] == answers[1][1]
