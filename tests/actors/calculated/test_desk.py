"""The desk of calculated attributes and shards that do not answer, or know more."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from actors.calculated.calls import CalculatedShard
from actors.calculated.definition import LiveAttributes
from actors.calculated.desk import CalculatedDesk
from actors.calculated.objects import AttributeFields, CalculatedCatalog, DocumentAttribute
from actors.calculated.seeds import SeedTarget
from actors.clock import ManualClock
from actors.errors import CalculatedRefused, ShardUnavailable
from actors.store.environment import Store
from server.logs import JsonFormatter
from tests.actors.calculated.builders import AS_OF_MS, definition_json, ms

DAYS_9 = {"type": "within", "within": 9, "within_unit": "days"}


class FakeShard:
    """Knows what it was told last; may not answer."""

    def __init__(self, version: int = 0) -> None:
        self.known = LiveAttributes(version)
        self.is_down = False
        self.walked, self.total = 0, 0

    async def set_calculated_attributes(self, live: LiveAttributes) -> int:
        if self.is_down:
            raise ShardUnavailable(0, 0)
        if live.version > self.known.version:
            self.known = live
        return self.known.version

    async def calculated_progress(self) -> tuple[int, int, int, bool]:
        return self.known.version, self.walked, self.total, self.walked == self.total


def desk_over(store: Store, *shards: FakeShard, **catalog: Any) -> CalculatedDesk:
    """Return a desk; no audience refers to anything."""
    return CalculatedDesk(
        store,
        CalculatedCatalog(**catalog),
        cast(list[CalculatedShard], shards),
        dict,
        ManualClock(AS_OF_MS),
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path, 16 * 1024 * 1024)
    yield store
    store.close()


def fields(name: str = "ltv", calculation: str = "count", **members: Any) -> AttributeFields:
    """Return what a request says of an attribute."""
    members.setdefault("period", DAYS_9)
    return AttributeFields(name=name, draft_definition=definition_json(calculation, **members))


async def test_the_tier_of_an_action_is_that_of_its_derived_name(store: Store) -> None:
    """spec/calculated-attributes.md, 5: definitions have the documented name."""
    tiers = {"remove_from_wishlist": "preserve"}
    desk = desk_over(store, FakeShard(), tiers=tiers)
    action = {"event_type": "commerce_event", "custom_event_type": "remove_from_wish_list"}
    number = await desk.create_calculated(fields(datapoint=action), "ops")
    with pytest.raises(CalculatedRefused) as refused:
        await desk.activate_calculated(number, "ops")
    assert refused.value.code == "TIER_NOT_PERSONALIZE"


async def test_all_shards_are_told_of_an_activation(store: Store) -> None:
    """With the number, the name, the revision and what is to be calculated."""
    shards = [FakeShard(), FakeShard()]
    desk = desk_over(store, *shards)
    number = await desk.create_calculated(fields(), "ops")
    assert shards[0].known.attributes == ()
    assert desk.active == {}
    assert await desk.activate_calculated(number, "ops")
    for shard in shards:
        [attribute] = shard.known.attributes
        assert (attribute.number, attribute.name, attribute.revision) == (number, "ltv", 1)
        assert attribute.definition.function == "count"
    assert desk.active == {"ltv": number}
    assert await desk.deactivate_calculated(number, "ops")
    assert shards[0].known.attributes == ()
    assert shards[0].known.kept == {number}, "values and seeds stay"
    assert await desk.delete_calculated(number)
    assert shards[0].known.kept == frozenset()


async def test_a_shard_that_was_not_told_is_told_before_anything_else(store: Store) -> None:
    """The change holds; the next one tells all of it."""
    shards = [FakeShard(), FakeShard()]
    desk = desk_over(store, *shards)
    number = await desk.create_calculated(fields(), "ops")
    shards[1].is_down = True
    with pytest.raises(ShardUnavailable):
        await desk.activate_calculated(number, "ops")
    found = await desk.calculated_attribute(number)
    assert found is not None
    assert found[0].active is not None
    shards[1].is_down = False
    other = await desk.create_calculated(fields("other"), "ops")
    assert await desk.activate_calculated(other, "ops")
    assert [each.number for each in shards[1].known.attributes] == [number, other]


async def test_a_desk_goes_on_from_a_shard_that_knows_more(store: Store) -> None:
    """A store that was put back to an old copy does not leave shards as they are."""
    shard = FakeShard(version=40)
    desk = desk_over(store, shard)
    number = await desk.create_calculated(fields(), "ops")
    await desk.activate_calculated(number, "ops")
    assert shard.known.version > 40
    assert [each.number for each in shard.known.attributes] == [number]


async def test_progress_is_that_of_all_shards(store: Store) -> None:
    """A shard that has not been told has done nothing."""
    shards = [FakeShard(), FakeShard()]
    desk = desk_over(store, *shards)
    number = await desk.create_calculated(fields(), "ops")
    await desk.activate_calculated(number, "ops")
    shards[0].walked = shards[0].total = 100
    shards[1].walked, shards[1].total = 50, 100
    found = await desk.calculation(number)
    assert found is not None
    assert (found[1].is_done, found[1].percent) == (False, 75)
    shards[1].walked = 100
    found = await desk.calculation(number)
    assert found is not None
    assert (found[1].is_done, found[1].percent) == (True, 100)
    shards[1].walked = 0  # something else has begun
    found = await desk.calculation(number)
    assert found is not None
    assert (found[1].is_done, found[1].percent) == (True, 100)
    assert await desk.calculation(1) is None


async def test_seeds_can_be_for_the_draft_and_for_what_is_active(store: Store) -> None:
    """Definitions without a cut-off date take none."""
    desk = desk_over(store, FakeShard())
    number = await desk.create_calculated(fields(cutoff="2026-03-01"), "ops")
    await desk.create_calculated(fields("other"), "ops")
    await desk.activate_calculated(number, "ops")
    edited = fields(cutoff="2026-03-02T05:00:00Z").draft_definition
    await desk.change_calculated(number, AttributeFields(draft_definition=edited), "ops")
    assert await desk.seed_targets() == {
        "ltv": [
            SeedTarget(number, "ltv", "count", ms("03-01T00:00")),
            SeedTarget(number, "ltv", "count", ms("03-02T00:00")),
        ]
    }


async def test_names_are_told_apart_by_case_and_are_each_ones_own(store: Store) -> None:
    """What is said of names and descriptions that cannot be."""
    desk = desk_over(store, FakeShard())
    await desk.create_calculated(fields(), "ops")
    await desk.create_calculated(fields("LTV"), "ops")
    wrong = AttributeFields(name="ltv", description="x" * 1001, draft_definition=None)
    with pytest.raises(CalculatedRefused) as caught:
        await desk.create_calculated(wrong, "ops")
    assert caught.value.messages == [
        "Field 'name' must be unique.",
        "Field 'description' must be a text of at most 1000 characters.",
        "Field 'draft_definition' is required.",
    ]


async def test_the_document_is_in_force_from_the_start(store: Store) -> None:
    """A definition that is as it was keeps its revision; another one counts on."""
    for calculation, revision in (("count", 1), ("count", 1), ("last_occurrence_timestamp", 2)):
        defined = definition_json(calculation, period=DAYS_9)
        attribute = DocumentAttribute(
            number=3,
            id="ltv",
            name="ltv",
            description="",
            definition=defined,
            is_active=True,
        )
        desk = desk_over(store, FakeShard(), attributes=(attribute,))
        assert desk.active == {"ltv": 3}
        found = await desk.calculated_attribute(3)
        assert found is not None
        assert found[0].revision == revision
    desk = desk_over(store, FakeShard())
    assert await desk.delete_calculated(3), "the document has it no more"


async def test_the_log_says_which_attribute_of_the_document_is_not_there(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """Its name was given to another one through the API since."""
    desk = desk_over(store, FakeShard())
    await desk.create_calculated(fields("ltv"), "ops")
    attribute = DocumentAttribute(
        number=3,
        id="ltv",
        name="ltv",
        description="",
        definition=definition_json("count", period=DAYS_9),
        is_active=True,
    )
    desk.take_over(CalculatedCatalog(attributes=(attribute,)))
    [record] = [each for each in caplog.records if "not taken over" in each.getMessage()]
    line = msgspec.json.decode(JsonFormatter("coordinator", "0").format(record))
    assert line["ctx"] == {"calculated": 3}
