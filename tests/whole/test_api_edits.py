"""Audiences and attributes that a file has, changed through the API (spec/connections.md, 10)."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from actors.clock import ManualClock
from tests.whole import test_calculated as calculated
from tests.whole.test_audiences import AUDIENCE_DOCUMENT, ask, changes, members, send, status_is
from tests.whole.test_configuration_api import ask as configure
from tests.whole.test_configuration_api import raw
from tests.whole.test_joint_audiences import documents
from tests.whole.world import World, changed, running, serving

GOLD: dict[str, Any] = {
    "id": "gold",
    "name": "Gold",
    "number": 70,
    "definition": status_is("gold"),
    "subscriptions": [{"output": "list"}],
}
SILVER = GOLD | {"id": "silver", "name": "Silver", "number": 71, "subscriptions": []}
BUYS = {"id": "buys", "name": "Buys", "definition": calculated.definition("count")}
DOCUMENT = changed(
    AUDIENCE_DOCUMENT,
    workspace={"config": {"allow_api_edits": True}},
    audiences=[GOLD, SILVER],
    calculated_attributes=[BUYS],
)


@pytest.fixture
async def world(tmp_path: Path, clock: ManualClock) -> AsyncIterator[World]:
    async with running(tmp_path, document=DOCUMENT, clock=clock) as opened:
        await opened.settle_audiences()
        yield opened


async def exported(world: World) -> Any:
    return YAML(typ="safe").load(await (await raw(world, "GET", "/config")).text())


async def test_an_edit_holds_until_the_file_is_applied_again(world: World) -> None:
    """Whatever else is configured meanwhile; the file then has the last word."""
    await send(world, "a", status="gold")
    await send(world, "b", status="premium")
    await ask(world, 200, "PUT", "/70", {"definition": status_is("premium"), "name": "Best"})
    await world.settle_audiences()
    a, b = await world.mpid("a"), await world.mpid("b")
    assert await members(world, 70) == [b]
    assert sorted(changes(world, 1)) == sorted([("add", a), ("delete", a), ("add", b)])
    assert [each["id"] for each in (await exported(world))["audiences"]] == ["silver"]
    feed = {"kind": "feed", "name": "More"}
    assert (await configure(world, "POST", "/inputs", feed))[0] == 201
    assert (await ask(world, 200, "GET", "/70"))["name"] == "Best"
    file = json.dumps(DOCUMENT)
    _, planned = await configure(world, "PUT", "/config?dry_run=true", file)
    assert "~ audience gold" in json.dumps(planned)
    assert (await ask(world, 200, "GET", "/70"))["name"] == "Best"
    assert (await configure(world, "PUT", "/config", file))[0] == 200
    await world.settle_audiences()
    assert (await ask(world, 200, "GET", "/70"))["name"] == "Gold"
    assert await members(world, 70) == [a]
    _, planned = await configure(world, "PUT", "/config?dry_run=true", file)
    assert "gold" not in json.dumps(planned)


async def test_an_edit_outlives_a_start_without_the_file(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with running(tmp_path, document=DOCUMENT, clock=clock) as world:
        await ask(world, 200, "PUT", "/70", {"name": "Best"})
        await ask(world, 204, "DELETE", "/71/activation")
    without = {name: each for name, each in DOCUMENT.items() if name != "audiences"}
    async with running(tmp_path, document=without, clock=clock) as world:
        assert (await ask(world, 200, "GET", "/70"))["name"] == "Best"
        assert (await ask(world, 200, "GET", "/71"))["status"] == "inactive"
    async with running(tmp_path, document=DOCUMENT, clock=clock) as world:
        assert (await ask(world, 200, "GET", "/70"))["name"] == "Gold"
        await world.settle_audiences()
        assert (await ask(world, 200, "GET", "/71"))["status"] == "active"


async def test_all_of_an_audience_can_be_changed(world: World) -> None:
    """Its connections, those of many at once, its test, and that it is there."""
    await ask(world, 200, "PUT", "/70/subscriptions/1", {"is_active": False})
    await ask(world, 201, "POST", "/70/abtest", {"variations": [{"name": "A", "percentage": 50}]})
    await ask(world, 204, "DELETE", "/70/abtest")
    await ask(world, 204, "DELETE", "/70/subscriptions/1")
    headers = await world.token()
    url = f"/platform/v2/workspaces/{world.number}/outputs/2/connect-audiences"
    body = {"audience_ids": [70, 71, 99]}
    response = await world.client.post(url, json=body, headers=headers)
    assert ["errors" in each for each in await response.json()] == [False, False, True]
    await ask(world, 204, "DELETE", "/71")
    await ask(world, 404, "GET", "/71")


async def test_an_attribute_is_drafted_activated_and_deleted(world: World) -> None:
    await calculated.buy(world, "u", amt="5")
    calculated.settle(world)
    path = f"/{(await calculated.ask(world, 200, 'GET'))[0]['id']}"
    await calculated.activate(world, "Other", calculated.definition("count"))
    draft = {"draft_definition": calculated.definition("sum", "amt")}
    await calculated.ask(world, 204, "PUT", path, draft)
    assert await calculated.value(world, "u", "Buys") == "1"
    await calculated.ask(world, 204, "POST", f"{path}/activation")
    calculated.settle(world)
    assert await calculated.value(world, "u", "Buys") == "5"
    assert (await exported(world))["calculated_attributes"] == []
    assert (await configure(world, "PUT", "/config", json.dumps(DOCUMENT)))[0] == 200
    shown = await calculated.ask(world, 200, "GET", path)
    assert shown["active_definition"]["calculation_type"] == "count"
    await calculated.ask(world, 204, "DELETE", f"{path}/activation")
    await calculated.ask(world, 204, "DELETE", path)
    assert [each["name"] for each in await calculated.ask(world, 200, "GET")] == ["Other"]


async def test_a_workspace_that_does_not_allow_it_refuses_every_edit(
    tmp_path: Path, clock: ManualClock
) -> None:
    closed = changed(DOCUMENT, workspace={"config": {"allow_api_edits": False}})
    async with running(tmp_path, document=closed, clock=clock) as world:
        edits = [
            ("PUT", "/70", {"name": "Best"}),
            ("DELETE", "/70", None),
            ("DELETE", "/70/activation", None),
            ("POST", "/70/abtest", {"variations": [{"name": "A", "percentage": 50}]}),
            ("POST", "/70/subscriptions", {"output_id": 2}),
            ("DELETE", "/70/subscriptions/1", None),
        ]
        for method, path, body in edits:
            refused = await ask(world, 409, method, path, body)
            assert refused["errors"][0]["message"] == "Managed by configuration file."
        assert [each["id"] for each in (await exported(world))["audiences"]] == ["gold", "silver"]


async def test_one_over_several_workspaces_is_changed_from_any_of_them(
    tmp_path: Path, clock: ManualClock
) -> None:
    """The workspace whose file has it says whether it may be."""
    first, second, third = documents()
    joint = GOLD | {"workspaces": ["w1", "w2"]}
    allowing = {"config": {"allow_api_edits": True}}
    given = [changed(first, audiences=[joint], workspace=allowing), second, third]
    async with serving(tmp_path, given, clock=clock) as [one, other, _]:
        await one.settle_audiences()
        await send(other, "b", status="premium")
        await ask(other, 200, "PUT", "/70", {"definition": status_is("premium")})
        await one.settle_audiences()
        assert await members(one, 70) == [await other.mpid("b")]
    given = [changed(first, audiences=[joint]), changed(second, workspace=allowing), third]
    async with serving(tmp_path, given, clock=clock) as [one, other, _]:
        await one.settle_audiences()
        assert await members(one, 70) == []
        await ask(other, 409, "PUT", "/70", {"definition": status_is("premium")})
