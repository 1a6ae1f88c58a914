"""The worked cases of calculated attributes as they are sent (spec/calculated-attributes.md, 6:
`POST .../preview`)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from actors.model.batches import StoredBatch
from tests.oracle.audiences.fixture import DAY, HOUR, NOW, at, iso
from tests.oracle.calculated.test_cases import (
    BATCHES,
    CASES,
    FIVE_DAYS,
    SEEDED,
    buy,
    defined,
    seeded,
    stored,
)
from tests.whole import test_audiences
from tests.whole.test_calculated import WORKSPACE_KEY, ask, make, seed, settle
from tests.whole.world import DOCUMENT, World, changed, running

LATER_MS = NOW + HOUR  # after the instant that is asked about
_VALUES = frozenset({"count", "sum", "first_occurrence", "last_occurrence"})


@pytest.fixture(params=[1, 3], ids=["1 shard", "3 shards"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    own = {"dsr_credentials": {"key": "kd-workspace", "secret": "sd"}}
    document = changed(DOCUMENT, workspace=own)
    clock = ManualClock(at("03-01T00:00"))
    async with running(tmp_path, shards=request.param, clock=clock, document=document) as made:
        yield made


async def send(world: World, customer: str, *batches: StoredBatch) -> None:
    """Send batches, each when it was received."""
    clock = world.clock
    assert isinstance(clock, ManualClock)
    for each in batches:
        clock.advance(max(each.received_ms - clock.now_ms(), 0))
        events = [
            {
                "event_type": event.event_type,
                "data": {"timestamp_unixtime_ms": event.timestamp_ms, **event.data},
            }
            for event in each.batch.events
        ]
        identities = {"customer_id": customer}
        await world.accept(
            {"environment": "production", "user_identities": identities} | {"events": events}
        )


async def previewed(
    world: World, customer: str, definition: dict[str, Any], as_of_ms: int = NOW
) -> Any:
    """Return the value of a user at an instant."""
    mpid = await world.mpid(customer)
    body = {"definition": sent(definition), "mpids": [mpid], "as_of": iso(as_of_ms)}
    [found] = await ask(world, 200, "POST", "/preview", body)
    assert found["mpid"] == mpid
    return found["value"]


def sent(definition: dict[str, Any]) -> dict[str, Any]:
    """Return a definition of the oracle's as the API takes it."""
    return {"recipe_type": "event", **definition}


async def bring_buyer(world: World) -> None:
    """Send the events of the worked cases, and one after the instant that is asked about."""
    await send(world, "ann", *BATCHES)
    late = stored(7, buy(LATER_MS, amt="1000", cat="zebra"))
    await send(world, "ann", late)


async def plant(world: World, customer: str, name: str, function: str, value: Any) -> None:
    """Seed an attribute that has a cut-off date in its definition."""
    attributes = await ask(world, 200, "GET", "", None, name=name)
    cutoff = attributes[0]["draft_definition"]["seeding"]["cutoff_date"]
    form = "list" if function == "unique_list" else "key_value_pairs"
    content = {"value": value} if function in _VALUES else {form: value}
    content_of = {
        "attribute_name": name,
        "calculation_type": function,
        "cutoff_date": cutoff[:10],
        "seed": content,
    }
    body = {
        "environment": "production",
        "mpid": await world.mpid(customer),
        "calculated_attributes": {"workspace": [content_of]},
    }
    assert await seed(world, body, WORKSPACE_KEY) == (202, None)


async def test_cases_1_to_8_have_their_values_at_their_instant(world: World) -> None:
    await bring_buyer(world)
    for name, definition, expected in CASES:
        assert await previewed(world, "ann", definition) == expected, name
    await send(world, "bob", stored(1, buy(LATER_MS)))
    assert await previewed(world, "bob", defined("count")) is None, "7: no Buy until then"
    border_ms = at("03-10T10:00")
    rolling = defined("count", time_period=FIVE_DAYS)
    assert await previewed(world, "ann", rolling, border_ms) == "1"
    assert await previewed(world, "ann", rolling, border_ms + 1) == "0"
    assert await previewed(world, "ann", defined("count"), LATER_MS) == "6"


