"""Predictions whose scores are posted, over HTTP with real shards (spec/predictions.md)."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from actors.clock import ManualClock
from actors.predictions import desk
from actors.predictions.objects import OWNED
from tests.whole.cases import dropped
from tests.whole.test_audiences import (
    AUDIENCE_DOCUMENT,
    DAY_MS,
    advance,
    ask,
    changes,
    connected,
    members,
    send,
    status_is,
)
from tests.whole.test_calculated import definition
from tests.whole.world import World, running

GOAL = {"type": "event", "event_type": "custom_event", "event_name": "Bought"}
LIKELY = {"name": "Likely to buy", "scorer": "external", "goal": GOAL}
NAMES = ("likely_to_buy_score", "likely_to_buy_percentile")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(tmp_path, document=AUDIENCE_DOCUMENT) as opened:
        yield opened


async def call(world: World, status: int, method: str, path: str = "", body: Any = None) -> Any:
    """Send a request about predictions."""
    return await ask(world, status, method, f"/../predictions{path}", body)


async def people(world: World, *names: str) -> list[int]:
    """Let users come; return their MPIDs."""
    for name in names:
        await send(world, name, status="known")
    return [await world.mpid(name) for name in names]


async def settle(world: World) -> None:
    """Let some seconds pass, and everybody have what is due."""
    advance(world, 2_000)
    await world.audiences.call("settle_predictions")
    await world.settle_audiences()


async def post(world: World, number: int, scores: dict[int, float]) -> Any:
    """Post scores and have them applied."""
    rows = [{"mpid": mpid, "score": score} for mpid, score in scores.items()]
    answer = await call(world, 202, "POST", f"/{number}/scores", {"rows": rows})
    await settle(world)
    return answer


async def values(world: World, name: str) -> tuple[str | None, str | None]:
    attributes = await world.attributes(name)
    return attributes.get(NAMES[0]), attributes.get(NAMES[1])


async def test_ten_thousand_scores_are_posted_at_once(world: World) -> None:
    """Of MPIDs as long as they come, as texts, indented; one more row is refused."""
    number = (await call(world, 201, "POST", body=LIKELY))["id"]
    rows = [{"mpid": str(each - 2**63), "score": 0.12345678901234567} for each in range(10_001)]
    url = f"/platform/v2/workspaces/{world.number}/predictions/{number}/scores"
    headers = {**await world.token(), "Content-Type": "application/json"}
    for sent, status in ((rows[1:], 202), (rows, 400)):
        text = json.dumps({"rows": sent}, indent=2)
        response = await world.client.post(url, data=text, headers=headers)
        assert response.status == status
    key = {"Idempotency-Key": "k1"}
    text = json.dumps({"rows": rows[1:]}, indent=2)
    response = await world.client.post(url, data=text, headers=headers | key)
    assert await response.json() == {"received": 10_000, "unknown": 10_000}


def scored(number: int, value: float, output: str = "score", **more: Any) -> dict[str, Any]:
    """Make a criterion on a prediction."""
    return {
        "type": "prediction",
        "prediction_id": number,
        "output": output,
        "value_type": "number",
        "operator": "greater_or_equal",
        "value": value,
        **more,
    }


async def test_33_scores_become_attributes_with_percentiles(world: World) -> None:
    one, two, three = await people(world, "one", "two", "three")
    made = await call(world, 201, "POST", body=LIKELY)
    assert (made["status"], made["slug"], made["horizon_days"]) == (
        "calculating",
        "likely_to_buy",
        14,
    )
    number = made["id"]
    answer = await post(world, number, {one: 0.9, two: 0.1, three: 0.1, 42: 0.5})
    assert answer == {"received": 4, "unknown": 1}
    assert await values(world, "one") == ("0.9", "0.6666")
    assert await values(world, "two") == ("0.1", "0")
    assert await values(world, "three") == ("0.1", "0")
    await post(world, number, {two: 0.5})
    assert await values(world, "two") == ("0.5", "0.3333")
    assert await values(world, "three") == ("0.1", "0")
    assert await values(world, "one") == ("0.9", "0.6666")
    shown = await call(world, 200, "GET", f"/{number}")
    assert (shown["status"], shown["scored_users"]) == ("active", 3)
    user = await call(world, 200, "GET", f"/{number}/users/{two}")
    assert (user["score"], user["percentile"]) == (0.5, 0.3333)
    await call(world, 404, "GET", f"/{number}/users/42")


async def test_15_an_audience_on_a_prediction_has_whom_size_at_counts(world: World) -> None:
    mpids = await people(world, *(f"u{number}" for number in range(10)))
    await people(world, "unscored")
    number = (await call(world, 201, "POST", body=LIKELY))["id"]
    audience, subscription = await connected(world, "Likely", scored(number, 0.9, "percentile"))
    everybody, _ = await connected(world, "Any", scored(number, 0))
    nobody, _ = await connected(world, "None", {"not": scored(number, 0)})
    assert await members(world, everybody) == []
    shown = await ask(world, 200, "GET", f"/{audience}")
    assert shown["pending_prediction"] is True
    assert await ask(world, 200, "PUT", f"/{audience}", shown | {"tags": ["likely"]})
    await post(world, number, {mpid: place / 10 for place, mpid in enumerate(mpids)})
    assert await members(world, audience) == [mpids[9]]
    assert "pending_prediction" not in await ask(world, 200, "GET", f"/{audience}")
    assert changes(world, subscription) == [("add", mpids[9])]
    assert sorted(await members(world, everybody)) == sorted(mpids)
    assert await members(world, nobody) == [await world.mpid("unscored")]
    path = f"/{number}/distribution/size-at?output=score&operator=greater_or_equal&value=0.7"
    assert await call(world, 200, "GET", path) == {"users": 3}
    bins = await call(world, 200, "GET", f"/{number}/distribution")
    assert (sum(bins["score"]), bins["percentile"][90]) == (10, 1)


async def test_16_a_small_change_is_written_where_an_audience_sees_it(world: World) -> None:
    one, two = await people(world, "one", "two")
    number = (await call(world, 201, "POST", body=LIKELY))["id"]
    audience, _ = await connected(world, "Likely", scored(number, 0.9))
    by_name = {
        "type": "user_attribute",
        "attribute_name": NAMES[0],
        "value_type": "number",
        "operator": "less_than",
        "value": 0.3,
    }
    low, _ = await connected(world, "Low", by_name)
    await post(world, number, {one: 0.899, two: 0.5})
    assert await members(world, audience) == []
    await post(world, number, {one: 0.901, two: 0.502})
    assert await members(world, audience) == [one]
    assert await values(world, "two") == ("0.5", "0")
    await post(world, number, {two: 0.301})
    await post(world, number, {two: 0.299})
    assert await members(world, low) == [two]


async def test_16_a_new_audience_sees_what_was_too_small_to_be_written(world: World) -> None:
    """As `size-at` counts, however its threshold came about."""
    one, _ = await people(world, "one", "two")
    number = (await call(world, 201, "POST", body=LIKELY))["id"]
    await post(world, number, {one: 0.499})
    await post(world, number, {one: 0.501})
    assert await values(world, "one") == ("0.499", "0")
    audience, _ = await connected(world, "Likely", scored(number, 0.5))
    await settle(world)
    path = f"/{number}/distribution/size-at?output=score&operator=greater_or_equal&value=0.5"
    assert await call(world, 200, "GET", path) == {"users": 1}
    assert await members(world, audience) == [one]
    await post(world, number, {one: 0.502})
    body = {"name": "Likely", "definition": {"version": 1, "criteria": scored(number, 0.5015)}}
    await ask(world, 200, "PUT", f"/{audience}", body)
    await settle(world)
    assert await members(world, audience) == [one]
    assert await values(world, "one") == ("0.502", "0")


async def test_17_who_opts_out_or_is_away_for_too_long_loses_both_values(world: World) -> None:
    one, two = await people(world, "one", "two")
    number = (await call(world, 201, "POST", body=LIKELY | {"active_within_days": 5}))["id"]
    _, subscription = await connected(world, "Any", scored(number, 0))
    await post(world, number, {one: 0.9, two: 0.8})
    assert sorted(changes(world, subscription)) == sorted([("add", one), ("add", two)])
    advance(world, 3 * DAY_MS)
    await send(world, "two", status="back")
    advance(world, 3 * DAY_MS)
    await settle(world)
    assert await values(world, "one") == (None, None)
    assert await values(world, "two") == ("0.8", "0")
    assert changes(world, subscription)[2:] == [("delete", one)]
    await call(world, 404, "GET", f"/{number}/users/{one}")
    opt_out = {"event_type": "opt_out", "data": {"is_opted_out": True}}
    await send(world, "two", opt_out)
    advance(world, DAY_MS)
    await settle(world)
    assert await values(world, "two") == (None, None)


async def test_18_nobody_else_writes_what_a_prediction_owns(world: World) -> None:
    [one] = await people(world, "one")
    number = (await call(world, 201, "POST", body=LIKELY))["id"]
    await post(world, number, {one: 0.25})
    await send(world, "one", likely_to_buy_score=1, status="other")
    assert await values(world, "one") == ("0.25", "0")
    assert (await world.attributes("one"))["status"] == "other"
    assert dropped(world, OWNED) == 1


async def test_19_a_prediction_that_is_used_is_deleted_only_by_force(world: World) -> None:
    [one] = await people(world, "one")
    number = (await call(world, 201, "POST", body=LIKELY))["id"]
    audience, subscription = await connected(world, "Any", scored(number, 0))
    await post(world, number, {one: 0.5})
    body = await call(world, 422, "DELETE", f"/{number}")
    used = [{"type": "audience", "id": audience}]
    assert (body["errors"][0]["code"], body["errors"][0]["used_by"]) == ("IN_USE", used)
    assert (await call(world, 200, "GET", f"/{number}"))["used_by"] == used
    await call(world, 204, "DELETE", f"/{number}?force=true")
    await settle(world)
    assert await values(world, "one") == (None, None)
    assert changes(world, subscription) == [("add", one), ("delete", one)]
    await call(world, 404, "GET", f"/{number}")
    assert await call(world, 200, "GET") == []
    await send(world, "one", likely_to_buy_score="mine")
    assert await values(world, "one") == ("mine", None)
    assert (await call(world, 201, "POST", body=LIKELY))["id"] == number + 1


async def test_20_without_scores_for_three_days_it_is_inactive(world: World) -> None:
    [one] = await people(world, "one")
    number = (await call(world, 201, "POST", body=LIKELY))["id"]
    audience, _ = await connected(world, "Any", scored(number, 0))
    await post(world, number, {one: 0.5})
    advance(world, 4 * DAY_MS)
    assert (await call(world, 200, "GET", f"/{number}"))["status"] == "inactive"
    body = {"name": "New", "definition": scored(number, 0)}
    refused = await ask(world, 422, "POST", "", body)
    assert refused["errors"][0]["code"] == "REFERENCE_NOT_FOUND"
    assert await members(world, audience) == [one]
    await post(world, number, {one: 0.6})
    assert (await call(world, 200, "GET", f"/{number}"))["status"] == "active"
    await ask(world, 201, "POST", "", body)


async def test_deactivated_it_takes_nothing_and_users_keep_what_they_have(world: World) -> None:
    [one] = await people(world, "one")
    number = (await call(world, 201, "POST", body=LIKELY))["id"]
    await post(world, number, {one: 0.5})
    shown = await call(world, 200, "POST", f"/{number}/deactivate")
    assert shown["status"] == "inactive"
    rows = {"rows": [{"mpid": one, "score": 0.7}]}
    refused = await call(world, 422, "POST", f"/{number}/scores", rows)
    assert refused["errors"][0]["code"] == "INVALID_STATE"
    assert await values(world, "one") == ("0.5", "0")
    assert (await call(world, 200, "POST", f"/{number}/activate"))["status"] == "active"
    await post(world, number, {one: 0.7})
    assert await values(world, "one") == ("0.7", "0")


async def test_one_that_is_activated_again_counts_to_the_limit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "MAX_ACTIVE", 1)
    number = (await call(world, 201, "POST", body=LIKELY))["id"]
    await call(world, 200, "POST", f"/{number}/activate")  # it is one of them
    await call(world, 200, "POST", f"/{number}/deactivate")
    await call(world, 201, "POST", body=LIKELY | {"name": "Other"})
    refused = await call(world, 422, "POST", f"/{number}/activate")
    assert refused["errors"][0]["code"] == "LIMIT_EXCEEDED"
    assert (await call(world, 200, "GET", f"/{number}"))["status"] == "inactive"


async def test_no_calculated_attribute_is_called_as_one_of_a_prediction(world: World) -> None:
    """Neither one that is made nor one that was a draft before."""
    body = {"name": NAMES[1], "draft_definition": definition("count")}
    drafted = await ask(world, 201, "POST", "/../calculatedattributes", body)
    await call(world, 201, "POST", body=LIKELY)
    refused = await ask(world, 400, "POST", f"/../calculatedattributes/{drafted}/activation")
    assert refused["errors"][0]["message"] == "Field 'name' must be unique."
    body |= {"name": NAMES[0]}
    refused = await ask(world, 400, "POST", "/../calculatedattributes", body)
    assert refused["errors"][0]["message"] == "Field 'name' must be unique."


async def test_a_prediction_of_all_users_says_so_or_does_not(world: World) -> None:
    """spec/audiences.md, 9: `population` and `exclude` may be null."""
    everybody = {"population": None, "exclude": None}
    for name, said in (("One", {}), ("Two", everybody)):
        made = await call(world, 201, "POST", body=LIKELY | {"name": name} | said)
        assert {each: made[each] for each in everybody} == everybody
        assert (await call(world, 200, "PATCH", f"/{made['id']}", made))["name"] == name


async def test_31_what_is_wrong_is_refused_with_its_path(world: World) -> None:
    bodies = (
        (LIKELY | {"horizon_days": 0}, "/horizon_days"),
        (LIKELY | {"horizon_days": 91}, "/horizon_days"),
        (LIKELY | {"goal": GOAL | {"recency": {"type": "all"}}}, "/goal/recency"),
        (LIKELY | {"goal": {"or": [GOAL, GOAL | {"recency": {}}]}}, "/goal/or/1/recency"),
        (LIKELY | {"goal": GOAL | {"within": {"value": 1, "unit": "days"}}}, "/goal/recency"),
        (LIKELY | {"goal": status_is("gold")}, "/goal"),
        (LIKELY | {"goal": {"type": "event"}}, "/goal/event_type"),
        (LIKELY | {"scorer": "builtin"}, "/scorer"),
        ({"name": "A", "goal": GOAL}, "/scorer"),
        ({"name": "A", "scorer": "external"}, "/goal"),
        (LIKELY | {"features": {}}, "/features"),
        (LIKELY | {"population": status_is("gold")}, "/population"),
        (LIKELY | {"exclude": status_is("gold")}, "/exclude"),
        (LIKELY | {"name": "!"}, "/name"),
    )
    for body, path in bodies:
        refused = await call(world, 400, "POST", body=body)
        assert refused["errors"][0]["path"] == path, body
        is_unknown = path.endswith("/recency") and "recency" in str(body)
        assert (refused["errors"][0]["code"] == "UNKNOWN_FIELD") is is_unknown, body
    refused = await call(world, 400, "POST", body=LIKELY | {"type": "uplift"})
    [error] = refused["errors"]
    assert (error["code"], error["path"]) == ("MISSING_FIELD", "/treatment")
    treated = LIKELY | {"type": "uplift", "treatment": {"audience_id": 1, "test_id": 1}}
    refused = await call(world, 400, "POST", body=treated)
    assert refused["errors"][0]["path"] == "/type"  # nothing is trained here
    either = LIKELY | {"goal": {"or": [GOAL, GOAL | {"event_name": "Ordered"}], "absent": True}}
    made = await call(world, 201, "POST", body=either)
    assert made["goal"]["absent"] is True
    refused = await call(world, 422, "POST", body=LIKELY | {"name": "likely TO buy"})
    assert refused["errors"][0]["code"] == "NAME_NOT_UNIQUE"
    path = f"/{made['id']}/scores"
    rows: Any
    for rows, at in (
        ([{"mpid": 1, "score": 1.2}], "/rows/0/score"),
        ([{"mpid": 1, "score": 0.1}, {"mpid": 1, "score": "0.2"}], "/rows/1/score"),
        ([{"mpid": 1, "score": True}], "/rows/0/score"),
        ([{"mpid": "x", "score": 1}], "/rows/0/mpid"),
        ([{"mpid": 1}], "/rows/0"),
        ("all", "/rows"),
    ):
        refused = await call(world, 400, "POST", path, {"rows": rows})
        assert refused["errors"][0]["path"] == at
    await call(world, 404, "POST", "/99/scores", {"rows": []})
    refused = await ask(world, 422, "POST", "", {"name": "N", "definition": scored(99, 0)})
    assert refused["errors"][0]["code"] == "REFERENCE_NOT_FOUND"


@pytest.mark.parametrize("shards", [1, 3])
async def test_a_restart_before_or_after_scores_are_applied_changes_nothing(
    tmp_path: Path, shards: int
) -> None:
    """Posted scores are on disk; who has values has both (worked case 21)."""
    clock = ManualClock()
    async with running(tmp_path, document=AUDIENCE_DOCUMENT, clock=clock, shards=shards) as world:
        one, two = await people(world, "one", "two")
        number = (await call(world, 201, "POST", body=LIKELY))["id"]
        audience, _ = await connected(world, "Likely", scored(number, 0.5))
        rows = [{"mpid": one, "score": 0.9}, {"mpid": two, "score": 0.1}]
        await call(world, 202, "POST", f"/{number}/scores", {"rows": rows})
    async with running(tmp_path, document=AUDIENCE_DOCUMENT, clock=clock, shards=shards) as world:
        assert await values(world, "one") == (None, None)
        await settle(world)
        assert await values(world, "one") == ("0.9", "0.5")
    async with running(tmp_path, document=AUDIENCE_DOCUMENT, clock=clock, shards=shards) as world:
        assert await members(world, audience) == [one]
        assert await values(world, "two") == ("0.1", "0")
        user = await call(world, 200, "GET", f"/{number}/users/{one}")
        assert cast(float, user["percentile"]) == 0.5


async def test_what_is_done_to_predictions_is_in_the_audit_log(world: World) -> None:
    """spec/platform-api.md, worked case 32; of scores only how many."""
    number = (await call(world, 201, "POST", "", LIKELY))["id"]
    await call(world, 200, "PATCH", f"/{number}", {"description": "Soon"})
    await call(world, 202, "POST", f"/{number}/scores", {"rows": [{"mpid": 7, "score": 0.5}]})
    await call(world, 200, "POST", f"/{number}/deactivate")
    await call(world, 204, "DELETE", f"/{number}")
    response = await world.get("/platform/v2/accounts/1/audit-logs")
    items = (await response.json())["items"]
    found = [
        (each["action"], each["resource_type"], each["resource_id"])
        for each in reversed(items)
        if each["resource_type"].startswith("prediction")
    ]
    assert found == [
        ("create", "prediction", str(number)),
        ("update", "prediction", str(number)),
        ("update", "prediction_scores", str(number)),
        ("deactivate", "prediction", str(number)),
        ("delete", "prediction", str(number)),
    ]
    [scores] = [each for each in items if each["resource_type"] == "prediction_scores"]
    assert scores["after"] == {"received": 1}


async def test_a_score_is_for_who_may_see_people_and_each_look_is_in_the_audit_log(
    world: World,
) -> None:
    """spec/predictions.md, 10; spec/privacy.md, 10.2."""
    [one] = await people(world, "one")
    number = (await call(world, 201, "POST", "", LIKELY))["id"]
    await post(world, number, {one: 0.5})
    path = f"/platform/v2/workspaces/1/predictions/{number}"
    viewer = await world.token("viewer")
    assert (await world.client.get(path, headers=viewer)).status == 200
    assert (await world.client.get(f"{path}/users/{one}", headers=viewer)).status == 403
    await call(world, 200, "GET", f"/{number}/users/{one}")
    response = await world.get("/platform/v2/accounts/1/audit-logs")
    items = (await response.json())["items"]
    read = [each["resource_id"] for each in items if each["action"] == "read"]
    assert read.count(str(one)) == 1
