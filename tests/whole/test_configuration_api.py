"""The configuration through the Platform API (spec/platform-api.md, 15)."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from msgspec.structs import replace
from ruamel.yaml import YAML
from yarl import URL

from actors.clock import ManualClock
from actors.model.deliveries import Settlement
from tests.whole.test_audiences import pinged
from tests.whole.test_calculated import activate as calculate
from tests.whole.test_calculated import definition
from tests.whole.world import DOCUMENT, World, changed, running

BATCH = {
    "user_identities": {"customer_id": "ann"},
    "events": [{"event_type": "custom_event", "data": {"event_name": "Opened"}}],
}
INACTIVE = "/output-connections?status=inactive"
EDITABLE = changed(
    DOCUMENT,
    workspace={"config": {"allow_api_edits": True}},
    outputs=[
        {
            **DOCUMENT["outputs"][0],
            "settings": {
                "url": "https://hook.example.com/in",
                "headers": {"X-Token": "very-secret-token"},
            },
        }
    ],
)


@pytest.fixture
async def world(tmp_path: Path, clock: ManualClock) -> AsyncIterator[World]:
    async with running(tmp_path, document=EDITABLE, clock=clock) as only:
        yield only


async def ask(
    world: World,
    method: str,
    path: str,
    body: Any = None,
    client: str = "ops",
    headers: dict[str, str] | None = None,
) -> tuple[int, Any]:
    """Ask below the workspace, and let everybody hear of it."""
    response = await raw(world, method, path, body, client, headers)
    text = await response.text()
    await world.follow()
    return response.status, json.loads(text) if text else None


async def raw(
    world: World,
    method: str,
    path: str,
    body: Any = None,
    client: str = "ops",
    headers: dict[str, str] | None = None,
) -> ClientResponse:
    sent = dict(headers or {})
    if "Authorization" not in sent:
        sent |= await world.token(client)
    where = f"/platform/v2/workspaces/1{path}"
    if isinstance(body, str):
        sent["Content-Type"] = "text/yaml"
        return await world.client.request(method, where, data=body, headers=sent)
    return await world.client.request(method, where, json=body, headers=sent)


def message(answer: Any) -> str:
    [error] = answer["errors"]
    return str(error["message"])


async def sent(world: World, pair: str) -> int:
    world.secrets["sent"] = pair
    return (await world.send(BATCH, "sent")).status


async def depth(world: World, number: int) -> int:
    return sum(shard.outbox.queue(number)["depth"] for shard in world.shards)


# -- Inputs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["overrides", "default"])
async def test_case_37_an_event_that_is_read_keeps_its_tier(world: World, place: str) -> None:
    """Worked case 37 of audiences.md, and 30 of rules.md: by audience and by attribute."""
    audience = {"name": "Pinged", "definition": pinged()}
    headers = await world.token()
    url = f"/platform/v2/workspaces/{world.number}"
    made = await (
        await world.client.post(f"{url}/audiences", json=audience, headers=headers)
    ).json()
    activation = f"{url}/audiences/{made['id']}/activation"
    assert (await world.client.post(activation, headers=headers)).status == 204
    await calculate(world, "Buys", definition("count"))
    data = YAML(typ="safe").load(await (await raw(world, "GET", "/config")).text())
    overrides = [{"event": name, "tier": "preserve"} for name in ("Ping", "Buy", "Else")]
    tiers = {"overrides": overrides} if place == "overrides" else {"default": "connect"}
    data["workspace"]["event_tiers"] = tiers
    status, answer = await ask(world, "PUT", "/config", json.dumps(data))
    assert (status, [each["code"] for each in answer["errors"]]) == (
        422,
        ["TIER_NOT_PERSONALIZE"] * 2,
    )
    assert answer["errors"][0]["path"] == "workspace.event_tiers"
    assert "'Buy'" in answer["errors"][0]["message"]
    status, _ = await ask(world, "PUT", "/config?dry_run=true", json.dumps(data))
    assert status == 422
    assert (await world.client.delete(activation, headers=headers)).status == 204
    data["workspace"]["event_tiers"] = {"overrides": overrides[:1]}
    status, _ = await ask(world, "PUT", "/config", json.dumps(data))
    assert status == 200


async def test_a_document_takes_no_attribute_from_an_audience_that_was_made_through_the_api(
    world: World,
) -> None:
    """spec/calculated-attributes.md, 5: it is neither deleted nor deactivated while it is used."""
    data = YAML(typ="safe").load(await (await raw(world, "GET", "/config")).text())
    buys = {"id": "buys", "name": "Buys", "definition": definition("count")}
    criterion = {
        "type": "calculated_attribute",
        "attribute_name": "Buys",
        "value_type": "number",
        "operator": "greater_than",
        "value": 0,
    }
    filed = {"id": "often", "name": "Often", "definition": criterion}
    with_both = data | {"calculated_attributes": [buys], "audiences": [filed]}
    switched_off = data | {"calculated_attributes": [buys | {"active": False}]}
    assert (await ask(world, "PUT", "/config", json.dumps(with_both)))[0] == 200
    headers = await world.token()
    url = f"/platform/v2/workspaces/{world.number}/audiences"
    made = await (
        await world.client.post(
            url, json={"name": "Gold", "definition": criterion}, headers=headers
        )
    ).json()
    for document, path in (
        (data, "calculated_attributes/buys"),
        (switched_off, "calculated_attributes[0].active"),
    ):
        for query in ("?prune=true&dry_run=true", "?prune=true"):
            status, answer = await ask(world, "PUT", "/config" + query, json.dumps(document))
            [error] = answer["errors"]
            assert (status, error["code"], error["path"]) == (422, "IN_USE", path)
            assert error["message"] == f"used by audience {made['id']}"
    removed = await world.client.delete(f"{url}/{made['id']}", headers=headers)
    assert removed.status == 204
    status, _ = await ask(world, "PUT", "/config?prune=true", json.dumps(data))
    assert status == 200, "the audience of the document goes with it"


async def test_an_attribute_that_the_api_has_taken_over_hinders_no_edit(world: World) -> None:
    """What a document said of it before does not hold any more."""
    data = YAML(typ="safe").load(await (await raw(world, "GET", "/config")).text())
    buys = {"id": "buys", "name": "Buys", "active": False, "definition": definition("count")}
    text = json.dumps(data | {"calculated_attributes": [buys]})
    assert (await ask(world, "PUT", "/config", text))[0] == 200
    assert (await ask(world, "PUT", "/config", json.dumps(data)))[0] == 200
    headers = await world.token()
    url = f"/platform/v2/workspaces/{world.number}"
    listed = await world.client.get(f"{url}/calculatedattributes", headers=headers)
    [attribute] = await listed.json()
    activation = f"{url}/calculatedattributes/{attribute['id']}/activation"
    assert (await world.client.post(activation, headers=headers)).ok
    criterion = {
        "type": "calculated_attribute",
        "attribute_name": "Buys",
        "value_type": "number",
        "operator": "greater_than",
        "value": 0,
    }
    gold = {"name": "Gold", "definition": criterion}
    assert (await world.client.post(f"{url}/audiences", json=gold, headers=headers)).status == 201
    assert (await ask(world, "PUT", "", {"name": "Renamed"}))[0] == 200
    assert (await ask(world, "PUT", "/config", json.dumps(data)))[0] == 200


async def test_a_document_takes_no_name_of_an_audience_that_was_made_through_the_api(
    world: World,
) -> None:
    """spec/audiences.md, 2: names are unique in the account."""
    headers = await world.token()
    url = f"/platform/v2/workspaces/{world.number}/audiences"
    made = await (await world.client.post(url, json={"name": "Gold"}, headers=headers)).json()
    data = YAML(typ="safe").load(await (await raw(world, "GET", "/config")).text())
    data["audiences"] = [{"id": "gold", "name": "GOLD", "type": "static"}]
    status, answer = await ask(world, "PUT", "/config", json.dumps(data))
    assert (status, answer["errors"][0]["path"]) == (422, "audiences[0].name")
    assert message(answer) == f"already used by audience {made['id']}"
    removed = await world.client.delete(f"{url}/{made['id']}", headers=headers)
    assert removed.status == 204
    status, _ = await ask(world, "PUT", "/config", json.dumps(data))
    assert status == 200
    taken = await world.client.post(url, json={"name": "gold"}, headers=headers)
    assert (await taken.json())["errors"][0]["code"] == "NAME_NOT_UNIQUE"


async def test_keys_are_shown_once_rotated_and_revoked(world: World) -> None:
    """spec/connections.md, 1.1."""
    status, pair = await ask(world, "POST", "/inputs/backend/keys")
    assert status == 201
    assert len(pair["secret"]) == 64
    assert pair["key"].startswith("us1-")
    assert await sent(world, f"{pair['key']}:{pair['secret']}") == 202
    assert await sent(world, "k1-backend:s1") == 202
    _, shown = await ask(world, "GET", "/inputs/1")
    assert [each["secret"] for each in shown["keys"]] == [None, None]
    assert (await ask(world, "DELETE", "/inputs/1/keys/k1-backend"))[0] == 204
    assert await sent(world, "k1-backend:s1") == 403
    assert await sent(world, f"{pair['key']}:{pair['secret']}") == 202
    status, answer = await ask(world, "DELETE", f"/inputs/1/keys/{pair['key']}")
    assert (status, message(answer)) == (422, "It is the last key of an active input.")
    assert (await ask(world, "DELETE", "/inputs/1/keys/nobodys-key"))[0] == 404


async def test_an_input_has_at_most_five_keys(world: World) -> None:
    for _ in range(4):
        assert (await ask(world, "POST", "/inputs/1/keys"))[0] == 201
    status, answer = await ask(world, "POST", "/inputs/1/keys")
    assert status == 422
    assert answer["errors"][0]["code"] == "LIMIT_EXCEEDED"


async def test_inputs_are_made_changed_and_deleted(world: World) -> None:
    body = {"kind": "platform", "os": "android", "name": "Our App"}
    status, made = await ask(world, "POST", "/inputs", body)
    assert status == 201
    assert (made["id"], made["slug"], made["os"]) == (5, "our-app", "android")
    key = made["keys"][0]
    pair = f"{key['key']}:{key['secret']}"
    assert await sent(world, pair) == 202
    status, shown = await ask(world, "PUT", "/inputs/5", {"status": "inactive"})
    assert (status, shown["status"]) == (200, "inactive")
    assert await sent(world, pair) == 403
    assert (await ask(world, "DELETE", f"/inputs/5/keys/{key['key']}"))[0] == 204
    assert (await ask(world, "DELETE", "/inputs/5"))[0] == 204
    assert (await ask(world, "GET", "/inputs/5"))[0] == 404


async def test_what_a_debug_feed_is_sent_is_of_development(world: World) -> None:
    """spec/platform-api.md, worked case 21, of inputs of version 2."""
    body = {"kind": "feed", "name": "CRM", "is_debug": True}
    status, made = await ask(world, "POST", "/inputs", body)
    assert (status, made["is_debug"]) == (201, True)
    _, listed = await ask(world, "GET", "/inputs")
    assert [each["id"] for each in listed if each["name"] == "CRM"] == [made["id"]]
    [key] = made["keys"]
    world.secrets["crm"] = f"{key['key']}:{key['secret']}"
    response = await world.send({**BATCH, "environment": "production"}, "crm")
    assert response.status == 202
    assert [each.batch.environment for each in world.log()] == ["development"]


async def test_an_input_in_use_goes_only_by_force_and_with_its_connections(world: World) -> None:
    status, answer = await ask(world, "DELETE", "/inputs/backend")
    assert (status, message(answer)) == (422, "Connections or audiences use the input.")
    assert (await ask(world, "DELETE", "/inputs/backend?force=true"))[0] == 204
    _, listed = await ask(world, "GET", "/output-connections")
    assert [each["input"] for each in listed] == ["ios", "acme", "web"]


async def test_an_input_goes_with_connections_that_are_not_active(world: World) -> None:
    """Only an active one keeps it (spec/platform-api.md, 15), or what still waits for one."""
    assert await sent(world, "k1-backend:s1") == 202
    assert (await ask(world, "DELETE", "/output-connections/1/activation"))[0] == 204
    status, answer = await ask(world, "DELETE", "/inputs/backend")
    assert (status, message(answer)) == (422, "Something waits for connection 1.")
    assert (await ask(world, "DELETE", "/output-connections/1/queue"))[0] == 204
    assert (await ask(world, "DELETE", "/inputs/backend"))[0] == 204
    _, listed = await ask(world, "GET", "/output-connections")
    assert [each["input"] for each in listed] == ["ios", "acme", "web"]


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        ({"name": "X", "colour": "red"}, 400, "colour"),
        ({"name": "X", "kind": "fed"}, 422, "kind"),
        ({"name": "X", "keys": []}, 400, "keys"),
        ({"name": "backend", "kind": "feed"}, 422, "name"),
    ],
)
async def test_a_wrong_input_is_refused_by_its_own_path(
    world: World, body: Any, status: int, path: str
) -> None:
    """Names are unique whatever their case (spec/connections.md, 1)."""
    found, answer = await ask(world, "POST", "/inputs", body)
    assert (found, answer["errors"][0]["path"]) == (status, path)
    assert (await world.configuration.sheet(1)).served.revision == 1


async def test_an_object_is_its_number_before_it_is_its_id(world: World) -> None:
    """Ids may be all digits; none is made so, and what was made is what is shown."""
    _, made = await ask(world, "POST", "/inputs", {"name": "2"})
    assert (made["id"], made["slug"], made["name"]) == (5, "input-2", "2")
    _, made = await ask(world, "POST", "/inputs", {"id": "7", "name": "Six"})
    assert (made["id"], made["slug"], made["name"]) == (6, "7", "Six")
    assert (await ask(world, "GET", "/inputs/7"))[1]["name"] == "Six"
    _, made = await ask(world, "POST", "/inputs", {"name": "Seven"})
    assert made["id"] == 7
    assert (await ask(world, "GET", "/inputs/7"))[1]["name"] == "Seven"


# -- Outputs ---------------------------------------------------------------------------------------


async def test_secrets_of_outputs_are_masked_and_a_mask_changes_nothing(world: World) -> None:
    """spec/platform-api.md, worked case 10."""
    _, shown = await ask(world, "GET", "/outputs/hook")
    assert shown["settings"]["headers"] == {"X-Token": "***********oken"}
    body = {"name": "Renamed", "settings": shown["settings"]}
    status, shown = await ask(world, "PUT", "/outputs/hook", body)
    assert (status, shown["name"]) == (200, "Renamed")
    sheet = await world.configuration.sheet(1)
    assert sheet.data["outputs"][0]["settings"]["headers"] == {"X-Token": "very-secret-token"}


async def test_a_mask_is_never_taken_for_the_secret_that_it_hides(world: World) -> None:
    """Of a copy, and of a header that is called otherwise, nobody knows which secret is meant."""
    _, shown = await ask(world, "GET", "/outputs/hook")
    copied = {name: shown[name] for name in ("kind", "module", "settings")} | {"name": "Copy"}
    renamed = shown["settings"] | {"headers": {"X-Other": "***********oken"}}
    for method, path, body, header in (
        ("POST", "/outputs", copied, "X-Token"),
        ("PUT", "/outputs/hook", {"settings": renamed}, "X-Other"),
    ):
        status, answer = await ask(world, method, path, body)
        assert (status, message(answer)) == (422, "is a mask; give the secret")
        assert answer["errors"][0]["path"] == f"settings.headers.{header}"
    data = await exported(world)
    data["outputs"][0]["settings"] = renamed
    status, answer = await ask(world, "PUT", "/config?dry_run=true", json.dumps(data))
    assert (status, message(answer)) == (422, "is a mask; give the secret")
    assert answer["errors"][0]["path"] == "outputs[0].settings.headers.X-Other"
    assert (await world.configuration.sheet(1)).served.revision == 1


async def test_a_mask_that_was_stored_once_keeps_nothing_from_being_changed(
    tmp_path: Path, clock: ManualClock
) -> None:
    stored = {"url": "https://hook.example.com/in", "headers": {"X-Token": "***********oken"}}
    document = changed(EDITABLE, outputs=[EDITABLE["outputs"][0] | {"settings": stored}])
    async with running(tmp_path, document=document, clock=clock) as world:
        assert (await ask(world, "PUT", "/outputs/hook", {"name": "Renamed"}))[0] == 200


async def test_lists_come_page_by_page(world: World) -> None:
    """spec/platform-api.md, 1."""
    other = {"module": "devnull", "kind": "event", "name": "Another"}
    _, made = await ask(world, "POST", "/outputs", other)
    joined = {"input_id": 1, "output_id": made["id"]}
    assert (await ask(world, "POST", "/output-connections", joined))[0] == 201
    for path in ("/inputs", "/outputs", "/output-connections"):
        _, whole = await ask(world, "GET", path)
        assert len(whole) > 1
        first = await raw(world, "GET", f"{path}?limit=1")
        assert await first.json() == whole[:1]
        following = URL(first.links["next"]["url"]).relative()
        second = await world.client.get(str(following), headers=await world.token())
        assert await second.json() == whole[1:2]
        assert (await ask(world, "GET", f"{path}?limit=0"))[0] == 400
        assert (await ask(world, "GET", f"{path}?cursor=nobody"))[0] == 400


async def test_a_module_says_what_it_takes_whatever_its_settings(world: World) -> None:
    _, relay = await ask(world, "GET", "/modules/segment_relay")
    assert "custom_event" in relay["supported_event_types"]
    assert "session_start" not in relay["supported_event_types"]
    assert relay["supported_platforms"] is None
    page = await raw(world, "GET", "/modules?limit=1")
    assert [each["module"] for each in await page.json()] == ["audience_csv"]


async def test_an_account_has_a_thousand_requests_a_minute(
    world: World, clock: ManualClock
) -> None:
    """spec/platform-api.md, worked case 26."""
    token = await world.token()
    for number in range(1, 1001):
        response = await raw(world, "GET", "/modules/webhook", headers=token)
        assert response.status == 200
        clock.advance(50)
        if number == 920:
            assert response.headers["X-mp-rate-limit-percentage-used"] == "92"
    refused = await raw(world, "GET", "/modules/webhook")
    assert refused.status == 429
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.headers["X-mp-rate-limit-exceeded"] == "account"
    assert "X-mp-rate-limit-percentage-used" not in refused.headers
    clock.advance(9_999)
    assert (await raw(world, "GET", "/modules/webhook")).status == 429
    clock.advance(1)
    assert (await raw(world, "GET", "/modules/webhook")).status == 200


async def test_files_are_tried_before_their_settings_are_saved(
    world: World, tmp_path: Path
) -> None:
    """spec/connections.md, 7.2."""
    (tmp_path / "taken").write_text("")
    body = {"kind": "event", "module": "file", "name": "Lake"}
    bad, good = ({"url": f"file://{tmp_path}/{name}"} for name in ("taken/lake", "lake"))
    status, answer = await ask(world, "POST", "/outputs", {**body, "settings": bad})
    assert (status, message(answer).partition(":")[0]) == (422, "could not be used")
    status, made = await ask(world, "POST", "/outputs", {**body, "settings": good})
    assert status == 201
    assert not list((tmp_path / "lake").rglob("headwater_verification*"))
    path = f"/outputs/{made['id']}"
    assert (await ask(world, "PUT", path, {"settings": bad}))[0] == 422
    (tmp_path / "lake").rename(tmp_path / "moved")
    (tmp_path / "lake").write_text("")  # what has not changed is not tried again
    assert (await ask(world, "PUT", path, {"name": "Sea"}))[0] == 200
    _, kept = await ask(world, "GET", path)
    assert (kept["name"], kept["settings"]) == ("Sea", good)


async def test_outputs_are_made_of_modules_and_deleted(world: World) -> None:
    _, modules = await ask(world, "GET", "/modules")
    assert {"webhook", "file"} <= {each["module"] for each in modules}
    _, module = await ask(world, "GET", "/modules/webhook")
    assert "url" in module["settings"]["properties"]
    assert (await ask(world, "GET", "/modules/nope"))[0] == 404
    body = {"kind": "event", "module": "webhook", "name": "Second", "settings": {"url": "x"}}
    status, answer = await ask(world, "POST", "/outputs", body)
    assert (status, answer["errors"][0]["path"]) == (422, "settings.url")
    status, answer = await ask(world, "POST", "/outputs", {**body, "module": []})
    assert (status, answer["errors"][0]["path"]) == (422, "module")
    body["settings"] = {"url": "https://second.example.com"}
    status, made = await ask(world, "POST", "/outputs", body)
    assert (status, made["id"], made["slug"]) == (201, 2, "second")
    assert (await ask(world, "DELETE", "/outputs/2"))[0] == 204
    status, answer = await ask(world, "DELETE", "/outputs/hook")
    assert (status, message(answer)) == (422, "Connections use the output.")


async def test_an_output_is_tried_on_its_receiver(world: World) -> None:
    """Addresses of private networks are not reached, here either (spec/connections.md, 3.8)."""
    settings = {"url": "http://127.0.0.1:9/in", "allow_insecure": True}
    body = {"kind": "event", "module": "webhook", "name": "Local", "settings": settings}
    assert (await ask(world, "POST", "/outputs", body))[0] == 201
    status, result = await ask(world, "POST", "/outputs/local/test")
    assert status == 200
    assert (result["ok"], result["http_status"]) == (False, None)
    assert result["error"]
    assert (await ask(world, "POST", "/outputs/local/test", client="viewer"))[0] == 403


# -- Connections -----------------------------------------------------------------------------------


async def test_a_connection_is_made_switched_off_and_on(world: World) -> None:
    """spec/connections.md, 1.3: from the next batch on, on every shard."""
    await ask(world, "DELETE", "/output-connections/backend-hook")
    status, made = await ask(world, "POST", "/output-connections", {"input_id": 1, "output_id": 1})
    assert status == 201, made
    assert (made["input"], made["output"], made["status"]) == ("backend", "hook", "active")
    number = made["id"]
    await world.accept(BATCH)
    assert await depth(world, number) == 1
    assert (await ask(world, "DELETE", f"/output-connections/{number}/activation"))[0] == 204
    await world.accept(BATCH)
    assert await depth(world, number) == 1
    _, shown = await ask(world, "GET", f"/output-connections/{number}")
    assert (shown["status"], shown["is_active"]) == ("inactive", False)
    assert [each["id"] for each in (await ask(world, "GET", INACTIVE))[1]] == [number]
    assert (await ask(world, "POST", f"/output-connections/{number}/activation"))[0] == 204
    await world.accept(BATCH)
    _, queue = await ask(world, "GET", f"/output-connections/{number}/queue")
    assert queue == {
        "depth": 2,
        "bytes": queue["bytes"],
        "oldest_age_s": 0.0,
        "in_flight": None,  # nobody forwards here
        "blocked_users": None,
        "next_attempt_on": "2026-01-01T00:00:00.000Z",
    }
    assert world.forwarders.reread_outputs == []
    assert (await ask(world, "DELETE", f"/output-connections/{number}/queue"))[0] == 204
    assert await depth(world, number) == 0
    assert world.forwarders.reread_outputs == ["hook"]  # it sends nothing more of it


async def test_a_connection_that_was_never_active_is_a_draft(world: World) -> None:
    """spec/connections.md, 1.3."""
    await ask(world, "DELETE", "/output-connections/backend-hook")
    body = {"input_id": 1, "output_id": 1, "is_active": False}
    status, made = await ask(world, "POST", "/output-connections", body)
    assert (status, made["status"]) == (201, "draft")
    where = f"/output-connections/{made['id']}"
    await world.accept(BATCH)
    assert await depth(world, made["id"]) == 0
    _, changed_ = await ask(world, "PUT", where, {"min_app_version": "2"})
    assert changed_["status"] == "draft"
    for method, status_then in (("POST", "active"), ("DELETE", "inactive")):
        await ask(world, method, f"{where}/activation")
        assert (await ask(world, "GET", where))[1]["status"] == status_then


async def test_a_queue_tells_how_old_it_is_and_when_it_is_tried_again(
    world: World, clock: ManualClock
) -> None:
    """spec/platform-api.md, 15."""
    where = "/output-connections/1/queue"
    _, empty = await ask(world, "GET", where)
    assert (empty["oldest_age_s"], empty["next_attempt_on"]) == (None, None)
    await world.accept(BATCH)
    clock.advance(90_000)
    [shard] = [each for each in world.shards if each.outbox.queue(1)["depth"]]
    [delivery] = shard.outbox.read_outbox(1, 0, 10, 10_000)
    next_ms = clock.now_ms() + 30_000
    shard.outbox.settle(
        Settlement(connection=1, delayed=[replace(delivery, attempts=1, next_attempt_ms=next_ms)])
    )
    _, queue = await ask(world, "GET", where)
    assert (queue["depth"], queue["oldest_age_s"]) == (1, 90.0)
    assert queue["next_attempt_on"] == "2026-01-01T00:02:00.000Z"
    await ask(world, "DELETE", "/output-connections/1/activation")
    assert (await ask(world, "GET", where))[1]["next_attempt_on"] is None


async def test_a_pair_is_joined_once(world: World) -> None:
    """spec/connections.md, 1."""
    body = {"input_id": "backend", "output_id": "hook"}
    status, answer = await ask(world, "POST", "/output-connections", body)
    assert (status, answer["errors"][0]["message"]) == (422, "Connection already exists.")


async def test_settings_that_contradict_each_other_are_not_saved(world: World) -> None:
    """spec/connections.md, worked case 33."""
    body = {"settings": {"send_as_batch": True, "wait_for_complete_batch": True}}
    status, answer = await ask(world, "PUT", "/output-connections/1", body)
    assert status == 422
    assert "Send as Batch and Wait for Complete Batch cannot both be enabled." in message(answer)
    assert (await world.configuration.sheet(1)).served.revision == 1


async def test_what_waits_is_deleted_only_by_force(world: World) -> None:
    """spec/connections.md, 3.7."""
    await world.accept(BATCH)
    status, answer = await ask(world, "DELETE", "/output-connections/1")
    assert status == 422
    assert "deletes 1 deliveries that wait" in message(answer)
    assert (await ask(world, "DELETE", "/output-connections/1?force=true"))[0] == 204
    world.sweep()
    assert await depth(world, 1) == 0


async def test_connections_are_listed_by_input_output_and_status(world: World) -> None:
    await ask(world, "DELETE", "/output-connections/web-hook/activation")
    for query, expected in (
        ("", ["backend", "ios", "acme", "web"]),
        ("?input=ios", ["ios"]),
        ("?input=2", ["ios"]),
        ("?output=hook&status=inactive", ["web"]),
        ("?output=9", []),
    ):
        status, listed = await ask(world, "GET", f"/output-connections{query}")
        assert (status, [each["input"] for each in listed]) == (200, expected)
    assert (await ask(world, "GET", "/output-connections?status=odd"))[0] == 400


async def test_two_edits_of_one_version_do_not_both_succeed(world: World) -> None:
    """spec/platform-api.md, worked case 28."""
    response = await raw(world, "GET", "/output-connections/1")
    tag = {"If-Match": response.headers["ETag"]}
    body = {"settings": {"send_as_batch": False}}
    first, second = [
        (await ask(world, "PUT", "/output-connections/1", body, headers=tag))[0] for _ in range(2)
    ]
    assert (first, second) == (200, 412)


async def test_a_post_that_is_repeated_makes_one_object(world: World) -> None:
    """spec/platform-api.md, worked case 30."""
    body = {"kind": "event", "module": "webhook", "name": "N", "settings": {"url": "https://x.io"}}
    key = {"Idempotency-Key": "k1"}
    answers = [await ask(world, "POST", "/outputs", body, headers=key) for _ in range(2)]
    assert answers[0] == answers[1]
    assert len((await ask(world, "GET", "/outputs"))[1]) == 2
    other = {**body, "name": "M"}
    assert (await ask(world, "POST", "/outputs", other, headers=key))[0] == 409


async def test_only_a_faulted_connection_is_resumed(world: World) -> None:
    status, answer = await ask(world, "POST", "/output-connections/1/resume")
    assert (status, message(answer)) == (422, "The connection is not faulted.")
    world.forwarders.faulted.add(1)
    assert (await ask(world, "POST", "/output-connections/1/resume"))[0] == 204


# -- Roles, and files ------------------------------------------------------------------------------


async def test_who_may_only_read_changes_nothing(world: World) -> None:
    for method, path, body in (
        ("POST", "/inputs/1/keys", None),
        ("PUT", "/outputs/1", {"name": "X"}),
        ("DELETE", "/output-connections/1", None),
        ("PUT", "/config", "version: 1"),
        ("POST", "/config/revisions/1/rollback", None),
    ):
        assert (await ask(world, method, path, body, "viewer"))[0] == 403
    assert (await ask(world, "GET", "/outputs", client="viewer"))[0] == 200


async def test_what_a_file_owns_is_read_only(tmp_path: Path) -> None:
    """spec/connections.md, 10. What is made beside it is not."""
    async with running(tmp_path) as world:
        for method, path, body in (
            ("POST", "/inputs/1/keys", None),
            ("PUT", "/outputs/1", {"name": "X"}),
            ("DELETE", "/output-connections/1/activation", None),
            ("DELETE", "/inputs/1", None),
        ):
            status, answer = await ask(world, method, path, body)
            assert (status, message(answer)) == (409, "Managed by configuration file.")
        body = {"kind": "feed", "name": "New"}
        _, made = await ask(world, "POST", "/inputs", body)
        assert (await ask(world, "POST", f"/inputs/{made['id']}/keys"))[0] == 201


# -- The whole configuration -----------------------------------------------------------------------


async def exported(world: World) -> Any:
    response = await raw(world, "GET", "/config")
    assert response.content_type == "text/yaml"
    return YAML(typ="safe", pure=True).load(await response.text())


async def test_an_export_has_no_secret_and_is_applied_as_it_is(world: World) -> None:
    text = await (await raw(world, "GET", "/config")).text()
    for secret in ("very-secret-token", "ops-secret", "s1"):
        assert f" {secret}\n" not in text
    assert "${env:OUTPUT_HOOK_HEADERS_X_TOKEN}" in text
    status, answer = await ask(world, "PUT", "/config", text)
    assert (status, answer) == (200, {"revision": 1, "changes": []})
    assert await sent(world, "k1-backend:s1") == 202


async def test_placeholders_that_stand_for_no_kept_secret_are_refused(world: World) -> None:
    """They would show what the server's environment holds."""
    data = await exported(world)
    data["workspace"]["name"] = "${env:HOME}"
    status, answer = await ask(world, "PUT", "/config", json.dumps(data))
    assert (status, answer["errors"][0]["path"]) == (422, "workspace.name")


