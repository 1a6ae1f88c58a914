"""Data plans over HTTP, with one shard and with three (spec/data-plans.md, spec/connections.md)."""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientResponse

from actors.clock import ManualClock
from actors.forwarding.desk import OutputInfo
from actors.model.deliveries import DeadLetter, Delivery, Settlement
from config.compiled_outputs import output_plans
from tests.actors.plans.plans import IDENTITIES, Data, document, event, quote
from tests.whole.world import DOCUMENT, WEB_KEY, World, changed, running, serving

HELD = {
    "id": "held",
    "kind": "event",
    "module": "webhook",
    "name": "Held",
    "settings": {"url": "https://held.example.com/in"},
    "rate_limit": {"requests_per_second": 5},
}
OUTPUTS = [*DOCUMENT["outputs"], HELD]
CONNECTION = "quarantine:web_plan:1:held"
OTHER = event("custom_event", event_name="Other")
TAG = {"data_plan": {"plan_id": "web_plan"}}


def planned(written: Data, **version: Any) -> Data:
    """Return the world's document with a plan that is active in production."""
    versions = [
        {
            "version": 1,
            "activated_environment": "production",
            "document": written,
            "quarantine_output": "held",
            **version,
        }
    ]
    plans = [{"id": "web_plan", "name": "Web plan", "versions": versions}]
    return changed(DOCUMENT, outputs=OUTPUTS, data_plans=plans)


