"""The audit log (spec/platform-api.md, 17; worked case 32)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from tests.whole.test_calculated import definition
from tests.whole.test_configuration_api import EDITABLE, ask, raw
from tests.whole.world import World, changed, running

DAY_MS = 24 * 3600 * 1000
LOGS = "/platform/v2/accounts/1/audit-logs"
SECRET = "another-secret-token"
CALCULATED = {
    "name": "visits",
    "draft_definition": definition("count"),
}
AUDIENCE = {
    "name": "Gold",
    "definition": {
        "version": 1,
        "criteria": {
            "type": "user_attribute",
            "attribute_name": "plan",
            "value_type": "string",
            "operator": "equals",
            "value": "gold",
        },
    },
}


@pytest.fixture
async def world(tmp_path: Path, clock: ManualClock) -> AsyncIterator[World]:
    async with running(tmp_path, document=EDITABLE, clock=clock) as only:
        yield only


async def page(world: World, client: str = "ops", **query: str) -> dict[str, Any]:
    response = await world.client.get(LOGS, params=query, headers=await world.token(client))
    assert response.status == 200, await response.text()
    found: dict[str, Any] = await response.json()
    return found


async def entries(world: World, **query: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await page(world, **query))["items"]
    return items


async def test_every_write_is_there_with_actor_before_and_after(world: World) -> None:
    """Case 32."""
    status, made = await ask(
        world,
        "POST",
        "/outputs",
        {
            "id": "crm",
            "name": "CRM",
            "kind": "event",
            "module": "webhook",
            "settings": {"url": "https://crm.example.com/in", "signing_secret": f"whsec_{SECRET}"},
        },
    )
    assert status == 422  # no secret of the right form, and so no entry
    assert await entries(world, resource="output", actor="ops") == []
    body = {
        "id": "crm",
        "name": "CRM",
        "kind": "event",
        "module": "webhook",
        "settings": {"url": "https://crm.example.com/in", "headers": {"X-Token": SECRET}},
    }
    status, made = await ask(world, "POST", "/outputs", body)
    assert status == 201
    assert (await ask(world, "PUT", "/outputs/crm", {"name": "The CRM"}))[0] == 200
    assert (await ask(world, "DELETE", "/outputs/crm"))[0] == 204
    deleted, updated, created = await entries(world, resource=f"output/{made['id']}")
    assert (created["action"], created["before"]) == ("create", None)
    assert created["after"]["name"] == updated["before"]["name"] == "CRM"
    assert updated["after"]["name"] == deleted["before"]["name"] == "The CRM"
    assert (deleted["action"], deleted["after"]) == ("delete", None)
    for each in (deleted, updated, created):
        assert each["actor"] == {"type": "credential", "id": "ops"}
        assert each["ip"] == "127.0.0.1"
        assert each["workspace_id"] == 1
    shown = await world.client.get(LOGS, headers=await world.token())
    text = await shown.text()
    assert SECRET not in text
    assert "***********oken" in text


async def test_switching_a_connection_says_so(world: World) -> None:
    await ask(world, "DELETE", "/output-connections/1/activation")
    await ask(world, "POST", "/output-connections/1/activation")
    found = await entries(world, resource="output_connection", actor="ops")
    assert [each["action"] for each in found] == ["activate", "deactivate"]


async def test_what_a_file_brings_is_there_too(world: World) -> None:
    """The first start makes all objects: nobody's request, and no secret is shown."""
    found = await entries(world, actor="config")
    assert {each["actor"]["type"] for each in found} == {"config"}
    assert {each["ip"] for each in found} == {None}
    assert {"input", "output", "output_connection", "credential", "workspace"} <= {
        each["resource_type"] for each in found
    }
    text = str(found)
    assert "very-secret-token" not in text
    assert "ops-secret" not in text


async def test_newest_come_first_and_pages_follow_each_other(world: World) -> None:
    for number in range(5):
        await ask(world, "PUT", "/inputs/1", {"name": f"Input {number}"})
    whole = await entries(world, resource="input/1", actor="ops")
    assert [each["after"]["name"] for each in whole] == [f"Input {n}" for n in (4, 3, 2, 1, 0)]
    found: list[dict[str, Any]] = []
    query = {"resource": "input/1", "actor": "ops", "limit": "2"}
    while True:
        got = await page(world, **query)
        found += got["items"]
        if got["next_cursor"] is None:
            break
        query["cursor"] = got["next_cursor"]
    assert found == whole