async def test_case_9_a_late_event_counts_at_its_own_time(world: World) -> None:
    await bring_buyer(world)
    for day, cat in (("02-20", "hats"), ("02-10", "caps")):
        late = stored(8, buy(at(f"{day}T00:00"), cat=cat), received_ms=LATER_MS)
        await send(world, "ann", late)
        assert await previewed(world, "ann", defined("first_occurrence", "cat")) == "hats"
        assert await previewed(world, "ann", defined("last_occurrence", "cat")) == "bags"
        assert await previewed(world, "ann", defined("count")) == "6"


async def test_case_10_the_first_hundred_values_are_kept(world: World) -> None:
    texts = [f"v{number:03d}" for number in range(1, 151)]
    events = [buy(NOW - DAY, cat=text) for text in [*texts, *["v150"] * 10, "v001"]]
    batches = [stored(first, *events[first : first + 50]) for first in range(0, len(events), 50)]
    await send(world, "ann", *batches)
    assert await previewed(world, "ann", defined("unique_list", "cat")) == texts[:100]
    assert await previewed(world, "ann", defined("most_frequent", "cat")) == "v001"
    assert await previewed(world, "ann", defined("unique_values_count", "cat")) == "150"


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [(("0.1", "0.2"), "0.3"), (("5",), "5"), (("1e15", "1"), "1e+15")],
    ids=["0.3", "5", "1e+15"],
)
async def test_case_11_numbers_have_fifteen_digits(
    world: World, amounts: tuple[str, ...], expected: str
) -> None:
    await send(world, "ann", *(stored(1, buy(NOW - DAY, amt=each)) for each in amounts))
    assert await previewed(world, "ann", defined("sum", "amt")) == expected


async def test_cases_22_24_and_25_go_on_from_a_seed(world: World) -> None:
    await bring_buyer(world)
    names: dict[str, str] = {}
    for name, definition, value, expected in SEEDED:
        key = str(definition)
        if key not in names:
            names[key] = name
            await make(world, name, sent(definition))
        await plant(world, "ann", names[key], definition["calculation_type"], value)
        assert await previewed(world, "ann", definition) == expected, name


async def test_case_23_a_seeded_average_weighs_by_count(world: World) -> None:
    average = seeded("average", "amt", "2026-03-01")
    await make(world, "23", sent(average))
    await send(world, "ann", *(stored(1, buy(NOW - DAY, amt=each)) for each in ("20.2", "10.6")))
    await plant(world, "ann", "23", "average", {"sum": 299.2, "count": 20})
    assert await previewed(world, "ann", average) == "15"


async def test_case_26_a_seed_never_leaves_a_rolling_range(world: World) -> None:
    rolling = seeded("count", "amt", "2026-03-01", time_period=FIVE_DAYS)
    await make(world, "26", sent(rolling))
    await send(world, "ann", stored(1, buy(NOW - DAY)))
    await plant(world, "ann", "26", "count", 7)
    assert await previewed(world, "ann", rolling) == "8"
    assert await previewed(world, "ann", rolling, NOW + 5 * DAY) == "7"


async def test_case_7_a_sum_of_texts_is_missing_in_audiences(world: World) -> None:
    await send(world, "ann", *BATCHES)
    number = await make(world, "cats", sent(defined("sum", "cat")))
    await ask(world, 204, "POST", f"/{number}/activation")
    settle(world)
    assert "cats" not in await world.attributes("ann")
    criterion = {
        "type": "calculated_attribute",
        "attribute_name": "cats",
        "value_type": "number",
    }
    for tested, expected in (
        ({"operator": "less_than", "value": 1}, False),
        ({"operator": "not_exists"}, True),
        ({"operator": "exists"}, False),
    ):
        body = {"definition": criterion | tested, "mpids": [await world.mpid("ann")]}
        [found] = await test_audiences.ask(world, 200, "POST", "/evaluate", body)
        assert found["result"] is expected, tested