async def test_a_document_is_planned_applied_and_rolled_back(world: World) -> None:
    """spec/connections.md, worked case 40."""
    data = await exported(world)
    data["connections"] = [each for each in data["connections"] if each["id"] != "web-hook"]
    text = json.dumps(data)
    _, plan = await ask(world, "PUT", "/config?dry_run=true", text)
    assert plan["changes"] == []
    _, plan = await ask(world, "PUT", "/config?dry_run=true&prune=true", text)
    assert [each["line"] for each in plan["changes"]] == ["- connection web-hook"]
    assert len((await ask(world, "GET", "/output-connections"))[1]) == 4
    status, done = await ask(world, "PUT", "/config?prune=true", text)
    assert (status, done["revision"]) == (200, 2)
    assert len((await ask(world, "GET", "/output-connections"))[1]) == 3
    assert (await ask(world, "POST", "/config/revisions/1/rollback"))[1]["revision"] == 3
    assert len((await ask(world, "GET", "/output-connections"))[1]) == 4
    _, revisions = await ask(world, "GET", "/config/revisions")
    assert [(each["revision"], each["origin"]) for each in revisions] == [
        (3, "rollback"),
        (2, "file"),
        (1, "file"),
    ]
    assert revisions[1]["changes"] == ["- connection web-hook"]
    for unknown in ("9", "0", "-1", "9223372036854775807"):
        assert (await ask(world, "GET", f"/config/revisions/{unknown}"))[0] == 404
        assert (await ask(world, "POST", f"/config/revisions/{unknown}/rollback"))[0] == 404


