"""What a connection would get, and what it does get (spec/connections.md, 2)."""

import json
from collections.abc import AsyncIterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from actors.model.micro_batches import Rejected
from actors.preview import ShardPreviews
from tests.whole.world import DOCUMENT, World, changed, running

PATH = "/platform/v2/workspaces/1/output-connections/backend-hook/preview"
ANN = {"customer_id": "ann"}

HOOK = DOCUMENT["outputs"][0] | {
    "settings": {
        "url": "https://hook.example.com/in",
        "authorization_header": "Bearer s3cret",
        "headers": {"X-Team": "t0p"},
    },
    "filters": {"user_attributes": {"disabled": ["phone"]}},
}
CONNECTION = {
    "id": "backend-hook",
    "input": "backend",
    "output": "hook",
    "settings": {"send_as_batch": True, "batch": {"max_wait_s": 0}},
    "forwarding_rules": [{"kind": "id_sync"}],
    "filters": {"events": {"disabled": [{"event_type": "other", "name": "Ping"}]}},
}
FEED = {"id": "feed-hook", "input": "calculated_attributes", "output": "hook"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    document = changed(DOCUMENT, outputs=[HOOK], connections=[CONNECTION, FEED])
    async with running(tmp_path, document=document) as made:
        yield made


def custom(name: str, **more: Any) -> dict[str, Any]:
    return {"event_type": "custom_event", "data": {"event_name": name, **more}}


def batch(*events: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"user_identities": ANN, "environment": "production", "events": list(events), **more}


async def preview(world: World, body: Any, path: str = PATH) -> dict[str, Any]:
    response = await world.client.post(path, json=body, headers=await world.token())
    assert response.status == 200, await response.text()
    found: dict[str, Any] = await response.json()
    return found


async def test_case_45_the_preview_of_a_filtered_batch_tells_why(world: World) -> None:
    assert await preview(world, batch(custom("Ping"))) == {
        "payloads": [],
        "dropped": [{"event_index": 0, "reason": "filtered", "step": 8}],
    }


async def test_a_preview_replaces_half_a_surrogate_pair_as_what_is_sent_does(world: World) -> None:
    body = json.dumps(batch(custom("cut"), mpid=None)).replace("cut", r"cut \ud83d")
    headers = {"Content-Type": "application/json"} | await world.token()
    response = await world.client.post(PATH, data=body.encode(), headers=headers)
    assert response.status == 200, await response.text()
    [payload] = (await response.json())["payloads"]
    assert payload["body"]["events"][0]["data"]["event_name"] == "cut \ufffd"


async def test_a_preview_is_what_is_then_sent(world: World) -> None:
    await world.accept(batch(custom("Open"), user_attributes={"plan": "pro", "phone": "1"}))
    [before] = world.outgoing()
    body = batch(custom("Buy", custom_attributes={"a": "1"}), custom("Ping"), mpid=None)
    body["user_attributes"] = {"city": "Ghent"}
    found = await preview(world, body)
    await world.accept(body)
    _, after = world.outgoing()
    [payload] = found["payloads"]
    shown = payload["body"]
    assert shown["mpid"] == before["mpid"] == after["mpid"]
    assert shown["user_attributes"] == {"plan": "pro", "city": "Ghent"}
    for each in (shown, after):  # what only a batch that is taken in has
        del each["batch_id"], each["events"][0]["data"]["event_id"]
        del each["events"][0]["data"]["message_id"]
    assert shown == after
    assert found["dropped"] == [{"event_index": 1, "reason": "filtered", "step": 8}]


async def test_headers_are_shown_without_their_secrets(world: World) -> None:
    [payload] = (await preview(world, batch(custom("Open"))))["payloads"]
    assert payload["headers"] == {
        "Content-Type": "application/json",
        "User-Agent": "Headwater",
        "Accept-Encoding": "identity",
        "Authorization": "***********",
        "X-Team": "***********",
    }
    assert payload["delivery_id"].startswith("dl_")


async def test_a_preview_changes_nothing(world: World) -> None:
    body = batch(custom("Open"), custom("Ping"), user_attributes={"plan": "pro"})
    body["source_request_id"] = "r-1"
    for _ in range(2):
        assert len((await preview(world, body))["payloads"]) == 1
    assert await world.find("ann") == []
    assert (world.log(), world.outgoing()) == ([], [])
    dropped = {"connection": "backend-hook", "reason": "filtered"}
    assert world.count("headwater_forwarder_drops_total", **dropped) == 0
    await world.accept(body)
    assert len(world.outgoing()) == 1
    await preview(world, batch(custom("Open"), user_attributes={"plan": "free"}))
    assert await world.attributes("ann") == {"plan": "pro"}


async def test_a_known_user_is_found_by_mpid_and_by_identity(world: World) -> None:
    await world.accept(batch(custom("Open"), user_attributes={"plan": "pro"}))
    mpid = await world.mpid("ann")
    for who in ({"user_identities": ANN}, {"mpid": mpid, "user_identities": {}}):
        [payload] = (await preview(world, batch(custom("Open")) | who))["payloads"]
        assert payload["body"]["mpid"] == mpid
        assert payload["body"]["user_attributes"] == {"plan": "pro"}


async def test_a_batch_of_nobody_has_no_login_id(world: World) -> None:
    found = await preview(world, batch(custom("Open"), user_identities={}))
    assert found == {
        "payloads": [],
        "dropped": [{"event_index": None, "reason": "forwarding_rule:id_sync", "step": 6}],
    }


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'{"events": 7}', 400),
        (b'{"events": [{"event_type": "custom_event", "data": {}}]}', 400),
    ],
)
async def test_what_is_no_batch_is_refused(world: World, body: bytes, status: int) -> None:
    headers = {**await world.token(), "Content-Type": "application/json"}
    response = await world.client.post(PATH, data=body, headers=headers)
    assert response.status == status
    assert (await response.json())["errors"][0]["code"] == "BAD_REQUEST"