async def test_entries_are_found_by_time_and_action(world: World, clock: ManualClock) -> None:
    start_ms = clock.now_ms()
    clock.advance(1000)
    await ask(world, "PUT", "/inputs/1", {"name": "Early"})
    clock.advance(1000)
    await ask(world, "PUT", "/inputs/1", {"name": "Late"})
    early = {"from": str(start_ms + 1000), "to": str(start_ms + 2000), "action": "update"}
    assert [each["after"]["name"] for each in await entries(world, **early)] == ["Early"]
    assert await entries(world, **early, resource="output") == []


async def test_entries_are_kept_for_400_days(world: World, clock: ManualClock) -> None:
    await ask(world, "PUT", "/inputs/1", {"name": "Old"})
    clock.advance(400 * DAY_MS)
    assert len(await entries(world, resource="input/1", actor="ops")) == 1
    clock.advance(1)
    assert await entries(world, action="update") == []
    await ask(world, "PUT", "/inputs/1", {"name": "New"})
    assert len(await entries(world, action="update")) == 1


async def test_what_cannot_be_read_is_said(world: World) -> None:
    token = await world.token()
    for query in (
        {"from": "soon"},
        {"cursor": "x"},
        {"cursor": "9" * 40},
        {"cursor": "-1"},
        {"limit": "0"},
    ):
        answer = await world.client.get(LOGS, params=query, headers=token)
        assert answer.status == 400, query
    foreign = await world.client.get(LOGS.replace("/1/", "/2/"), headers=token)
    assert foreign.status == 404
    assert (await world.client.get(LOGS)).status == 401


async def test_only_admins_read_it(tmp_path: Path) -> None:
    credentials = [
        *EDITABLE["api_credentials"],
        {"client_id": "usr", "client_secret": "usr-secret", "role": "user", "apis": ["platform"]},
    ]
    async with running(tmp_path, document=changed(EDITABLE, api_credentials=credentials)) as world:
        answer = await world.client.get(LOGS, headers=await world.token("usr"))
        assert answer.status == 403


async def test_what_is_no_configuration_is_there_too(world: World) -> None:
    """Case 32: objects that are kept elsewhere, and what is done to a queue."""
    status, made = await ask(world, "POST", "/calculatedattributes", CALCULATED)
    assert status == 201
    assert (await ask(world, "POST", f"/calculatedattributes/{made}/activation"))[0] == 204
    assert (await ask(world, "DELETE", "/output-connections/1/queue"))[0] == 204
    assert (await ask(world, "POST", "/output-connections/1/dlq/replay", {"ids": ["no"]}))[0] == 202
    status, audience = await ask(world, "POST", "/audiences", AUDIENCE)
    assert status == 201
    assert (await ask(world, "DELETE", f"/audiences/{audience['id']}"))[0] == 204
    found = [
        (each["action"], each["resource_type"], each["resource_id"])
        for each in await entries(world, actor="ops")
        if each["action"] != "login"
    ]
    assert found == [
        ("delete", "audience", str(audience["id"])),
        ("create", "audience", str(audience["id"])),
        ("replay", "dead_letters", "1"),
        ("delete", "queue", "1"),
        ("activate", "calculated_attribute", str(made)),
        ("create", "calculated_attribute", str(made)),
    ]
    [activated] = await entries(world, action="activate")
    assert activated["before"]["active_definition"] is None
    assert activated["after"]["active_definition"] is not None
    [deleted] = await entries(world, resource="audience", action="delete")
    assert (deleted["before"]["name"], deleted["after"]) == ("Gold", None)


async def test_what_was_refused_is_not_there(world: World) -> None:
    assert (await ask(world, "DELETE", "/audiences/77"))[0] == 404
    assert (await ask(world, "POST", "/output-connections/1/resume"))[0] == 422
    assert [each["action"] for each in await entries(world, actor="ops")] == ["login"] * 3


async def test_logins_exports_and_access_to_personal_data_are_there(world: World) -> None:
    """spec/observability.md, case 15; spec/privacy.md, 10."""
    await raw(world, "GET", "/config")
    await raw(world, "GET", "/users/77")
    found = await raw(world, "GET", "/users/search?q=jane@ex.com")
    assert found.status == 200
    shown = await entries(world, actor="ops")
    seen = [(each["action"], each["resource_type"], each["resource_id"]) for each in shown]
    assert ("login", "token", None) in seen
    assert ("export", "config", None) in seen
    assert ("read", "user", None) in seen
    assert ("read", "user", "77") not in seen  # there is none
    assert "jane" not in str(shown)


async def test_a_repeated_request_is_there_once(world: World) -> None:
    key = {"Idempotency-Key": "k1"}
    for _ in range(2):
        await ask(world, "POST", "/output-connections/1/dlq/replay", {"all": True}, headers=key)
    assert len(await entries(world, action="replay")) == 1
