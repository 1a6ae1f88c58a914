"""The worked cases of criteria as they are sent (spec/audiences.md, 14: `POST .../evaluate`)."""

from pathlib import Path
from typing import Any

import pytest

from actors.audiences.criteria import CartAbandonment, EventFilter, Node
from actors.clock import ManualClock
from tests.oracle.audiences import event_cases, user_cases
from tests.oracle.audiences.build import event, named
from tests.oracle.audiences.documents import definition_document
from tests.oracle.audiences.fixture import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    PEOPLE,
    at,
    bodies,
    clip,
    commerce,
    custom,
    iso,
)
from tests.whole.test_audiences import ask
from tests.whole.world import World, running

CASES = [*event_cases.CASES, *user_cases.CASES]
_IN_CART = EventFilter("commerce_event", commerce_actions=("add_to_cart",))


def customer(person: int) -> str:
    return f"c-{person}"


async def send(world: World, person: int, body: dict[str, Any]) -> None:
    identities = {"customer_id": customer(person), **body.get("user_identities", {})}
    await world.accept({"environment": "production", **body, "user_identities": identities})


async def fill(world: World, clock: ManualClock) -> dict[int, int]:
    """Send the fixture, and what happens after the cases' instant; return person to MPID.

    What comes later would change the members of most cases about events.
    """
    for sent in bodies():
        clock.advance(sent.received_ms - clock.now_ms())
        await send(world, sent.person, sent.body)
    later_ms = NOW + HOUR
    clock.advance(later_ms - clock.now_ms())
    for person in PEOPLE:
        later = [
            clip("intro", "Paris", later_ms),
            custom("Login", later_ms),
            commerce("purchase", later_ms, {"name": "Hat", "brand": "Acme", "price": 50}),
        ]
        await send(world, person, {"events": later})
    clock.advance(DAY)
    return {person: await world.mpid(customer(person)) for person in PEOPLE}


async def evaluated(
    world: World, mpids: dict[int, int], definition: Any, as_of_ms: int = NOW
) -> set[int]:
    """Return the people of whom a definition is true at an instant."""
    body = {"definition": definition, "mpids": list(mpids.values()), "as_of": iso(as_of_ms)}
    found = await ask(world, 200, "POST", "/evaluate", body)
    assert [each["mpid"] for each in found] == list(mpids.values())
    return {person for person, each in zip(mpids, found, strict=True) if each["result"]}


def abandoned(wait_ms: int) -> Node:
    """Make a criterion on an abandoned cart."""
    return named(CartAbandonment(_IN_CART, wait_ms))


@pytest.mark.parametrize("shards", [1, 3])
async def test_cases_1_to_20_and_22_to_27_are_evaluated_at_their_instant(
    tmp_path: Path, shards: int
) -> None:
    clock = ManualClock(at("02-20T00:00"))
    async with running(tmp_path, shards=shards, clock=clock) as world:
        mpids = await fill(world, clock)
        second = user_cases.identity("mpid", "in_list", [str(mpids[1002]), "9"])
        for name, node, members in CASES:
            definition = definition_document(second if name == "25 mpid" else node)
            assert await evaluated(world, mpids, definition) == members, name
        for wait_ms, members in ((2 * HOUR, {1003}), (121 * MINUTE, set())):
            abandoning = definition_document(abandoned(wait_ms))
            assert await evaluated(world, mpids, abandoning) == members, "19"
        bought = commerce("purchase", at("03-10T12:30"))
        await send(world, 1003, {"events": [bought]})
        abandoning = definition_document(abandoned(2 * HOUR))
        assert await evaluated(world, mpids, abandoning) == set(), "19 after a purchase"


@pytest.mark.parametrize("shards", [1, 3])
async def test_case_21_events_of_other_inputs_are_not_seen(tmp_path: Path, shards: int) -> None:
    clock = ManualClock(at("02-20T00:00"))
    async with running(tmp_path, shards=shards, clock=clock) as world:
        mpids = await fill(world, clock)
        for source, members in ((1, {1001, 1002}), (2, set())):
            played = EventFilter("custom_event", ("Clip Played",), inputs=(source,))
            definition = definition_document(event(played))
            assert await evaluated(world, mpids, definition) == members
        of_backend = EventFilter("custom_event", ("Clip Played",), inputs=(1,))
        body = {
            "definition": definition_document(event(of_backend)),
            "inputs": [2],
            "mpids": list(mpids.values()),
        }
        refused = await ask(world, 422, "POST", "/evaluate", body)
        assert refused["errors"][0]["code"] == "REFERENCE_NOT_FOUND"


async def test_at_a_later_instant_the_later_events_count(tmp_path: Path) -> None:
    """So that the cases do show that they are hidden."""
    clock = ManualClock(at("02-20T00:00"))
    async with running(tmp_path, clock=clock) as world:
        mpids = await fill(world, clock)
        later = [
            name
            for name, node, members in event_cases.CASES
            if await evaluated(world, mpids, definition_document(node), NOW + 2 * HOUR) != members
        ]
        assert len(later) > len(event_cases.CASES) // 2