async def test_a_number_that_none_can_hold_is_refused_where_the_shard_is_asked(
    world: World,
) -> None:
    """It is in what nothing is known of: where a sender's batch is taken in it is not read."""
    raw = b'{"events":[{"event_type":"custom_event","data":{"event_name":"A"}," ":1e99999999999}]}'
    [shard, *_] = world.shards
    [connection, *_] = chain.from_iterable(shard.pipelines.values())
    subject = ShardPreviews(shard, world.clock).preview_subject(connection.connection.number, raw)
    assert isinstance(subject, Rejected)
    assert "number" in subject.problems[0].message


@pytest.mark.parametrize(
    ("more", "paths"),
    [
        pytest.param({"user_identity": ANN, "evnets": []}, ["user_identity", "evnets"], id="batch"),
        pytest.param(
            {"events": [custom("Open"), custom("Buy") | {"name": "Buy"}]},
            ["events[1].name"],
            id="event",
        ),
    ],
)
async def test_what_a_batch_does_not_have_is_refused_with_its_path(
    world: World, more: dict[str, Any], paths: list[str]
) -> None:
    """As in every body of version 2 (spec/platform-api.md, 1), though no sender is refused it."""
    body = batch(custom("Open")) | more
    response = await world.client.post(PATH, json=body, headers=await world.token())
    assert response.status == 400
    errors = (await response.json())["errors"]
    assert [each["path"] for each in errors] == paths
    assert {(each["code"], each["message"]) for each in errors} == {("BAD_REQUEST", "unknown key")}
    await world.accept(body)


async def test_a_preview_takes_all_that_a_batch_may_have(world: World) -> None:
    """Also what the server makes itself, as in a batch that was forwarded, and `data` as it is."""
    ignored = {"schema_version": 2, "source_info": {}, "api_key": "k", "system_notifications": []}
    [payload] = (await preview(world, batch(custom("Open", mood="good"), **ignored)))["payloads"]
    assert payload["body"]["events"][0]["data"]["event_name"] == "Open"


async def test_who_may_not_or_asks_for_something_else_is_refused(world: World) -> None:
    async def status(path: str, client: str = "ops", **more: Any) -> int:
        headers = {**await world.token(client), **more.pop("headers", {})}
        response = await world.client.post(path, headers=headers, **more)
        return response.status

    body = batch(custom("Open"))
    assert await status(PATH, "viewer", json=body) == 403
    assert await status(PATH.replace("backend-hook", "other"), json=body) == 404
    assert await status(PATH.replace("workspaces/1", "workspaces/2"), json=body) == 404
    assert await status(PATH, data=b"{}", headers={"Content-Type": "text/plain"}) == 415
    assert await status(PATH.replace("backend-hook", "feed-hook"), json=body) == 400
    assert (await world.client.post(PATH, json=body)).status == 401


async def test_a_duplicate_is_a_drop_of_the_connections_that_would_have_got_it(
    world: World,
) -> None:
    """spec/connections.md, 2, step 2, and worked case 15."""
    for _ in range(2):
        await world.accept(batch(custom("Open"), custom("Open"), source_request_id="r1"))
    labels = {"connection": "backend-hook", "reason": "duplicate"}
    assert world.count("headwater_forwarder_drops_total", **labels) == 2
    other = {"connection": "feed-hook", "reason": "duplicate"}
    assert world.count("headwater_forwarder_drops_total", **other) == 0
    assert len(world.outgoing()) == 1


async def test_drops_are_counted_by_connection_and_reason(world: World) -> None:
    async def count(reason: str) -> float:
        labels = {"connection": "backend-hook", "reason": reason}
        return world.count("headwater_forwarder_drops_total", **labels)

    await world.accept(batch(custom("Open"), custom("Ping"), custom("Ping")))
    await world.accept(batch(custom("Open"), custom("Ping"), user_identities={}))
    assert await count("filtered") == 2
    assert await count("forwarding_rule:id_sync") == 2
    assert len(world.outgoing()) == 1
