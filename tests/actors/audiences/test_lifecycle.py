"""When audiences are evaluated (spec/audiences.md, 2.1, 8 and 8.1)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.audiences.fields import AudienceFields, SubscriptionFields
from actors.audiences.objects import AccessRequest, DateRange, Variation
from actors.errors import ShardUnavailable
from tests.actors.audiences.desks import (
    ACTOR,
    HOOK,
    Desk,
    active,
    attribute,
    clips,
    code,
    made,
    member_of,
    now,
    open_desk,
)
from tests.oracle.audiences.fixture import make_users

DAY_MS = 86_400_000


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_desk(tmp_path, make_users()) as opened:
        yield opened


async def test_only_so_many_audiences_can_be_active(tmp_path: Path) -> None:
    """Worked case 39."""
    with open_desk(tmp_path, make_users(), max_active=2) as desk:
        for name in ("A", "B"):
            await active(desk, name, attribute(name))
        third = await made(desk, "C", attribute("c"))
        activation = desk.calls.activate_audience(third.number, ACTOR)
        assert (await code(activation))[0] == "LIMIT_EXCEEDED"
        [first, *_] = await desk.calls.audiences()
        assert await desk.calls.deactivate_audience(first.number, False, ACTOR)
        assert await desk.calls.activate_audience(third.number, ACTOR)


async def test_events_of_an_active_audience_are_of_tier_personalize(tmp_path: Path) -> None:
    """Worked case 37: a draft may name them, an active audience may not."""
    with open_desk(tmp_path, make_users(), tiers={"Clip Played": "preserve"}) as desk:
        draft = await made(desk, "Clips", clips(1))
        activation = desk.calls.activate_audience(draft.number, ACTOR)
        assert (await code(activation))[0] == "TIER_NOT_PERSONALIZE"
        audience = await active(desk, "Premium", attribute("premium"))
        edit = desk.calls.replace_audience(
            audience.number, AudienceFields(definition=clips(1)), ACTOR
        )
        assert (await code(edit))[0] == "TIER_NOT_PERSONALIZE"
        assert (await now(desk, audience)).revision == 1


async def test_an_audience_needs_a_definition_and_active_targets_to_be_activated(
    desk: Desk,
) -> None:
    empty = await made(desk, "Empty")
    assert await code(desk.calls.activate_audience(empty.number, ACTOR)) == (
        "INVALID_STATE",
        "/definition",
    )
    outer = await made(desk, "Outer", member_of((await made(desk, "In", clips(0))).number))
    assert (await code(desk.calls.activate_audience(outer.number, ACTOR)))[0] == "INVALID_STATE"
    assert not await desk.calls.activate_audience(12345, ACTOR)


async def test_deactivation_takes_memberships_and_clears_outputs_if_asked(desk: Desk) -> None:
    audience = await active(desk, "Premium", attribute("premium"))
    await desk.calls.create_subscription(audience.number, SubscriptionFields(output=HOOK), ACTOR)
    assert await desk.calls.deactivate_audience(audience.number, True, ACTOR)
    live = desk.shards[0].live
    assert live.audiences == ()
    assert live.leaving == {audience.number}
    assert [each.subscription.audience for each in live.subscriptions] == [audience.number]
    await desk.settle()
    assert desk.members(audience.number) == set()
    assert (await now(desk, audience)).status == "inactive"
    assert desk.shards[0].live.leaving == set()


async def test_variations_of_what_is_deactivated_are_known_until_outputs_are_cleared(
    desk: Desk,
) -> None:
    audience = await active(desk, "Premium", attribute("premium"))
    split = await desk.calls.create_test(audience.number, (Variation("A", 5000),), ACTOR)
    assert split is not None
    assert await desk.calls.deactivate_audience(audience.number, True, ACTOR)
    assert desk.shards[0].live.leaving_tests == {audience.number: split.test}
    await desk.settle()
    assert desk.shards[0].live.leaving_tests == {}


async def test_a_clone_is_a_draft_of_another_name(desk: Desk) -> None:
    """Rule 1 of section 8."""
    audience = await active(desk, "Premium", attribute("premium"), tags=("vip",))
    await desk.calls.create_test(audience.number, (Variation("A", 5000),), ACTOR)
    clone, second = [await desk.calls.clone_audience(audience.number, ACTOR) for _ in range(2)]
    assert clone is not None
    assert second is not None
    assert (clone.name, second.name) == ("Premium (copy)", "Premium (copy 2)")
    assert (clone.status, clone.test, clone.tags) == ("draft", None, ("vip",))
    assert clone.definition == audience.definition
    long = await made(desk, "x" * 100)
    copy = await desk.calls.clone_audience(long.number, ACTOR)
    assert copy is not None
    assert copy.name == "x" * 93 + " (copy)"


async def test_nobody_has_asked_for_a_clone(desk: Desk) -> None:
    """Sharing is not copied, nor what other accounts ask for."""
    audience = await made(desk, "Premium", attribute("premium"))
    await desk.calls.share_audience(audience.number, "view_only", None)
    account = audience.account + 1
    asked = AccessRequest(
        level="usable",
        start=None,
        end=None,
        details="",
        platforms=(),
        requested_by="bob",
        requested_ms=0,
    )
    shared = await desk.calls.request_access(audience.number, account, asked)
    assert shared is not None
    clone = await desk.calls.clone_audience(audience.number, ACTOR)
    assert clone is not None
    assert (clone.default_level, clone.access_requests) == ("private", {})
    assert (await now(desk, audience)).access_requests == {account: asked}


@pytest.mark.parametrize(
    ("ranges", "credits_"),
    [
        ([("2018-01-01", "2020-01-01")], 2),
        ([("2019-01-01", "2019-12-31")], 1),
        ([("2019-05-05", "2019-05-05")], 1),
        ([("2019-01-01", "2019-12-31")] * 3, 1),
        ([(None, None)], 2),
    ],
)
async def test_a_run_costs_a_credit_for_every_year(
    desk: Desk, ranges: list[tuple[str | None, str | None]], credits_: int
) -> None:
    """Worked case 44. Events are kept for two years."""
    numbers = []
    for index, span in enumerate(ranges):
        audience = await made(
            desk, f"S{index}", attribute("gold"), type="standard", range=DateRange(*span)
        )
        numbers.append(audience.number)
    assert await desk.calls.calculate_audiences(numbers, ACTOR) == credits_


async def test_the_end_day_of_a_range_is_included(desk: Desk) -> None:
    """Worked case 44."""
    audience = await made(
        desk, "S", clips(0), type="standard", range=DateRange("2026-03-08", "2026-03-09")
    )
    await desk.calls.calculate_audiences([audience.number], ACTOR)
    span = desk.shards[0].live.audiences[0].span
    assert span is not None
    assert span.start_ms == 1_772_928_000_000
    assert span.end_ms == 1_772_928_000_000 + 2 * DAY_MS


async def test_a_standard_audience_changes_when_it_is_calculated_and_expires(desk: Desk) -> None:
    """Worked case 45, without sending."""
    audience = await made(desk, "S", attribute("gold"), type="standard")
    activation = desk.calls.activate_audience(audience.number, ACTOR)
    assert (await code(activation))[0] == "INVALID_STATE"
    await desk.calls.calculate_audiences([audience.number], ACTOR)
    assert (await now(desk, audience)).status == "calculating"
    edit = desk.calls.replace_audience(
        audience.number, AudienceFields(definition=attribute("x")), ACTOR
    )
    assert (await code(edit))[0] == "INVALID_STATE"
    await desk.settle()
    assert (await now(desk, audience)).status == "ready"
    assert desk.members(audience.number) == {1005}
    outer = await active(desk, "Outer", member_of(audience.number))
    desk.clock.advance(30 * DAY_MS + 1)
    again = desk.calls.calculate_audiences([audience.number], ACTOR)
    assert (await code(again))[0] == "INVALID_STATE"
    await desk.settle()
    assert desk.members(audience.number) == {1005}
    assert (await now(desk, outer)).status == "active"


async def test_credits_are_counted_by_year(tmp_path: Path) -> None:
    with open_desk(tmp_path, make_users(), credits=1) as desk:
        audience = await made(
            desk, "S", attribute("gold"), type="standard", range=DateRange("2026-01-01")
        )
        assert await desk.calls.calculate_audiences([audience.number], ACTOR) == 1
        await desk.settle()
        again = desk.calls.calculate_audiences([audience.number], ACTOR)
        assert (await code(again))[0] == "LIMIT_EXCEEDED"
        desk.clock.advance(300 * DAY_MS)
        other = await made(
            desk, "T", attribute("gold"), type="standard", range=DateRange("2027-01-01")
        )
        assert await desk.calls.calculate_audiences([other.number], ACTOR) == 1


async def test_a_list_is_handed_on_in_order_and_once(tmp_path: Path) -> None:
    users = make_users()
    with open_desk(tmp_path, users) as desk:
        audience = await made(desk, "List", type="static")
        desk.shards[0].is_away = True
        assert await desk.calls.change_members(audience.number, (1001, 1002, 77), ())
        assert await desk.calls.change_members(audience.number, (1003, 1004), (1002, 1004))
        with pytest.raises(ShardUnavailable):
            await desk.desk.work()
        shards = desk.shards
    shards[0].is_away = False
    with open_desk(tmp_path, users, kept=shards) as again:
        await again.desk.work()
        assert shards[0].lists[audience.number] == {1001, 77, 1003}
        assert await again.calls.activate_audience(audience.number, ACTOR)
        await again.settle()
        assert again.members(audience.number) == {1001, 1003}
        assert shards[0].list_changes == [1, 2]


async def test_only_a_static_audience_has_a_list_and_it_has_no_definition(desk: Desk) -> None:
    audience = await made(desk, "Premium", attribute("premium"))
    change = desk.calls.change_members(audience.number, (1,), ())
    assert (await code(change))[0] == "INVALID_STATE"
    assert await code(made(desk, "L", attribute("x"), type="static")) == (
        "VALIDATION_ERROR",
        "/definition",
    )
    assert not await desk.calls.change_members(5, (1,), ())
