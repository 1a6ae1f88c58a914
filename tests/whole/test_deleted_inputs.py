"""What keeps an input, or an output, that is to be deleted (spec/platform-api.md, 15)."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from actors.clock import ManualClock
from tests.whole.test_audiences import AUDIENCE_DOCUMENT, ask, pinged, status_is
from tests.whole.test_configuration_api import ask as configure
from tests.whole.test_configuration_api import message, raw
from tests.whole.world import World, changed, running

IN_USE = "Connections or audiences use the input."
MANAGED = "Managed by configuration file."
GOLD: dict[str, Any] = {"id": "gold", "name": "Gold", "definition": status_is("gold")}


@pytest.fixture
async def world(tmp_path: Path, clock: ManualClock) -> AsyncIterator[World]:
    async with running(tmp_path, document=AUDIENCE_DOCUMENT, clock=clock) as opened:
        yield opened


async def made_input(world: World) -> int:
    """Make an input that nothing uses yet."""
    status, made = await configure(world, "POST", "/inputs", {"name": "Pages"})
    assert status == 201
    return int(made["id"])


async def test_an_active_audience_that_the_api_has_made_keeps_its_inputs(world: World) -> None:
    """Whether it is of the input, or only one of its criteria; one that is off does not."""
    number = await made_input(world)
    for name, body in (
        ("Whole", {"inputs": [number], "definition": pinged()}),
        ("Part", {"definition": pinged() | {"input_ids": [number]}}),
    ):
        made = await ask(world, 201, "POST", "", {"name": name, **body})
        await ask(world, 204, "POST", f"/{made['id']}/activation")
        status, answer = await configure(world, "DELETE", f"/inputs/{number}")
        assert (status, message(answer)) == (422, IN_USE)
        await ask(world, 204, "DELETE", f"/{made['id']}/activation")
    assert (await configure(world, "DELETE", f"/inputs/{number}"))[0] == 204


async def test_a_journey_whose_users_are_sent_keeps_its_inputs(world: World) -> None:
    number = await made_input(world)
    made = await ask(world, 201, "POST", "/../journeys", {"name": "J", "inputs": [number]})
    path = f"/../journeys/{made['id']}/milestones"
    await ask(
        world, 201, "POST", path, {"name": "First", "kind": "criteria", "definition": pinged()}
    )
    [milestone] = (await ask(world, 200, "GET", f"/../journeys/{made['id']}"))["milestones"]
    audience = f"/{milestone['audience_id']}"
    await ask(world, 201, "POST", f"{audience}/subscriptions", {"output_id": 2})
    status, answer = await configure(world, "DELETE", f"/inputs/{number}")
    assert (status, message(answer)) == (422, IN_USE)
    assert (await configure(world, "DELETE", f"/inputs/{number}?force=true"))[0] == 204


async def test_no_audience_becomes_one_of_all_inputs(tmp_path: Path, clock: ManualClock) -> None:
    """Force takes an input from those that have others; no inputs would be all of them."""
    document = changed(
        AUDIENCE_DOCUMENT,
        workspace={"config": {"allow_api_edits": True}},
        audiences=[GOLD | {"inputs": ["web", "ios"]}],
    )
    async with running(tmp_path, document=document, clock=clock) as world:
        assert (await configure(world, "DELETE", "/inputs/web?force=true"))[0] == 204
        status, answer = await configure(world, "DELETE", "/inputs/ios?force=true")
        assert (status, message(answer)) == (422, "Audience 'gold' is of this input alone.")
        exported = YAML(typ="safe").load(await (await raw(world, "GET", "/config")).text())
        assert [each["inputs"] for each in exported["audiences"]] == [["ios"]]


async def test_what_a_file_owns_goes_with_nothing(world: World) -> None:
    """Force deletes no connection of a file's, and changes no audience of it."""
    number = await made_input(world)
    lake = {"kind": "event", "module": "devnull", "name": "Lake"}
    _, made = await configure(world, "POST", "/outputs", lake)
    joining = {"id": "joining", "input": "pages", "output": "lake"}
    owned = {
        "connections": [*AUDIENCE_DOCUMENT["connections"], joining],
        "audiences": [GOLD | {"inputs": ["pages", "web"]}],
    }
    for section, each in owned.items():
        file = json.dumps(changed(AUDIENCE_DOCUMENT, **{section: each}))
        assert (await configure(world, "PUT", "/config?prune=true", file))[0] == 200
        paths = [f"/inputs/{number}"]
        if section == "connections":
            paths.append(f"/outputs/{made['id']}")
        for path in paths:
            status, answer = await configure(world, "DELETE", f"{path}?force=true")
            assert (status, message(answer)) == (409, MANAGED)
    _, listed = await configure(world, "GET", "/inputs")
    assert number in [each["id"] for each in listed]
