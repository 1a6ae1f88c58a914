"""Outputs that do not get new data points by default (spec/connections.md, 2.4, case 13)."""

from collections.abc import AsyncIterator
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import pytest

from actors.clock import ManualClock
from actors.store.audit_log import Author
from config.roles import STANDARD
from tests.whole.world import DOCUMENT, World, changed, running

HOOK = DOCUMENT["outputs"][0]
CONNECTION = {
    "id": "backend-hook",
    "input": "backend",
    "output": "hook",
    "settings": {"send_as_batch": True, "batch": {"max_wait_s": 0}},
}
BEGINNING = changed(DOCUMENT, outputs=[HOOK], connections=[CONNECTION])


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(tmp_path, document=BEGINNING) as made:
        yield made


def custom(name: str, **attributes: str) -> dict[str, Any]:
    data = {"event_name": name, "custom_event_type": "other", "custom_attributes": attributes}
    return {"event_type": "custom_event", "data": data}


def batch(*events: dict[str, Any], who: str = "ann", **more: Any) -> dict[str, Any]:
    identities = {"user_identities": {"customer_id": who}}
    return {**identities, "environment": "production", "events": list(events), **more}


async def choose(world: World, **output: Any) -> None:
    """Change the output from now on."""
    clock = cast(ManualClock, world.clock)
    clock.advance(1_000)
    data = deepcopy((await world.configuration.sheet(world.number)).data)
    data["outputs"][0] |= output
    await world.configuration.apply_file(
        world.number, data, Author("ops"), STANDARD["admin"], True, True
    )
    await world.follow()
    clock.advance(1_000)


async def send(world: World, *events: dict[str, Any], **more: Any) -> dict[str, Any] | None:
    """Send a batch and return what goes out, `None` if nothing does."""
    before = len(world.outgoing())
    await world.accept(batch(*events, **more))
    payloads = world.outgoing()[before:]
    return payloads[0] if payloads else None


def names(payload: dict[str, Any] | None) -> list[str]:
    return [] if payload is None else [each["data"]["event_name"] for each in payload["events"]]


async def points(world: World) -> dict[tuple[str, str, str], bool]:
    response = await world.get("/platform/v2/workspaces/1/outputs/hook/filter/datapoints")
    assert response.status == 200, await response.text()
    listed = await response.json()
    return {
        (each["type"], each["name"], each["attribute_name"]): each["enabled"] for each in listed
    }


async def test_case_13_a_new_event_is_not_forwarded_until_it_is_enabled(world: World) -> None:
    await choose(world, send_new_data_points_by_default=False)
    assert await send(world, custom("Foo")) is None
    assert (await points(world))["Event", "Foo", ""] is False
    enabled = {"events": {"enabled": [{"event_type": "other", "name": "Foo"}]}}
    await choose(world, filters=enabled)
    assert (await points(world))["Event", "Foo", ""] is True
    assert names(await send(world, custom("Foo"))) == ["Foo"]
    dropped = {"connection": "backend-hook", "reason": "filtered"}
    assert world.count("headwater_forwarder_drops_total", **dropped) == 1


async def test_what_was_known_before_stays_on(world: World) -> None:
    await world.accept(batch(custom("Old", a="1"), user_attributes={"plan": "pro"}))
    await choose(world, send_new_data_points_by_default=False)
    payload = await send(
        world,
        custom("Old", a="1", b="2"),
        custom("New"),
        user_attributes={"plan": "free", "city": "Ghent"},
        user_identities={"customer_id": "ann", "facebook": "f"},
    )
    assert payload is not None
    assert names(payload) == ["Old"]
    assert payload["events"][0]["data"]["custom_attributes"].keys() == {"a"} | SOURCE
    assert payload["user_attributes"] == {"plan": "free"}
    assert [each["identity_type"] for each in payload["user_identities"]] == ["customer_id"]
    found = await points(world)
    assert found["EventAttribute", "Old", "a"]
    assert not found["EventAttribute", "Old", "b"]
    assert found["UserAttribute", "plan", ""]
    assert not found["UserAttribute", "city", ""]
    assert found["UserIdentity", "customer_id", ""]
    assert not found["UserIdentity", "facebook", ""]


SOURCE = {"mParticle Source Feed"}


async def test_the_point_stays_new_after_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path, document=BEGINNING) as world:
        await world.accept(batch(custom("Old")))
        await choose(world, send_new_data_points_by_default=False)
        assert await send(world, custom("New")) is None
        clock = world.clock
    later = changed(BEGINNING, outputs=[HOOK | {"send_new_data_points_by_default": False}])
    async with running(tmp_path, document=later, clock=clock) as world:
        assert await send(world, custom("New")) is None
        assert names(await send(world, custom("Old"))) == ["Old"]
        assert await points(world) == {
            ("Event", "Old", ""): True,
            ("Event", "New", ""): False,
            ("UserIdentity", "customer_id", ""): True,
        }


async def test_what_one_shard_has_received_is_new_to_none(world: World) -> None:
    """First events of users of two shards, before the output chooses."""
    everybody = [f"user-{number}" for number in range(8)]
    for who in everybody:
        await world.accept(batch(custom("Old"), who=who))
    only = everybody[0]
    await world.accept(batch(custom("Rare"), who=only))
    await choose(world, send_new_data_points_by_default=False)
    forwarded = [names(await send(world, custom("Rare"), who=who)) for who in everybody]
    assert forwarded[0] == ["Rare"]
    assert [] in forwarded  # another shard does not know yet
    await world.exchange_points()
    for who in everybody:
        assert names(await send(world, custom("Rare"), custom("New"), who=who)) == ["Rare"]
    await world.exchange_points()
    for who in everybody:
        assert names(await send(world, custom("Rare"), custom("New"), who=who)) == ["Rare"]


async def test_nothing_is_kept_while_all_outputs_get_new_points(world: World) -> None:
    assert names(await send(world, custom("Foo"))) == ["Foo"]
    assert await points(world) == {}
    for shard in world.shards:
        with shard.store.read() as txn:
            assert txn.entries("data_points") == 0


async def test_an_unknown_output_has_no_points(world: World) -> None:
    path = "/platform/v2/workspaces/1/outputs/none/filter/datapoints"
    assert (await world.get(path)).status == 404