async def test_a_document_is_not_laid_over_what_its_editor_has_not_seen(world: World) -> None:
    """spec/platform-api.md, 1: v2 `If-Match`, of applying, planning and rolling back."""
    response = await raw(world, "GET", "/config")
    text, tag = await response.text(), {"If-Match": response.headers["ETag"]}
    applied = await raw(world, "PUT", "/config", text.replace("W1", "W2"), headers=tag)
    assert (applied.status, applied.headers["ETag"]) == (200, '"2"')
    for method, path, body in (
        ("PUT", "/config", text),
        ("PUT", "/config?dry_run=true", text),
        ("POST", "/config/revisions/1/rollback", None),
    ):
        assert (await ask(world, method, path, body, headers=tag))[0] == 412
    assert (await world.configuration.sheet(1)).served.revision == 2
    seen = {"If-Match": applied.headers["ETag"]}
    undone = await raw(world, "POST", "/config/revisions/1/rollback", headers=seen)
    assert (undone.status, undone.headers["ETag"]) == (200, '"3"')


async def test_a_document_that_is_wrong_changes_nothing(world: World) -> None:
    """spec/connections.md, worked case 39."""
    data = await exported(world)
    data["workspace"]["name"] = "Renamed"
    data["connections"][2]["output"] = "bsu"
    status, answer = await ask(world, "PUT", "/config", json.dumps(data))
    assert status == 422
    assert answer["errors"] == [
        {
            "code": "VALIDATION_ERROR",
            "message": "no output with id 'bsu'",
            "path": "connections[2].output",
        }
    ]
    assert (await world.configuration.sheet(1)).document.workspace.name == "W1"


