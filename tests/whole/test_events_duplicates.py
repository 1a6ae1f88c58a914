"""What is sent twice is applied once: worked cases 51 to 54."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from actors.clock import ManualClock
from tests.whole.cases import EV, dropped, user
from tests.whole.sent import DAY, custom
from tests.whole.world import DOCUMENT, World, changed, running


def request(identifier: Any, name: str = "Opened", customer: str = "a") -> dict[str, Any]:
    """Make a batch with a request id and one event."""
    return user(customer, source_request_id=identifier, events=[custom(name)])


async def names(world: World, customer: str = "a") -> list[str]:
    """Return the names of a customer's events."""
    return [each["name"] for each in await world.events(customer)]


async def test_case_51_a_request_id_is_applied_once(world: World) -> None:
    """spec/events-api.md, worked case 51."""
    for _ in range(2):
        response = await world.send(request("r1"))
        assert (response.status, await response.read()) == (202, b"")
    assert await names(world) == ["Opened"]
    assert len(world.outgoing()) == 1
    assert dropped(world, "duplicate_request_id") == 1
    await world.accept(request("r1", "Changed") | {"user_attributes": {"x": "1"}})
    assert (await names(world), await world.attributes("a")) == (["Opened"], {})
    await world.accept(request("r1", "Other", "b"))
    assert await names(world, "b") == ["Other"]
    await world.accept(request("r1", "Other key"), "k2")
    assert await names(world) == ["Opened", "Other key"]


async def test_a_duplicate_is_metered_as_one_and_its_events_are_not(world: World) -> None:
    """spec/observability.md, worked case 18."""
    where = {"workspace": "w1", "input": "backend", "environment": "production"}

    def metered() -> tuple[float, float, float]:
        events = world.count("headwater_ingest_events_total", event_type="custom_event", **where)
        results = [
            world.count("headwater_ingest_batches_total", result=result, **where)
            for result in ("accepted", "duplicate")
        ]
        return events, results[0], results[1]

    assert metered() == (0, 0, 0)
    await world.accept(request("r1"))
    assert metered() == (1, 1, 0)
    await world.accept(request("r1"))
    assert metered() == (1, 1, 1)


async def test_case_51_environment_and_path_play_no_part(world: World) -> None:
    """spec/events-api.md, 5.4, for batches without events too."""
    await world.accept(request("r1"))
    assert (await world.bulk([request("r1", "Bulk")])).status == 202
    old = user(source_request_id="r1", events=[custom("Old", at_ms=1)])
    assert (await world.historical([old])).status == 202
    assert await names(world) == ["Opened"]
    silent = {"user_identities": {"customer_id": "b"}, "source_request_id": "r2"}
    for value in "12":
        await world.accept(silent | {"user_attributes": {"x": value}})
    assert await world.attributes("b") == {"x": "1"}


async def test_case_51_a_batch_of_nobody_is_applied_once_too(world: World) -> None:
    """spec/events-api.md, 5.4: the same batch sent again."""
    for _ in range(2):
        await world.accept({"events": [EV], "source_request_id": "r1"})
    assert len(world.outgoing()) == 1


@pytest.mark.parametrize("absent", [None, ""])
async def test_what_counts_as_no_request_id(world: World, absent: Any) -> None:
    """spec/events-api.md, 5.4."""
    for _ in range(2):
        await world.accept(request(absent))
    assert await names(world) == ["Opened", "Opened"]


async def test_request_ids_are_compared_as_text(world: World) -> None:
    """spec/events-api.md, 5.4: numbers and booleans are taken as their string."""
    for first, second in ((5, "5"), (True, "true")):
        await world.accept(request(first))
        await world.accept(request(second))
    assert await names(world) == ["Opened", "Opened"]


async def test_batch_ids_are_request_ids_of_their_own(world: World) -> None:
    """spec/events-api.md, 5.4."""
    await world.accept(user(source_request_id="7"))
    for _ in range(2):
        await world.accept(user(batch_id=7))
    assert await names(world) == ["Opened", "Opened"]
    assert [each["batch_id"] == 7 for each in world.outgoing()] == [False, True]


async def test_case_52_what_was_refused_may_be_corrected(world: World) -> None:
    """spec/events-api.md, worked case 52."""
    assert (await world.send(request("r2", ""))).status == 400
    await world.accept(request("r2"))
    assert await names(world) == ["Opened"]


async def test_case_52_what_was_limited_may_be_sent_again(
    tmp_path: Path, clock: ManualClock
) -> None:
    """spec/events-api.md, worked case 52."""
    limits = {"limits": {"batches_per_second": 1}}
    document = changed(DOCUMENT, workspace=limits)
    async with running(tmp_path, document=document, clock=clock) as world:
        await world.accept({})
        assert (await world.send(request("r3"))).status == 429
        clock.advance(1000)
        await world.accept(request("r3"))
        clock.advance(1000)
        await world.accept(request("r3", "Again"))
        assert await names(world) == ["Opened"]


async def test_case_53_sent_by_twenty_at_once(world: World) -> None:
    """spec/events-api.md, worked case 53."""
    responses = await asyncio.gather(*(world.send(request("r4")) for _ in range(20)))
    assert {each.status for each in responses} == {202}
    assert await names(world) == ["Opened"]
    assert len(world.outgoing()) == 1
    assert dropped(world, "duplicate_request_id") == 19


@pytest.mark.parametrize("shards", [1, 3])
async def test_case_53_restarted_and_much_later(
    tmp_path: Path, clock: ManualClock, shards: int
) -> None:
    """spec/events-api.md, worked case 53, whether or not the old ids have been swept."""
    steps: list[tuple[int, Callable[[World], None], int]] = [
        (0, lambda world: None, 1),
        (0, lambda world: None, 1),
        (30 * DAY, World.sweep, 1),
        (DAY, lambda world: None, 2),
        (30 * DAY, World.sweep, 2),
        (DAY, World.sweep, 3),
    ]
    for waiting, housekeeping, times in steps:
        clock.advance(waiting)
        async with running(tmp_path, shards=shards, clock=clock) as world:
            housekeeping(world)
            await world.accept(request("r4"))
            assert await names(world) == ["Opened"] * times


async def test_case_54_the_first_of_one_request_wins(world: World) -> None:
    """spec/events-api.md, worked case 54."""
    response = await world.bulk([request("r5", "First"), request("r5", "Second")])
    assert (response.status, await response.read()) == (202, b"")
    assert await names(world) == ["First"]


async def test_a_batch_of_nobodys_is_known_by_its_batch_id_too(world: World) -> None:
    """spec/events-api.md, 5.4: whichever bytes it is sent in, and whichever shard it went to."""
    for spaces in range(6):
        body = b'{"batch_id": 91,%s "events": [%s]}' % (b" " * spaces, orjson.dumps(EV))
        assert (await world.post("/v2/events", body)).status == 202
    assert dropped(world, "duplicate_batch_id") == 5
    assert [each["batch_id"] for each in world.outgoing()] == [91]
