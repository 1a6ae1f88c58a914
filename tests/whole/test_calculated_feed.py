"""The Calculated Attributes feed (spec/calculated-attributes.md, 7.2; worked case 20)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from actors.clock import ManualClock
from actors.model.deliveries import Delivery
from tests.whole.cases import user
from tests.whole.test_calculated import (
    DAY_MS,
    SEEDED,
    activate,
    ask,
    buy,
    definition,
    make,
    seed,
    seeds_of,
    settle,
)
from tests.whole.world import DOCUMENT, T, World, basic, changed, running

DAY = {"type": "within", "within": 1, "within_unit": "days"}
FEED = {"id": "values-hook", "input": "calculated_attributes", "output": "hook"}
FEED_CONNECTION = len(DOCUMENT["connections"]) + 1


@pytest.fixture
async def world(tmp_path: Path, clock: ManualClock) -> AsyncIterator[World]:
    document = changed(
        DOCUMENT,
        workspace={"dsr_credentials": {"key": "kd-workspace", "secret": "sd"}},
        connections=[*DOCUMENT["connections"], FEED],
    )
    async with running(tmp_path, clock=clock, document=document) as world:
        yield world


def queued(world: World) -> list[Delivery]:
    """Return what waits for the connection of the feed."""
    return [
        delivery
        for shard in world.shards
        for delivery in shard.outbox.read_outbox(FEED_CONNECTION, 0, 10_000, 1 << 24)
    ]


def told(world: World) -> list[tuple[dict[str, Any], list[str]]]:
    """Return what the feed has told of values: those that there are, and those that are gone."""
    batches = sorted(
        (orjson.loads(each.payload) for each in queued(world)), key=lambda each: each["batch_id"]
    )
    return [(each["user_attributes"], each.get("deleted_user_attributes", [])) for each in batches]


async def test_20_a_change_gives_one_batch_without_events(world: World) -> None:
    """Case 20: identities and what has changed, and nothing else of the user or of the batch."""
    await activate(world, "Buys", definition("count"))
    await activate(world, "First", definition("first_occurrence", "amt"))
    await buy(world, "a", amt="1")
    extras = {"user_attributes": {"city": "Oslo"}, "ip": "10.0.0.1"}
    event = {"event_type": "custom_event", "data": {"event_name": "Buy"}}
    await world.accept(user("a", events=[event], **extras))
    first, second = queued(world)
    batch = orjson.loads(second.payload)
    assert orjson.loads(first.payload)["user_attributes"] == {"Buys": "1", "First": "1"}
    assert batch == {
        "schema_version": 2,
        "environment": "production",
        "batch_id": batch["batch_id"],
        "mpid": await world.mpid("a"),
        "timestamp_unixtime_ms": T,
        "source_info": {
            "channel": "server_to_server",
            "partner": None,
            "replay_request_id": None,
            "replay_job_id": None,
            "is_historical": False,
        },
        "user_identities": [
            {"identity_type": "customer_id", "identity": "a", "timestamp_unixtime_ms": T}
        ],
        "user_attributes": {"Buys": "2"},
        "system_notifications": [],
        "events": [],
    }
    assert first.delivery_id != second.delivery_id


async def test_a_filter_of_the_output_withholds_a_value(tmp_path: Path, clock: ManualClock) -> None:
    """Section 7.2: from the batches that go there, and from the feed."""
    filters = {"user_attributes": {"disabled": ["Buys"]}}
    hook = DOCUMENT["outputs"][0] | {"filters": filters}
    connections = [*DOCUMENT["connections"], FEED]
    document = changed(DOCUMENT, outputs=[hook], connections=connections)
    async with running(tmp_path, clock=clock, document=document) as world:
        await activate(world, "Buys", definition("count"))
        await activate(world, "Spent", definition("sum", "amt"))
        await buy(world, "a", amt="2")
        await buy(world, "a")
        assert await world.attributes("a") == {"Buys": "2", "Spent": "2"}
        assert told(world) == [({"Spent": "2"}, [])], "the second changed only what is withheld"
        outgoing = [each["user_attributes"] for each in world.outgoing()]
        assert outgoing == [{"Spent": "2"}, {"Spent": "2"}]


async def test_20_a_batch_that_changes_no_value_gives_none(world: World) -> None:
    """Case 20: neither another event, nor a value that is calculated to be the same."""
    await activate(world, "First", definition("first_occurrence", "amt"))
    await buy(world, "a", amt="1")
    await buy(world, "a", amt="2")
    await world.accept(user("a", user_attributes={"city": "Oslo"}))
    settle(world)
    assert told(world) == [({"First": "1"}, [])]


async def test_20_a_window_that_expires_tells_of_0_and_of_null(
    world: World, clock: ManualClock
) -> None:
    """Case 20: both attributes change in one step, and are in one batch."""
    await activate(world, "Buys", definition("count", time_period=DAY))
    await activate(world, "Last", definition("last_occurrence", "amt", time_period=DAY))
    await buy(world, "a", amt="5")
    clock.advance(DAY_MS + 1)
    settle(world)
    settle(world)
    assert told(world) == [({"Buys": "1", "Last": "5"}, []), ({"Buys": "0"}, ["Last"])]


async def test_several_batches_of_one_step_give_one_batch(world: World) -> None:
    """A request with three batches of a user is applied at once."""
    await activate(world, "Buys", definition("count"))
    event = {"event_type": "custom_event", "data": {"event_name": "Buy"}}
    await buy(world, "a")
    response = await world.bulk([user("a", events=[event]) for _ in range(3)])
    assert response.status == 202, await response.text()
    assert told(world) == [({"Buys": "1"}, []), ({"Buys": "4"}, [])]


async def test_a_seed_is_a_change(world: World) -> None:
    """Also of a user whom it makes; the same seed again is none."""
    await activate(world, "LTV", definition("sum", "amt") | SEEDED)
    key = basic("kd-workspace:sd")
    for _ in range(2):
        assert await seed(world, seeds_of("a", {"value": 100}), key) == (202, None)
        settle(world)
    assert told(world) == [({"LTV": "100"}, [])]
    await buy(world, "a", amt="-3")
    assert told(world)[1:] == [({"LTV": "97"}, [])]


async def test_initialization_is_a_change(world: World) -> None:
    """Each user who has events of before is told of, once, and nobody else is."""
    for customer in ("a", "b"):
        await buy(world, customer)
    await world.accept(user("c"))
    number = await make(world, "Buys", definition("count"))
    assert told(world) == []
    await ask(world, 204, "POST", f"/{number}/activation")
    settle(world)
    expected = {await world.mpid("a"), await world.mpid("b")}
    assert {each.mpid for each in queued(world)} == expected
    assert told(world) == [({"Buys": "1"}, [])] * 2


async def test_a_batch_that_comes_before_the_initialization_is_counted_in_it(world: World) -> None:
    """What was stored and what comes are one step, and one batch."""
    await buy(world, "a")
    number = await make(world, "Buys", definition("count"))
    await ask(world, 204, "POST", f"/{number}/activation")
    await buy(world, "a")
    settle(world)
    assert told(world) == [({"Buys": "2"}, [])]


async def test_a_new_connection_is_first_told_of_the_values_that_there_are(
    tmp_path: Path, clock: ManualClock
) -> None:
    """Once, for users that have any; what changes meanwhile is in it."""
    async with running(tmp_path, clock=clock) as world:
        await activate(world, "Buys", definition("count"))
        for customer in ("a", "b"):
            await buy(world, customer)
        await world.accept(user("c"))
    document = changed(DOCUMENT, connections=[*DOCUMENT["connections"], FEED])
    async with running(tmp_path, clock=clock, document=document) as world:
        await buy(world, "a")
        settle(world)
        assert sorted(each["Buys"] for each, _ in told(world)) == ["1", "2"]
    async with running(tmp_path, clock=clock, document=document) as world:
        settle(world)
        assert len(told(world)) == 2
        await buy(world, "b")
        assert sorted(each["Buys"] for each, _ in told(world)) == ["1", "2", "2"]