async def test_a_key_is_taken_away_only_if_that_is_allowed(world: World) -> None:
    data = await exported(world)
    data["inputs"][0]["keys"][0] = {"key": "another-key", "secret": "s"}
    status, answer = await ask(world, "PUT", "/config", json.dumps(data))
    assert status == 422
    assert "takes away key k1-backend" in message(answer)
    status, _ = await ask(world, "PUT", "/config?allow_dangerous=true", json.dumps(data))
    assert status == 200
    assert await sent(world, "k1-backend:s1") == 403


@pytest.mark.parametrize(
    "text",
    ["[1]", "a: [", "a: &a [*a]", "{a: 1}", "workspace: {id: 5}", "version: 1\nversion: 2"],
)
async def test_what_is_no_document_is_refused(world: World, text: str) -> None:
    assert (await ask(world, "PUT", "/config", text))[0] == 422


async def test_a_short_text_that_is_a_huge_document_is_refused(world: World) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    status, answer = await ask(world, "PUT", "/config", "\n".join(lines))
    assert (status, message(answer)) == (422, "is too large")


async def test_the_wrong_type_of_body_is_refused(world: World) -> None:
    """spec/platform-api.md, worked case 25."""
    assert (await ask(world, "PUT", "/config", {"version": 1}))[0] == 415
    assert (await ask(world, "POST", "/inputs", "name: X"))[0] == 415


