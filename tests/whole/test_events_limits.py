"""Limits of names, attributes and event names: worked cases 63 to 66."""

from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from tests.whole.cases import dropped, stored, user
from tests.whole.sent import custom, event
from tests.whole.world import DOCUMENT, World, changed, running

SOURCE_FEED = {"mParticle Source Feed": "Backend"}


async def attributes(world: World, sent: dict[str, Any]) -> dict[str, Any]:
    """Send an event with attributes and return those that are kept, without the source feed's."""
    [data] = await stored(world, custom(custom_attributes=sent))
    kept: dict[str, Any] = data["custom_attributes"]
    return {name: value for name, value in kept.items() if name not in SOURCE_FEED}


async def test_case_63_names_are_cut(world: World) -> None:
    """spec/events-api.md, worked case 63: lengths are in code points."""
    for letter in ("n", "é", "😀"):
        custom_event, screen = await stored(
            world, custom(letter * 300), event("screen_view", screen_name=letter * 300)
        )
        assert custom_event["event_name"] == letter * 256
        assert screen["screen_name"] == letter * 256
        assert await attributes(world, {letter * 300: "1"}) == {letter * 256: "1"}
    assert await attributes(world, {"n" * 256: "1"}) == {"n" * 256: "1"}
    assert dropped(world, "event_name_length") == 6
    assert dropped(world, "attribute_name_length") == 3


async def test_case_63_cut_names_that_become_equal(world: World) -> None:
    """spec/events-api.md, 14: the last value."""
    sent = {"n" * 256 + "1": "first", "n" * 256 + "2": "last"}
    assert await attributes(world, sent) == {"n" * 256: "last"}


@pytest.mark.parametrize("letter", ["v", "😀"])
async def test_case_63_long_values_are_left_out(world: World, letter: str) -> None:
    """spec/events-api.md, worked case 63."""
    sent = {"long": letter * 4097, "just": letter * 4096, "short": "1"}
    kept = {"just": letter * 4096, "short": "1"}
    assert await attributes(world, sent) == kept
    assert world.outgoing()[0]["events"][0]["data"]["custom_attributes"] == kept | SOURCE_FEED
    await world.accept(user(user_attributes=sent))
    assert await world.attributes("a") == kept
    assert dropped(world, "attribute_value_length") == 2


async def test_case_64_the_first_100_attributes(world: World) -> None:
    """spec/events-api.md, worked case 64: in document order."""
    sent = {f"a{number}": "1" for number in reversed(range(101))}
    kept = dict(list(sent.items())[:100])
    assert "a0" not in kept
    [data] = await stored(world, custom(custom_attributes=sent))
    assert data["custom_attributes"] == kept | SOURCE_FEED
    assert await attributes(world, kept) == kept
    await world.accept(user(user_attributes=sent))
    assert await world.attributes("a") == kept
    assert dropped(world, "attribute_count") == 2


async def test_case_65_long_lists_are_left_out(world: World) -> None:
    """spec/events-api.md, worked case 65."""
    await world.accept(user(user_attributes={"list": ["old"], "entry": ["old"]}))
    long = {"list": ["x"] * 1001, "entry": ["short", "x" * 513], "other": "1"}
    await world.accept(user(user_attributes=long))
    assert await world.attributes("a") == {"list": ["old"], "entry": ["old"], "other": "1"}
    assert (dropped(world, "list_length"), dropped(world, "list_entry_length")) == (1, 1)
    just = {"list": ["x"] * 1000, "entry": ["😀" * 512]}
    await world.accept(user(user_attributes=just))
    assert await world.attributes("a") == just | {"other": "1"}


async def test_long_names_of_user_attributes_are_left_out(world: World) -> None:
    """spec/events-api.md, 14: unlike those of event attributes, which are cut."""
    await world.accept(user(user_attributes={"n" * 257: "1", "n" * 256: "1", "": "1"}))
    assert await world.attributes("a") == {"n" * 256: "1"}


async def names(world: World, *sent: str, customer: str = "a") -> list[str]:
    """Send custom events in one batch and return the names of those that are kept."""
    before = len(await world.timeline(customer)) if await world.find(customer) else 0
    await world.accept(user(customer, events=[custom(each) for each in sent]))
    shown = await world.timeline(customer)
    return [each["name"] for each in shown[0]["events"]] if len(shown) > before else []


@pytest.mark.parametrize("shards", [1, 3])
async def test_case_66_distinct_event_names(
    tmp_path: Path, clock: ManualClock, shards: int
) -> None:
    """spec/events-api.md, worked case 66; the names seen survive a restart."""
    document = changed(DOCUMENT, workspace={"limits": {"unique_event_names": 3}})
    async with running(tmp_path, shards=shards, document=document, clock=clock) as world:
        for customer, name in (("a", "A"), ("b", "B"), ("c", "C")):
            assert await names(world, name, customer=customer) == [name]
        for customer in "abcdef":
            assert await names(world, "A", "D", customer=customer) == ["A"]
        assert dropped(world, "event_name_limit") == 6
        assert await names(world, "D") == []
        assert await names(world, "C") == ["C"]
        sent = [[each["data"]["event_name"] for each in out["events"]] for out in world.outgoing()]
        assert all("D" not in each for each in sent)
    async with running(tmp_path, shards=shards, document=document, clock=clock) as world:
        assert await names(world, "D", "B", customer="g") == ["B"]


async def test_case_66_a_name_counts_once_per_type(tmp_path: Path, clock: ManualClock) -> None:
    """spec/events-api.md, 14: distinct (event_type, name)."""
    document = changed(DOCUMENT, workspace={"limits": {"unique_event_names": 1}})
    async with running(tmp_path, document=document, clock=clock) as world:
        screen = event("screen_view", screen_name="A")
        await world.accept(user(events=[custom("A"), screen, event("session_start")]))
        kept = [each["event_type"] for each in await world.events("a")]
        assert kept == ["custom_event", "session_start"]
