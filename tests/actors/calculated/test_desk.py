"""The desk of calculated attributes and shards that do not answer, or know more."""

import pytest
from msgspec.structs import replace

from actors.calculated.keeper import RegistryKeeper
from actors.calculated.objects import AttributeFields
from actors.calculated.seeds import SeedTarget
from actors.errors import CalculatedRefused, ShardUnavailable
from actors.store.environment import Store
from tests.actors.calculated.builders import ms
from tests.actors.calculated.desks import FakeShard, attributes_over, desk_of, fields


async def test_the_tier_of_an_action_is_that_of_its_derived_name(store: Store) -> None:
    """spec/calculated-attributes.md, 5: definitions have the documented name."""
    tiers = {"remove_from_wishlist": "preserve"}
    desk = desk_of(attributes_over(store, FakeShard(), tiers=tiers))
    action = {"event_type": "commerce_event", "custom_event_type": "remove_from_wish_list"}
    number = await desk.create_calculated(fields(datapoint=action), "ops")
    with pytest.raises(CalculatedRefused) as refused:
        await desk.activate_calculated(number, "ops")
    assert refused.value.code == "TIER_NOT_PERSONALIZE"


async def test_all_shards_are_told_of_an_activation(store: Store) -> None:
    """With the number, the name, the revision and what is to be calculated."""
    shards = [FakeShard(), FakeShard()]
    attributes = attributes_over(store, *shards)
    desk = desk_of(attributes)
    number = await desk.create_calculated(fields(), "ops")
    assert shards[0].known.attributes == ()
    assert (attributes.active, attributes.drafts) == ({}, {"ltv": number})
    assert await desk.activate_calculated(number, "ops")
    for shard in shards:
        [attribute] = shard.known.attributes
        assert (attribute.number, attribute.name, attribute.revision) == (number, "ltv", 1)
        assert attribute.definition.function == "count"
    assert (attributes.active, attributes.drafts) == ({"ltv": number}, {})
    assert await desk.deactivate_calculated(number, "ops")
    assert (attributes.active, attributes.drafts) == ({}, {"ltv": number})
    assert shards[0].known.attributes == ()
    assert shards[0].known.kept == {number}, "values and seeds stay"
    assert await desk.delete_calculated(number)
    assert shards[0].known.kept == frozenset()
    assert attributes.drafts == {}


async def test_a_draft_is_known_by_its_present_name(store: Store) -> None:
    attributes = attributes_over(store, FakeShard())
    desk = desk_of(attributes)
    number = await desk.create_calculated(fields(), "ops")
    assert await desk.change_calculated(number, AttributeFields(name="worth"), "ops")
    assert attributes.drafts == {"worth": number}


async def test_shards_are_not_told_what_they_could_not_read_again(store: Store) -> None:
    """An earlier version took names of screens that are no text; values and seeds stay."""
    shard = FakeShard()
    former = desk_of(attributes_over(store, shard))
    number = await former.create_calculated(fields(), "ops")
    keeper = RegistryKeeper(store)
    with keeper.changing() as changed:
        drafted = changed.attributes[number]
        assert drafted.draft is not None
        screen = drafted.draft["datapoint"] | {"event_type": "screen_view", "event_name": ["Home"]}
        changed.put(replace(drafted, active=drafted.draft | {"datapoint": screen}))
        changed.tell_shards()
    attributes = attributes_over(store, shard)
    desk = desk_of(attributes)
    await attributes.push()
    assert shard.known.version == 1
    assert [each.number for each in shard.known.attributes] == []
    assert shard.known.kept == {number}
    draft_definition = fields().draft_definition
    await desk.change_calculated(number, AttributeFields(draft_definition=draft_definition), "ops")
    await desk.activate_calculated(number, "ops")
    assert [each.number for each in shard.known.attributes] == [number]


async def test_a_shard_that_was_not_told_is_told_before_anything_else(store: Store) -> None:
    """The change holds; the next one tells all of it."""
    shards = [FakeShard(), FakeShard()]
    desk = desk_of(attributes_over(store, *shards))
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
    desk = desk_of(attributes_over(store, shard))
    number = await desk.create_calculated(fields(), "ops")
    await desk.activate_calculated(number, "ops")
    assert shard.known.version > 40
    assert [each.number for each in shard.known.attributes] == [number]


async def test_progress_is_that_of_all_shards(store: Store) -> None:
    """A shard that has not been told has done nothing."""
    shards = [FakeShard(), FakeShard()]
    desk = desk_of(attributes_over(store, *shards))
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
    desk = desk_of(attributes_over(store, FakeShard()))
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
    desk = desk_of(attributes_over(store, FakeShard()))
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
