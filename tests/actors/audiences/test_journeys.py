"""Journeys (spec/audiences.md, 13; worked case 46)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.audiences.fields import (
    AudienceFields,
    JourneyFields,
    MilestoneFields,
    SubscriptionFields,
)
from actors.audiences.objects import Journey, Milestone, Variation
from actors.audiences.trees import members_document
from actors.audiences.trees import milestone as found_milestone
from actors.errors import AudienceRefused
from tests.actors.audiences.desks import (
    ACTOR,
    HOOK,
    Desk,
    age_from,
    attribute,
    clips,
    code,
    made,
    member_of,
    open_desk,
)
from tests.oracle.audiences.fixture import APP, make_users


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_desk(tmp_path, make_users()) as opened:
        yield opened


async def milestone(desk: Desk, journey: int, name: str, **fields: Any) -> Milestone:
    made = await desk.calls.create_milestone(journey, MilestoneFields(name=name, **fields), ACTOR)
    assert made is not None
    return made


async def connect(desk: Desk, milestone: Milestone) -> None:
    fields = SubscriptionFields(output=HOOK)
    assert await desk.calls.create_subscription(milestone.audience, fields, ACTOR)
    await desk.settle()


async def status(desk: Desk, milestone: Milestone) -> str:
    audience = await desk.calls.audience(milestone.audience)
    assert audience is not None
    return audience.status


async def split(desk: Desk) -> tuple[int, Milestone, Milestone, Milestone]:
    """Make the journey of the worked case, with all of its milestones connected."""
    journey = await desk.calls.create_journey(JourneyFields(name="J"), ACTOR)
    first = await milestone(desk, journey.number, "M1", definition=attribute("premium"))
    rest = await milestone(desk, journey.number, "R", kind="remaining_users")
    second = await milestone(desk, journey.number, "M2", definition=age_from(18))
    for each in (first, second, rest):
        await connect(desk, each)
    return journey.number, first, second, rest


async def refused(call: Any) -> str:
    with pytest.raises(AudienceRefused) as error:
        await call
    return error.value.code


async def test_the_first_sibling_that_matches_takes_the_user(desk: Desk) -> None:
    """Worked case 46."""
    journey, first, second, rest = await split(desk)
    assert desk.members(first.audience) == {1001, 1002}
    assert desk.members(second.audience) == {1003}
    assert desk.members(rest.audience) == {1004, 1005}

    swapped = await desk.calls.replace_milestone(
        journey, second.number, MilestoneFields(position=0), ACTOR
    )
    assert swapped is not None
    assert swapped.position == 0
    await desk.settle()
    assert desk.members(second.audience) == {1001, 1003}
    assert desk.members(first.audience) == {1002}
    assert desk.members(rest.audience) == {1004, 1005}


async def test_a_child_is_part_of_its_parent(desk: Desk) -> None:
    """Worked case 46."""
    journey, first, _, _ = await split(desk)
    child = await milestone(desk, journey, "C", parent=first.number, definition=clips(1))
    await connect(desk, child)
    assert desk.members(child.audience) == {1001}
    assert desk.members(first.audience) == {1001, 1002}
    others = await milestone(desk, journey, "O", parent=first.number, kind="remaining_users")
    await connect(desk, others)
    assert desk.members(others.audience) == {1002}


async def test_a_milestone_that_a_running_audience_refers_to_stays_active(desk: Desk) -> None:
    """Section 8, rule 4; afterwards it is active only while it is connected."""
    _, first, _, _ = await split(desk)
    other = await made(desk, "B", member_of(first.audience))
    assert await desk.calls.activate_audience(other.number, ACTOR)
    await desk.settle()
    assert desk.members(other.number) == {1001, 1002}
    subscriptions = await desk.calls.subscriptions(first.audience)
    assert subscriptions is not None
    [connected] = subscriptions
    assert await desk.calls.delete_subscription(first.audience, connected.number)
    await desk.settle()
    assert await status(desk, first) == "active"
    assert desk.members(other.number) == {1001, 1002}
    assert await desk.calls.deactivate_audience(other.number, False, ACTOR)
    assert await status(desk, first) == "inactive"


async def test_only_a_leaf_can_be_deleted_and_a_split_has_one_rest(desk: Desk) -> None:
    """Worked case 46."""
    journey, first, second, rest = await split(desk)
    child = await milestone(desk, journey, "C", parent=first.number, definition=clips(1))
    calls = desk.calls
    assert await refused(calls.delete_milestone(journey, first.number, ACTOR)) == "INVALID_STATE"
    again = MilestoneFields(name="R2", kind="remaining_users")
    assert await refused(calls.create_milestone(journey, again, ACTOR)) == "INVALID_STATE"
    alone = MilestoneFields(name="R3", kind="remaining_users", parent=second.number)
    assert await refused(calls.create_milestone(journey, alone, ACTOR)) == "INVALID_STATE"
    assert await refused(calls.delete_journey(journey)) == "INVALID_STATE"
    for each in (child, rest, second, first):
        assert await calls.delete_milestone(journey, each.number, ACTOR)
    assert await calls.audiences() == []
    assert await calls.all_subscriptions() == []
    assert await calls.delete_journey(journey)
    assert not await calls.delete_journey(journey)


async def test_the_rest_stays_at_the_right_and_has_no_criteria(desk: Desk) -> None:
    journey, _, _, rest = await split(desk)
    moved = await desk.calls.replace_milestone(
        journey, rest.number, MilestoneFields(position=0), ACTOR
    )
    assert moved is not None
    assert moved.position == 2
    edit = MilestoneFields(definition=clips(1))
    call = desk.calls.replace_milestone(journey, rest.number, edit, ACTOR)
    assert await refused(call) == "INVALID_STATE"


async def test_a_milestone_is_calculated_while_it_or_one_below_it_is_connected(
    desk: Desk,
) -> None:
    journey = await desk.calls.create_journey(JourneyFields(name="J"), ACTOR)
    parent = await milestone(desk, journey.number, "P", definition=attribute("premium"))
    child = await milestone(desk, journey.number, "C", parent=parent.number, definition=clips(1))
    assert (await status(desk, parent), await status(desk, child)) == ("draft", "draft")
    await connect(desk, child)
    assert (await status(desk, parent), await status(desk, child)) == ("active", "active")
    [subscription] = await desk.calls.all_subscriptions()
    await desk.calls.delete_subscription(child.audience, subscription.number)
    await desk.settle()
    assert (await status(desk, parent), await status(desk, child)) == ("inactive", "inactive")
    assert desk.members(parent.audience) == set()


async def test_parents_that_are_calculated_for_others_do_not_count(tmp_path: Path) -> None:
    with open_desk(tmp_path, make_users(), max_active=1) as desk:
        journey = await desk.calls.create_journey(JourneyFields(name="J"), ACTOR)
        parent = await milestone(desk, journey.number, "P", definition=attribute("premium"))
        child = await milestone(
            desk, journey.number, "C", parent=parent.number, definition=clips(1)
        )
        await connect(desk, child)
        fields = SubscriptionFields(output=HOOK)
        call = desk.calls.create_subscription(parent.audience, fields, ACTOR)
        assert await refused(call) == "LIMIT_EXCEEDED"


async def test_an_edit_concerns_what_is_to_the_right_and_below(desk: Desk) -> None:
    journey, first, second, rest = await split(desk)
    child = await milestone(desk, journey, "C", parent=second.number, definition=clips(0))
    await connect(desk, child)

    async def revisions() -> dict[int, int]:
        return {each.number: each.revision for each in await desk.calls.audiences()}

    before = await revisions()
    await desk.calls.replace_milestone(
        journey, second.number, MilestoneFields(definition=age_from(30)), ACTOR
    )
    after = await revisions()
    changed = {number for number, revision in after.items() if revision != before[number]}
    assert changed == {second.audience, child.audience, rest.audience}
    await desk.settle()
    assert desk.members(rest.audience) == {1003, 1004, 1005}
    assert desk.members(first.audience) == {1001, 1002}


async def test_other_inputs_are_seen_by_all_milestones(desk: Desk) -> None:
    journey = await desk.calls.create_journey(JourneyFields(name="J", inputs=(7,)), ACTOR)
    first = await milestone(desk, journey.number, "M", definition=clips(0))
    await connect(desk, first)
    assert desk.members(first.audience) == {1001, 1002}
    await desk.calls.replace_journey(journey.number, JourneyFields(inputs=(8,)), ACTOR)
    await desk.settle()
    assert desk.members(first.audience) == set()
    call = desk.calls.replace_journey(journey.number, JourneyFields(inputs=(9,)), ACTOR)
    assert await refused(call) == "REFERENCE_NOT_FOUND"


async def test_names_follow_the_journey_and_are_unique(desk: Desk) -> None:
    journey, first, _, _ = await split(desk)
    await desk.calls.replace_journey(journey, JourneyFields(name="K"), ACTOR)
    audience = await desk.calls.audience(first.audience)
    assert audience is not None
    assert (audience.name, audience.external_name) == ("K - M1", "K - M1")
    twice = desk.calls.create_journey(JourneyFields(name="k"), ACTOR)
    assert await refused(twice) == "NAME_NOT_UNIQUE"
    same = MilestoneFields(name="M1", definition=clips(0))
    assert await refused(desk.calls.create_milestone(journey, same, ACTOR)) == "NAME_NOT_UNIQUE"


async def test_names_that_are_cut_are_numbered(desk: Desk) -> None:
    """What tells the milestones apart may be what there is no room for."""
    long = "x" * 97
    journey = await desk.calls.create_journey(JourneyFields(name=long), ACTOR)
    milestones = [
        await milestone(desk, journey.number, each, definition=clips(0)) for each in ("M1", "M2")
    ]

    async def names() -> list[str]:
        found = [await desk.calls.audience(each.audience) for each in milestones]
        return [each.name for each in found if each is not None]

    assert await names() == [f"{long} -", f"{'x' * 96} (2)"]
    longer = JourneyFields(name="y" * 100)
    assert await desk.calls.replace_journey(journey.number, longer, ACTOR)
    assert await names() == ["y" * 100, f"{'y' * 96} (2)"]
    for index in (0, 1):
        fields = MilestoneFields(name=f"N{index}")
        number = milestones[index].number
        assert await desk.calls.replace_milestone(journey.number, number, fields, ACTOR)
    assert await names() == ["y" * 100, f"{'y' * 96} (2)"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("inputs", (APP,), id="inputs"),
        pytest.param("workspaces", (3, 4), id="workspaces"),
        pytest.param("definition", attribute("gold"), id="definition"),
        pytest.param("definition", None, id="no definition"),
    ],
)
async def test_what_the_journey_decides_cannot_be_changed_behind_its_back(
    desk: Desk, field: str, value: Any
) -> None:
    _, first, _, _ = await split(desk)
    fields = AudienceFields(**{field: value})
    call = desk.calls.replace_audience(first.audience, fields, ACTOR)
    assert await code(call) == ("INVALID_STATE", f"/{field}")


async def test_what_the_journey_decides_can_be_sent_back_with_another_name(desk: Desk) -> None:
    number, _, second, _ = await split(desk)
    journey = await desk.calls.journey(number)
    audience = await desk.calls.audience(second.audience)
    assert journey is not None
    assert audience is not None
    kept = found_milestone(journey, second.number)
    assert kept is not None
    fields = AudienceFields(
        name="Adults",
        inputs=audience.inputs,
        workspaces=audience.workspaces,
        definition=members_document(journey, kept),
    )
    after = await desk.calls.replace_audience(second.audience, fields, ACTOR)
    assert after is not None
    assert (after.name, after.revision, after.status) == ("Adults", audience.revision, "active")


async def test_a_clone_of_a_milestones_audience_has_the_same_members(desk: Desk) -> None:
    """Section 8, rule 1."""
    journey, first, second, rest = await split(desk)
    child = await milestone(desk, journey, "C", parent=first.number, definition=clips(1))
    for original, members in [(second, {1003}), (rest, {1004, 1005}), (child, {1001})]:
        clone = await desk.calls.clone_audience(original.audience, ACTOR)
        assert clone is not None
        assert (clone.status, clone.journey) == ("draft", None)
        assert await desk.calls.activate_audience(clone.number, ACTOR)
        await desk.settle()
        assert desk.members(clone.number) == members


async def test_a_milestones_audience_is_managed_by_its_journey_alone(desk: Desk) -> None:
    _, first, _, _ = await split(desk)
    calls = desk.calls
    number = first.audience
    assert await refused(calls.delete_audience(number)) == "INVALID_STATE"
    assert await refused(calls.activate_audience(number, ACTOR)) == "INVALID_STATE"
    assert await refused(calls.deactivate_audience(number, False, ACTOR)) == "INVALID_STATE"


async def test_a_restart_gives_the_same_journey(tmp_path: Path) -> None:
    users = make_users()
    with open_desk(tmp_path, users) as desk:
        journey, first, _, _ = await split(desk)
        before: Journey | None = await desk.calls.journey(journey)
        shards = desk.shards
    with open_desk(tmp_path, users, kept=shards) as again:
        assert await again.calls.journey(journey) == before
        await again.settle()
        assert again.members(first.audience) == {1001, 1002}


async def test_a_milestone_whose_audience_has_a_test_has_none_below_it(desk: Desk) -> None:
    """spec/predictions.md, 9, worked case 30: a child is of no variation."""
    journey, first, second, _ = await split(desk)
    await desk.calls.create_test(first.audience, (Variation("A", 5000),), ACTOR)
    fields = MilestoneFields(name="Offer", parent=first.number, definition=attribute("premium"))
    with pytest.raises(AudienceRefused) as error:
        await desk.calls.create_milestone(journey, fields, ACTOR)
    [problem] = error.value.problems
    assert (error.value.code, problem.path) == ("INVALID_STATE", "/parent_id")
    assert await desk.calls.delete_test(first.audience)
    await desk.calls.create_milestone(journey, fields, ACTOR)
    again = desk.calls.create_test(first.audience, (Variation("A", 5000),), ACTOR)
    assert await refused(again) == "INVALID_STATE"
    assert await desk.calls.create_test(second.audience, (Variation("A", 5000),), ACTOR)