async def test_a_credential_that_is_switched_off_loses_its_tokens(world: World) -> None:
    """spec/platform-api.md, worked case 29: when edges have heard of it."""
    token = await world.token("viewer")
    where = "/platform/v2/workspaces/1/outputs"
    assert (await world.client.get(where, headers=token)).status == 200
    data = await exported(world)
    data["api_credentials"][1]["status"] = "inactive"
    assert (await ask(world, "PUT", "/config", json.dumps(data)))[0] == 200
    assert (await world.client.get(where, headers=token)).status == 401


# -- The workspace itself --------------------------------------------------------------------------


async def test_a_workspace_is_shown_and_changed(world: World) -> None:
    """spec/platform-api.md, 5: a purpose once added cannot be removed."""
    _, shown = await ask(world, "GET", "")
    assert (shown["id"], shown["name"], shown["regulations"]["ccpa"]) == (
        1,
        "W1",
        {"enabled": True},
    )
    purposes = ["newsletter", "ads", "analytics"]
    body = {"name": "Renamed", "regulations": {"gdpr": {"enabled": True, "purposes": purposes}}}
    status, shown = await ask(world, "PUT", "", body)
    assert (status, shown["name"]) == (200, "Renamed")
    body["regulations"] = {"gdpr": {"enabled": True, "purposes": ["ads"]}}
    status, answer = await ask(world, "PUT", "", body)
    assert (status, message(answer)) == (422, "Purposes cannot be removed.")
    assert answer["errors"][0]["path"] == "regulations.gdpr.purposes"
    status, back = await ask(world, "POST", "/config/revisions/1/rollback")
    assert (status, back["revision"]) == (200, 3)
    _, shown = await ask(world, "GET", "")
    assert shown["name"] == "W1"
    assert sorted(shown["regulations"]["gdpr"]["purposes"]) == sorted(purposes)
    assert (await ask(world, "PUT", "", {"id": "other"}))[0] == 422
    assert (await ask(world, "PUT", "", {"colour": "red"}))[0] == 400
    assert (await ask(world, "PUT", "", {"retention": {"events_days": 1}}))[0] == 422


