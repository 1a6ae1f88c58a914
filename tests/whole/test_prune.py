"""What an apply with `prune` deletes, and what it leaves alone (spec/connections.md, 10)."""

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from tests.whole import test_calculated as calculated
from tests.whole.test_api_edits import GOLD, SILVER, exported
from tests.whole.test_audiences import AUDIENCE_DOCUMENT, ask, status_is
from tests.whole.test_configuration_api import ask as configure
from tests.whole.test_conventions import CREDENTIALS
from tests.whole.test_read_back import ACCOUNT
from tests.whole.world import World, changed, running

BUYS = {"id": "buys", "name": "Buys", "definition": calculated.definition("count")}
DOCUMENT = changed(
    AUDIENCE_DOCUMENT,
    api_credentials=CREDENTIALS,
    audiences=[GOLD, SILVER],
    calculated_attributes=[BUYS],
)
LESS = changed(DOCUMENT, audiences=[SILVER], calculated_attributes=[])


@pytest.fixture
async def world(tmp_path: Path, clock: ManualClock) -> AsyncIterator[World]:
    async with running(tmp_path, shards=1, document=DOCUMENT, clock=clock) as opened:
        await opened.settle_audiences()
        yield opened


async def apply(world: World, document: Mapping[str, Any], query: str = "") -> list[str]:
    """Apply a file; return a line for each change."""
    status, done = await configure(world, "PUT", f"/config{query}", json.dumps(document))
    assert status == 200, done
    return [each["line"] for each in done["changes"]]


async def plan(world: World, document: Mapping[str, Any]) -> list[str]:
    """Return what an apply with `prune` would do."""
    return await apply(world, document, "?prune=true&dry_run=true")


async def test_nothing_that_was_made_through_the_api_is_deleted(world: World) -> None:
    headers = await world.token("keeper")
    output = {"kind": "event", "module": "devnull", "name": "Nowhere"}
    made = {
        "/inputs": {"kind": "feed", "name": "More"},
        "/outputs": output,
        "/output-connections": {"input_id": "more", "output_id": "nowhere"},
        "/plans": {"data_plan_name": "Shop plan"},
        "/audiences": {"name": "Premium", "definition": status_is("premium")},
        "/calculatedattributes": {
            "name": "Sells",
            "draft_definition": calculated.definition("count"),
        },
    }
    credentials = f"{ACCOUNT.format(org=1, account=1)}/credentials"
    where = {f"/platform/v2/workspaces/1{path}": body for path, body in made.items()}
    before: dict[str, Any] = {}
    for path, body in (where | {credentials: {"apis": ["platform"]}}).items():
        response = await world.client.post(path, json=body, headers=headers)
        assert response.status < 300, await response.text()
        await world.follow()
    for path in (*where, credentials):
        before[path] = await (await world.client.get(path, headers=headers)).json()
    assert await plan(world, DOCUMENT) == []
    assert await apply(world, DOCUMENT, "?prune=true") == []
    assert await apply(world, LESS, "?prune=true") == [
        "- calculated attribute buys",
        "- audience gold",
    ]
    for path, objects in before.items():
        after = await (await world.client.get(path, headers=headers)).json()
        left = [each for each in objects if each.get("name") not in ("Gold", "Buys")]
        assert [each.get("name") for each in after] == [each.get("name") for each in left]


async def test_what_left_the_file_before_is_deleted_later(world: World) -> None:
    """The plan names it; until then it stays, and an export has it."""
    assert await plan(world, LESS) == ["- calculated attribute buys", "- audience gold"]
    assert await apply(world, LESS) == []
    assert await plan(world, await exported(world)) == []
    assert (await ask(world, 200, "GET", "/70"))["name"] == "Gold"
    assert await plan(world, LESS) == ["- calculated attribute buys", "- audience gold"]
    await apply(world, LESS, "?prune=true")
    await ask(world, 404, "GET", "/70")
    assert await calculated.ask(world, 200, "GET") == []
    assert (await ask(world, 200, "GET", "/71"))["name"] == "Silver"


async def test_what_the_api_has_changed_since_it_left_the_file_is_the_apis(world: World) -> None:
    """Whoever exports, and applies that with `prune`, deletes nothing."""
    await apply(world, LESS)
    [buys] = await calculated.ask(world, 200, "GET")
    await ask(world, 200, "PUT", "/70", {"name": "Best"})
    await calculated.ask(world, 204, "PUT", f"/{buys['id']}", {"description": "Mine"})
    assert await plan(world, LESS) == []
    assert await apply(world, await exported(world), "?prune=true") == []
    assert (await ask(world, 200, "GET", "/70"))["name"] == "Best"
    [kept] = await calculated.ask(world, 200, "GET")
    assert kept["description"] == "Mine"


async def test_what_is_leant_on_by_what_the_api_made_is_not_deleted(world: World) -> None:
    """The apply is refused: nothing is deleted that nobody has asked to delete."""
    body = {"kind": "feed", "name": "More"}
    assert (await configure(world, "POST", "/inputs", body))[0] == 201
    joined = {"input_id": "more", "output_id": "hook"}
    assert (await configure(world, "POST", "/output-connections", joined))[0] == 201
    without = changed(DOCUMENT, outputs=DOCUMENT["outputs"][1:], connections=[])
    status, answer = await configure(world, "PUT", "/config?prune=true", json.dumps(without))
    assert status == 422
    assert [each["message"] for each in answer["errors"]] == ["no output with id 'hook'"]