@pytest.fixture(params=[1, 3], ids=["1 shard", "3 shards"])
async def world(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[World]:
    """A world whose plan drops all that is not planned, but attributes of users."""
    written = document(
        IDENTITIES,
        event="drop_event",
        event_attribute="drop_attribute",
        user_identity="drop_attribute",
    )
    async with running(tmp_path, shards=request.param, document=planned(written)) as world:
        yield world


def waiting(world: World, number: int) -> list[Delivery]:
    """Return what waits for a connection, over all shards."""
    return [
        each for shard in world.shards for each in shard.outbox.read_outbox(number, 0, 99, 1 << 20)
    ]


async def numbers(world: World) -> dict[str, int]:
    """Return the numbers of the connections by their ids."""
    answer = await (await get(world, "/config/ids")).json()
    found: dict[str, int] = answer["connections"]
    return found


async def get(world: World, path: str) -> ClientResponse:
    """Ask the Platform API."""
    return await ask(world, "GET", path)


async def ask(world: World, method: str, path: str, body: Any = None) -> ClientResponse:
    """Ask the Platform API below the workspace."""
    url = f"/platform/v2/workspaces/{world.number}{path}"
    return await world.client.request(method, url, json=body, headers=await world.token())


async def quarantined(world: World) -> list[Data]:
    """Return the quarantine batches that wait."""
    number = (await numbers(world))[CONNECTION]
    return [orjson.loads(each.payload) for each in waiting(world, number)]


async def test_what_is_blocked_goes_to_quarantine_alone(world: World) -> None:
    await world.accept(
        {
            "user_identities": {"email": "ann@example.com", "twitter": "ann"},
            "events": [OTHER, quote({"premium": 1, "coupon": "X"})],
            "context": TAG,
        }
    )
    [sent] = world.outgoing()
    assert [each["data"]["event_name"] for each in sent["events"]] == ["Quote Requested"]
    assert "coupon" not in sent["events"][0]["data"]["custom_attributes"]
    assert [each["identity_type"] for each in sent["user_identities"]] == ["email"]
    assert await world.find("ann") == []
    mpid = await world.mpid("ann@example.com")
    assert sent["mpid"] == mpid
    [held] = await quarantined(world)
    assert held["mpid"] == str(mpid)
    found = held["context"]["data_plan"]["block_metadata"]
    assert len(found["blocked_event_ids"]) == 1
    assert found["blocked_user_identities"] == ["twitter"]
    assert [each["event_attributes"] for each in found["blocked_event_attributes"]] == [
        ["./data/custom_attributes/coupon"]
    ]


async def test_case_13_only_what_is_left_finds_a_profile(world: World) -> None:
    """Twitter alone finds nobody, and makes nobody: the batch is taken as nobody's."""
    for name in map(str, range(8)):
        sent = {
            "user_identities": {"twitter": name},
            "source_request_id": name,
            "events": [quote({"premium": 1})],
            "context": TAG,
        }
        for _ in range(2):  # the second is a repeat, wherever it is looked for
            await world.accept(sent)
        assert await world.find(name) == []
    assert len(world.outgoing()) == 8
    assert {each["mpid"] for each in world.outgoing()} == {None}
    assert len(await quarantined(world)) == 8


async def test_users_of_two_shards_keep_their_order_in_quarantine(world: World) -> None:
    for place in range(3):
        for name in "abc":
            await world.accept(
                {
                    "user_identities": {"email": f"{name}@example.com"},
                    "events": [event("custom_event", event_name=f"Other {place}")],
                    "context": TAG,
                }
            )
    by_user: dict[str, list[str]] = {}
    for held in await quarantined(world):
        name = held["user_identities"]["email"]
        by_user.setdefault(name, []).append(held["events"][0]["data"]["event_name"])
    assert by_user == {f"{name}@example.com": ["Other 0", "Other 1", "Other 2"] for name in "abc"}


async def test_queue_and_dead_letters_of_a_quarantine_have_an_address(world: World) -> None:
    await world.accept({"mpid": 1 << 40, "events": [OTHER], "context": TAG})
    number = (await numbers(world))[CONNECTION]
    [delivery] = waiting(world, number)
    for name in (CONNECTION, str(number)):
        found = await (await get(world, f"/output-connections/{name}/queue")).json()
        assert (found["depth"], found["bytes"] > 0) == (1, True)
    for shard in world.shards:
        if shard.outbox.queue(number)["depth"]:
            letter = DeadLetter(delivery, "retry_exhausted", 1, 1)
            shard.outbox.settle(Settlement(number, dead=[letter]))
    path = f"/output-connections/{CONNECTION}/dlq"
    listed = await (await get(world, path)).json()
    assert [each["delivery_id"] for each in listed["items"]] == [delivery.delivery_id]
    one = await (await get(world, f"{path}/{delivery.delivery_id}")).json()
    assert one["reason"] == "retry_exhausted"
    replayed = await ask(world, "POST", f"{path}/replay", {"all": True})
    assert replayed.status == 202
    [again] = waiting(world, number)
    assert again.delivery_id == delivery.delivery_id
    purged = await ask(world, "DELETE", f"/output-connections/{CONNECTION}/queue")
    assert (purged.status, waiting(world, number)) == (204, [])
    resumed = await ask(world, "POST", f"/output-connections/{CONNECTION}/resume")
    assert resumed.status == 422  # it is not faulted
    assert (await get(world, f"/output-connections/{CONNECTION}")).status == 404
    listed = await (await get(world, "/output-connections")).json()
    assert CONNECTION not in str(listed)


async def test_an_output_has_its_rates_and_retries_for_quarantine(world: World) -> None:
    served = await world.configuration.served(world.number)
    [plan] = [
        each for each in output_plans(served.document, served.numbers) if each.info.id == "held"
    ]
    assert isinstance(plan.info, OutputInfo)
    assert plan.info.rate_limit.requests_per_second == 5
    assert plan.info.ordering == "user"
    assert [(each.id, each.is_active) for each in plan.connections] == [(CONNECTION, True)]


async def test_case_25_a_plan_is_changed_while_it_serves(tmp_path: Path) -> None:
    """And what is deleted with quarantine batches in it has to be allowed."""
    written = document(event="drop_event")
    data = planned(written, activated_environment="development")
    async with running(tmp_path, shards=2, document=data) as world:
        batch = {
            "mpid": 1 << 40,
            "environment": "development",
            "events": [OTHER],
            "context": TAG,
        }
        await world.accept(batch)
        assert len(await quarantined(world)) == 1
        for allowed, status in (("false", 422), ("true", 200)):
            answer = await put(world, changed(DOCUMENT, outputs=OUTPUTS), allowed)
            assert answer.status == status, await answer.text()
            if status == 422:
                [error] = (await answer.json())["errors"]
                assert "deletes 1 deliveries that wait" in error["message"]
        await world.accept(batch)
        assert _names(world.outgoing()) == [["Other"]]  # of the first one nothing was left
        assert (await get(world, f"/output-connections/{CONNECTION}/queue")).status == 404


async def put(world: World, data: Data, allowed: str) -> ClientResponse:
    """Apply a document in place of what holds."""
    url = f"/platform/v2/workspaces/{world.number}/config"
    query = {"prune": "true", "allow_dangerous": allowed}
    headers = {**await world.token(), "Content-Type": "text/yaml"}
    answer = await world.client.put(url, data=json.dumps(data), params=query, headers=headers)
    await world.follow()
    return answer


async def test_a_preview_shows_a_batch_as_it_goes_on(world: World) -> None:
    sent = {
        "mpid": 1 << 40,
        "events": [OTHER, quote({"premium": 1, "coupon": "X"})],
        "context": TAG,
    }
    path = "/output-connections/backend-hook/preview"
    answer = await ask(world, "POST", path, sent)
    [payload] = (await answer.json())["payloads"]
    [shown] = payload["body"]["events"]
    assert shown["data"]["custom_attributes"].keys() == {"premium", "mParticle Source Feed"}
    assert await quarantined(world) == []


async def test_a_preview_shows_a_dropped_batch_as_dropped(tmp_path: Path) -> None:
    sent = {"mpid": 1 << 40, "events": [OTHER, quote({"premium": 1})], "context": TAG}
    path = "/output-connections/backend-hook/preview"
    async with running(tmp_path, document=planned(document(event="drop_batch"))) as world:
        answer = await ask(world, "POST", path, sent)
        assert await answer.json() == {
            "payloads": [],
            "dropped": [{"event_index": None, "reason": "unplanned_batch", "step": 9}],
        }


async def test_a_plan_holds_in_its_workspace_alone(tmp_path: Path) -> None:
    written = document(event="drop_event")
    other: Data = {
        "version": 1,
        "account": DOCUMENT["account"],
        "workspace": {"id": "w2", "name": "W2"},
        "inputs": [
            {
                "id": "backend2",
                "kind": "feed",
                "name": "Backend",
                "keys": [{"key": "k9-backend", "secret": "s9"}],
            }
        ],
        "outputs": [{**HELD, "id": "hook2"}],
        "connections": [{"id": "second", "input": "backend2", "output": "hook2"}],
    }
    async with serving(tmp_path, [planned(written), other]) as [first, second]:
        second.secrets["k9"] = "k9-backend:s9"
        batch = {"mpid": 1 << 40, "events": [OTHER, quote({"premium": 1})], "context": TAG}
        await first.accept(batch)
        await second.accept(batch, "k9")
        assert _names(first.outgoing()) == [["Quote Requested"]]
        assert [_names([each]) for each in second.outgoing()] == [
            [["Other"]],
            [["Quote Requested"]],
        ]
        assert len(await quarantined(first)) == 1


def _names(batches: Sequence[Data]) -> list[list[str]]:
    return [[each["data"]["event_name"] for each in batch["events"]] for batch in batches]


async def told(world: World, **query: str) -> Any:
    """Return what a page's SDK is told of a plan."""
    response = await world.client.get(f"/JS/v2/{WEB_KEY}/config", params=query)
    return (await response.json())["dataPlanResult"]


async def test_sdks_are_told_of_the_plan_that_they_ask_for(tmp_path: Path) -> None:
    """spec/data-plans.md, 8."""
    identities = {
        "match": {"type": "user_identities"},
        "validator": {
            "type": "json_schema",
            "definition": {"properties": {"customer_id": {}}, "required": ["customer_id"]},
        },
    }
    written = document(identities, event="drop_event", user_identity="drop_attribute")
    data = planned(written)
    data["data_plans"][0]["versions"].append(
        {"version": 2, "activated_environment": "development", "document": {}}
    )
    async with running(tmp_path, document=data) as world:
        assert await told(world) is None
        found = await told(world, plan_id="web_plan")
        version = found["dtpn"]["vers"]
        assert (version["version"], version["data_plan_id"]) == (1, "web_plan")
        assert version["last_modified_on"] == "2026-01-01T00:00:00.000Z"
        *points, shown = version["version_document"]["data_points"]
        assert points == written["data_points"][:-1]
        assert shown["validator"]["definition"] == {
            "properties": {"customerid": {}},
            "required": ["customerid"],
        }
        assert found["dtpn"]["blok"] == {"ev": True, "ea": False, "ua": False, "id": True}
        for query, number in (({"env": "1"}, 2), ({"env": "1", "plan_version": "1"}, 1)):
            found = await told(world, plan_id="web_plan", **query)
            assert found["dtpn"]["vers"]["version"] == number
        for query in ({"plan_id": "nope"}, {"plan_id": "web_plan", "plan_version": "2"}):
            assert (await told(world, **query)).keys() == {"error_message"}


async def test_an_app_is_told_of_the_plan_of_its_build(tmp_path: Path) -> None:
    """spec/clients.md, 5.1: the header `x-mp-env`; the answer of one build is not the other's."""
    data = planned(document(event="drop_event"))
    data["data_plans"][0]["versions"].append(
        {"version": 2, "activated_environment": "development", "document": {}}
    )
    data["inputs"] = [
        each | {"key_only_auth": True} if each["id"] == "ios" else each for each in data["inputs"]
    ]
    async with running(tmp_path, document=data) as world:
        path = "/v4/k2-ios-app/config"
        query = {"plan_id": "web_plan"}
        tags = {}
        for build, number in ((None, 1), ("0", 1), ("1", 2), ("2", 1)):
            headers = {} if build is None else {"x-mp-env": build}
            response = await world.client.get(path, params=query, headers=headers)
            assert response.headers["Vary"] == "x-mp-env"
            told_of = (await response.json())["dpr"]
            assert told_of["dtpn"]["vers"]["version"] == number
            env = "1" if build == "1" else "0"
            assert told_of == await told(world, plan_id="web_plan", env=env)
            tags[build] = response.headers["ETag"]
        assert tags["0"] == tags["2"] != tags["1"]
        assert "dpr" not in await (await world.client.get(path)).json()