async def test_what_a_body_leaves_out_of_a_workspace_stays(world: World) -> None:
    """One regulation says nothing of the other, nor one term of retention of the others."""
    _, before = await ask(world, "GET", "")
    assert before["regulations"]["ccpa"] == {"enabled": True}
    purposes = [*before["regulations"]["gdpr"]["purposes"], "metrics"]
    body = {"regulations": {"gdpr": {"purposes": purposes}}, "retention": {"events_days": 900}}
    assert (await ask(world, "PUT", "", body))[0] == 200
    body = {"regulations": {"ccpa": {"enabled": False}}, "retention": {"profile_idle_days": 60}}
    status, shown = await ask(world, "PUT", "", body)
    assert status == 200
    assert shown["regulations"] == {
        "gdpr": {"enabled": True, "purposes": purposes},
        "ccpa": {"enabled": False},
    }
    kept = before["retention"] | {"events_days": 900, "profile_idle_days": 60}
    assert shown["retention"] == kept


async def test_a_workspace_is_not_changed_over_the_head_of_another_editor(world: World) -> None:
    """spec/platform-api.md, 1: v2 `If-Match`."""
    tag = {"If-Match": (await raw(world, "GET", "")).headers["ETag"]}
    assert (await ask(world, "POST", "/inputs", {"name": "Another"}))[0] == 201
    changed_to = await raw(world, "PUT", "", {"name": "Mine"}, headers=tag)
    assert changed_to.status == 200
    assert (await ask(world, "PUT", "", {"name": "Yours"}, headers=tag))[0] == 412
    shown = await raw(world, "GET", "")
    assert (await shown.json())["name"] == "Mine"
    assert shown.headers["ETag"] == changed_to.headers["ETag"] != tag["If-Match"]
