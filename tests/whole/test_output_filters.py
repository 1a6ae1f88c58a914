"""Data filters of outputs through the Platform API (spec/rules.md, 7; spec/connections.md, 2.4)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.whole.test_configuration_api import BATCH, EDITABLE, ask, depth
from tests.whole.world import World, running

SCREEN = {"event_type": "screen_view", "data": {"screen_name": "Home"}}
WRONG: list[dict[str, Any]] = [
    {},
    {"to": []},
    {"to": "first"},
    {"to": [True]},
    {"to": ["first"], "and": 1},
]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(tmp_path, document=EDITABLE) as only:
        yield only


async def test_what_an_output_filters_is_replaced(world: World) -> None:
    assert (await ask(world, "GET", "/outputs/hook/filter"))[1] == {}
    body = {"event_types": {"disabled": ["location"]}}
    assert await ask(world, "PUT", "/outputs/hook/filter", body) == (200, body)
    assert (await ask(world, "GET", "/outputs/hook/filter"))[1] == body
    status, answer = await ask(world, "PUT", "/outputs/hook/filter", {"colours": {}})
    assert (status, answer["errors"][0]["path"]) == (400, "colours")


async def test_case_11_an_event_is_not_switched_on_below_a_type_that_is_off(world: World) -> None:
    """spec/connections.md, worked case 11, and 2.4."""
    off: dict[str, Any] = {"event_types": {"disabled": ["navigation"]}}
    assert (await ask(world, "PUT", "/outputs/hook/filter", off))[0] == 200
    opened = {"events": {"enabled": [{"event_type": "navigation", "name": "Open"}]}}
    status, answer = await ask(world, "PUT", "/outputs/hook/filter", {**off, **opened})
    assert status == 422
    [error] = answer["errors"]
    assert error["path"].endswith("events.enabled[0]")
    assert error["message"] == "event type 'navigation' is off"
    assert (await ask(world, "GET", "/outputs/hook/filter"))[1] == off
    other = {"events": {"enabled": [{"event_type": "other", "name": "Open"}]}}
    assert (await ask(world, "PUT", "/outputs/hook/filter", {**off, **other}))[0] == 200


async def test_a_filter_is_copied_to_other_outputs(world: World) -> None:
    for name in ("first", "second"):
        output = {
            "id": name,
            "name": name,
            "kind": "event",
            "module": "webhook",
            "settings": {"url": "https://hook.example.com/in"},
        }
        status, made = await ask(world, "POST", "/outputs", output)
        assert status == 201, made
    filters = {"event_types": {"disabled": ["location"]}}
    await ask(world, "PUT", "/outputs/hook/filter", filters)
    status, _ = await ask(world, "POST", "/outputs/hook/filter/copy", {"to": [made["id"], "first"]})
    assert status == 204
    for name in ("first", "second"):
        assert (await ask(world, "GET", f"/outputs/{name}/filter"))[1] == filters


async def test_a_copy_to_something_unknown_changes_nothing(world: World) -> None:
    filters = {"event_types": {"disabled": ["location"]}}
    await ask(world, "PUT", "/outputs/hook/filter", filters)
    made = {"id": "first", "name": "f", "kind": "event", "module": "log"}
    assert (await ask(world, "POST", "/outputs", made))[0] == 201
    body = {"to": ["first", "nobody"]}
    assert (await ask(world, "POST", "/outputs/hook/filter/copy", body))[0] == 404
    assert (await ask(world, "GET", "/outputs/first/filter"))[1] == {}
    for wrong in WRONG:
        assert (await ask(world, "POST", "/outputs/hook/filter/copy", wrong))[0] == 400, wrong


async def test_everything_is_switched_off_and_on(world: World) -> None:
    assert (await ask(world, "PUT", "/outputs/hook/filter", {"all": False}))[0] == 200
    await world.accept(BATCH)
    assert await depth(world, 1) == 0
    assert await ask(world, "PUT", "/outputs/hook/filter", {"all": True}) == (200, {})
    await world.accept(BATCH)
    assert await depth(world, 1) == 1
    assert (await ask(world, "PUT", "/outputs/hook/filter", {"all": "no"}))[0] == 400


async def test_the_screens_that_are_known_are_switched_off(world: World) -> None:
    await ask(world, "PUT", "/outputs/hook", {"send_new_data_points_by_default": False})
    await world.accept({**BATCH, "events": [SCREEN]})
    _, filters = await ask(world, "PUT", "/outputs/hook/filter", {"all": False})
    assert filters["screens"] == {"disabled": ["Home"]}


async def test_switching_an_event_off_deletes_its_mapping(world: World) -> None:
    """spec/connections.md, 2.5."""
    kept, lost = (
        {
            "source": {"event_type": "other", "event_name": name},
            "target": {"name": f"{name} there"},
        }
        for name in ("Kept", "Lost")
    )
    body = {"custom_mappings": [lost, kept]}
    status, answer = await ask(world, "PUT", "/output-connections/1", body)
    assert status == 200, answer
    off = {"events": {"disabled": [{"event_type": "other", "name": "Lost"}]}}
    status, answer = await ask(world, "PUT", "/outputs/hook/filter", off)
    assert status == 200, answer
    _, shown = await ask(world, "GET", "/output-connections/1")
    assert shown["custom_mappings"] == [kept]
