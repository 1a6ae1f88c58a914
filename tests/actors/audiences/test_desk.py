"""Audiences in the coordinator (spec/audiences.md, 2, 8 and 10 to 12)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.audiences.catalog import DocumentAudience, DocumentSubscription
from actors.audiences.fields import AudienceFields, SubscriptionFields
from actors.audiences.objects import Audience, DateRange, Fault, Variation
from actors.errors import AudienceRefused, ShardUnavailable
from tests.actors.audiences.desks import (
    ACTOR,
    HOOK,
    Desk,
    age_from,
    attribute,
    clips,
    member_of,
    open_desk,
)
from tests.oracle.audiences.fixture import make_users

DAY_MS = 86_400_000


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_desk(tmp_path, make_users()) as opened:
        yield opened


async def made(desk: Desk, name: str, definition: Any = None, **fields: Any) -> Audience:
    """Make a draft."""
    if definition is not None:
        fields["definition"] = definition
    return await desk.calls.create_audience(AudienceFields(name=name, **fields), ACTOR)


async def active(desk: Desk, name: str, definition: Any, **fields: Any) -> Audience:
    """Make an audience, and have it evaluated."""
    audience = await made(desk, name, definition, **fields)
    assert await desk.calls.activate_audience(audience.number, ACTOR)
    await desk.settle()
    return await now(desk, audience)


async def now(desk: Desk, audience: Audience) -> Audience:
    found = await desk.calls.audience(audience.number)
    assert found is not None
    return found


async def code(call: Any) -> tuple[str, str | None]:
    """Return the code and the first path with which a call is refused."""
    with pytest.raises(AudienceRefused) as error:
        await call
    return error.value.code, error.value.problems[0].path


async def test_a_draft_becomes_active_when_all_users_are_evaluated(desk: Desk) -> None:
    """Worked case 31: five users are evaluated once; the size is the number of members."""
    draft = await made(desk, "Premium", attribute("premium"))
    assert (draft.status, draft.revision) == ("draft", 1)
    assert desk.shards[0].live.audiences == ()
    await desk.calls.activate_audience(draft.number, ACTOR)
    assert (await now(desk, draft)).status == "activating"
    await desk.desk.work()
    assert (await now(desk, draft)).status == "activating"
    await desk.settle()
    assert (await now(desk, draft)).status == "active"
    assert desk.members(draft.number) == {1001, 1002}


async def test_a_new_definition_is_evaluated_while_the_old_members_stay(desk: Desk) -> None:
    audience = await active(desk, "Premium", attribute("premium"))
    changed = await desk.calls.replace_audience(
        audience.number, AudienceFields(definition=attribute("gold")), ACTOR
    )
    assert changed is not None
    assert (changed.status, changed.revision) == ("activating", 2)
    assert desk.members(audience.number) == {1001, 1002}
    await desk.settle()
    assert (await now(desk, audience)).status == "active"
    assert desk.members(audience.number) == {1005}


async def test_a_name_or_tag_recalculates_nothing(desk: Desk) -> None:
    audience = await active(desk, "Premium", attribute("premium"))
    renamed = await desk.calls.replace_audience(
        audience.number, AudienceFields(name="Rich", tags=("vip",)), ACTOR
    )
    assert renamed is not None
    assert (renamed.status, renamed.revision) == ("active", 1)
    assert renamed.external_name == "Rich"
    assert desk.shards[0].live.audiences[0].name == "Rich"


async def test_the_same_definition_in_other_words_is_the_same(desk: Desk) -> None:
    audience = await active(desk, "Premium", attribute("premium"))
    again = await desk.calls.replace_audience(
        audience.number,
        AudienceFields(definition={"version": 1, "criteria": attribute("premium")}),
        ACTOR,
    )
    assert again is not None
    assert (again.status, again.revision) == ("active", 1)


async def test_a_revision_that_is_not_the_present_one_is_a_conflict(desk: Desk) -> None:
    audience = await made(desk, "Premium", attribute("premium"))
    fields = AudienceFields(definition=attribute("gold"))
    assert await code(desk.calls.replace_audience(audience.number, fields, ACTOR, 2)) == (
        "CONFLICT",
        None,
    )
    changed = await desk.calls.replace_audience(audience.number, fields, ACTOR, 1)
    assert changed is not None
    assert changed.revision == 2


async def test_a_name_is_unique(desk: Desk) -> None:
    await made(desk, "Premium")
    assert await code(made(desk, "PREMIUM")) == ("NAME_NOT_UNIQUE", "/name")


async def test_ids_are_never_given_again(desk: Desk) -> None:
    first = await made(desk, "One")
    assert await desk.calls.delete_audience(first.number)
    assert (await made(desk, "One")).number == first.number + 1
    assert not await desk.calls.delete_audience(first.number)


async def test_a_restart_gives_the_same(tmp_path: Path) -> None:
    """Worked case 38, as far as it concerns what is managed."""
    users = make_users()
    with open_desk(tmp_path, users) as desk:
        audience = await active(desk, "Premium", attribute("premium"))
        draft = await made(desk, "Draft", clips(1), tags=("a",))
        before = await desk.calls.audiences()
        shards = desk.shards
    with open_desk(tmp_path, users, kept=shards) as again:
        assert await again.calls.audiences() == before
        await again.desk.work()
        assert [each.number for each in shards[0].live.audiences] == [audience.number]
        assert (await again.calls.audience(draft.number)) == draft


async def test_a_change_that_a_shard_was_not_told_is_told_later(desk: Desk) -> None:
    audience = await made(desk, "Premium", attribute("premium"))
    desk.shards[0].is_away = True
    with pytest.raises(ShardUnavailable):
        await desk.calls.activate_audience(audience.number, ACTOR)
    assert (await now(desk, audience)).status == "activating"
    desk.shards[0].is_away = False
    await desk.settle()
    assert (await now(desk, audience)).status == "active"


async def test_a_coordinator_of_an_old_copy_goes_on_beyond_what_shards_know(
    tmp_path: Path,
) -> None:
    users = make_users()
    with open_desk(tmp_path / "new", users) as desk:
        await active(desk, "Premium", attribute("premium"))
        shards = desk.shards
    with open_desk(tmp_path / "old", users, kept=shards) as old:
        audience = await active(old, "Gold", attribute("gold"))
        assert [each.name for each in shards[0].live.audiences] == ["Gold"]
        assert old.members(audience.number) == {1005}


# -- Nested audiences -----------------------------------------------------------------------------


async def test_a_nested_audience_cannot_be_deleted_or_nested_deeper(desk: Desk) -> None:
    """Worked case 35."""
    inner = await active(desk, "A", attribute("premium"))
    outer = await active(desk, "B", {"and": [member_of(inner.number), age_from(18)]})
    assert desk.members(outer.number) == {1001}
    assert (await code(desk.calls.delete_audience(inner.number)))[0] == "NESTED_AUDIENCE"
    deactivation = desk.calls.deactivate_audience(inner.number, False, ACTOR)
    assert (await code(deactivation))[0] == "NESTED_AUDIENCE"
    assert await code(made(desk, "C", member_of(outer.number))) == (
        "NESTED_AUDIENCE",
        "/definition/audience_id",
    )
    gaining = desk.calls.replace_audience(
        inner.number, AudienceFields(definition=member_of(outer.number)), ACTOR
    )
    assert (await code(gaining))[0] == "NESTED_AUDIENCE"
    await desk.calls.replace_audience(outer.number, AudienceFields(definition=age_from(18)), ACTOR)
    assert await desk.calls.delete_audience(inner.number)
    await desk.settle()
    assert desk.members(inner.number) == set()
    assert [each.number for each in desk.shards[0].live.audiences] == [outer.number]


async def test_what_a_definition_names_has_to_exist(desk: Desk) -> None:
    """Worked case 30."""
    unknown = [
        member_of(999),
        {**attribute("x"), "type": "calculated_attribute", "attribute_name": "none"},
        {**clips(1), "input_ids": [99]},
    ]
    for definition in unknown:
        assert (await code(made(desk, "X", definition)))[0] == "REFERENCE_NOT_FOUND"
    assert await code(made(desk, "X", inputs=(99,))) == ("REFERENCE_NOT_FOUND", "/inputs/0")
    assert await code(made(desk, "X", workspaces=(9,))) == (
        "REFERENCE_NOT_FOUND",
        "/workspaces/0",
    )
    named = await made(
        desk,
        "CA",
        {"type": "calculated_attribute", "name": "ltv", "operator": "greater_than", "value": 1},
    )
    assert named.definition is not None
    assert named.definition.calculated == {"ltv": 5}


async def test_an_input_outside_those_of_the_audience_is_refused(desk: Desk) -> None:
    """Worked case 21."""
    definition = {**clips(1), "input_ids": [7]}
    assert (await code(made(desk, "X", definition, inputs=(8,))))[0] == "REFERENCE_NOT_FOUND"
    audience = await made(desk, "X", definition, inputs=(7,))
    moved = desk.calls.replace_audience(audience.number, AudienceFields(inputs=(8,)), ACTOR)
    assert (await code(moved))[0] == "REFERENCE_NOT_FOUND"


# -- Activation -----------------------------------------------------------------------------------


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
    assert await desk.calls.deactivate_audience(audience.number, True, ACTOR)
    assert desk.shards[0].live.leaving == {audience.number}
    await desk.settle()
    assert desk.members(audience.number) == set()
    assert (await now(desk, audience)).status == "inactive"
    assert desk.shards[0].live.leaving == set()


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


# -- Standard audiences ---------------------------------------------------------------------------


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


# -- Static audiences -----------------------------------------------------------------------------


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


# -- A/B tests and connections --------------------------------------------------------------------


async def test_a_test_is_deleted_with_the_connections_of_its_variations(desk: Desk) -> None:
    """Rules of section 10; worked case 42."""
    audience = await active(desk, "Paris Fans", attribute("premium"))
    six = tuple(Variation(str(each), 100) for each in range(6))
    assert await code(desk.calls.create_test(audience.number, six, ACTOR)) == (
        "LIMIT_EXCEEDED",
        "/variations",
    )
    shares = (Variation("A", 4000), Variation("B", 4000))
    await desk.calls.create_test(audience.number, shares, ACTOR)
    again = desk.calls.create_test(audience.number, shares, ACTOR)
    assert (await code(again))[0] == "INVALID_STATE"
    unknown = SubscriptionFields(output=HOOK, variation="C")
    assert await code(desk.calls.create_subscription(audience.number, unknown, ACTOR)) == (
        "REFERENCE_NOT_FOUND",
        "/variant",
    )
    for name in ("A", "Control", None):
        fields = SubscriptionFields(output=HOOK, variation=name)
        assert await desk.calls.create_subscription(audience.number, fields, ACTOR)
    names = [each.subscription.name.external_name for each in desk.shards[0].live.subscriptions]
    assert names == ["Paris Fans - A", "Paris Fans - Control", "Paris Fans"]
    other = await active(desk, "Other", attribute("gold"))
    rows = await desk.calls.connect_audiences(
        (audience.number, other.number, 99), SubscriptionFields(output=2), ACTOR
    )
    assert [isinstance(each, AudienceRefused) for each in rows] == [True, False, True]
    assert await desk.calls.delete_test(audience.number)
    assert [each.variation for each in desk.shards[0].live.subscriptions] == [None, None]
    second = await desk.calls.create_test(audience.number, shares, ACTOR)
    assert second is not None
    assert second.test is not None
    assert second.test.number == 2


async def test_a_faulted_connection_holds_until_it_is_resumed(desk: Desk) -> None:
    """Worked case 48, as far as it is kept here."""
    audience = await active(desk, "Premium", attribute("premium"))
    made_ = await desk.calls.create_subscription(
        audience.number, SubscriptionFields(output=HOOK), ACTOR
    )
    assert made_ is not None
    resume = desk.calls.resume_subscription(audience.number, made_.number)
    assert (await code(resume))[0] == "INVALID_STATE"
    await desk.calls.fault_subscription(made_.number, Fault(5, "http_401", "no"))
    [live] = desk.shards[0].live.subscriptions
    assert (live.is_faulted, live.resumed) == (True, 0)
    await desk.calls.replace_subscription(
        audience.number, made_.number, SubscriptionFields(is_active=True)
    )
    [live] = desk.shards[0].live.subscriptions
    assert live.is_faulted
    assert await desk.calls.resume_subscription(audience.number, made_.number)
    [live] = desk.shards[0].live.subscriptions
    assert (live.is_faulted, live.resumed) == (False, 1)


async def test_a_connection_has_an_output_once_and_settings_that_it_knows(desk: Desk) -> None:
    audience = await active(desk, "Premium", attribute("premium"))
    calls = desk.calls
    refusals = [
        (SubscriptionFields(output=9), ("REFERENCE_NOT_FOUND", "/output_id")),
        (SubscriptionFields(output=HOOK, settings={"x": 1}), ("VALIDATION_ERROR", "/settings/x")),
    ]
    for fields, expected in refusals:
        assert await code(calls.create_subscription(audience.number, fields, ACTOR)) == expected
    fields = SubscriptionFields(output=HOOK, shared_user_attributes=("status",))
    first = await calls.create_subscription(audience.number, fields, ACTOR)
    assert first is not None
    assert await code(calls.create_subscription(audience.number, fields, ACTOR)) == (
        "INVALID_STATE",
        "/output_id",
    )
    static = await made(desk, "List", type="static")
    assert await code(calls.create_subscription(static.number, fields, ACTOR)) == (
        "INVALID_STATE",
        "/shared_user_attributes",
    )
    assert await calls.delete_subscription(audience.number, first.number)
    assert desk.shards[0].live.subscriptions == ()


# -- The workspace document -----------------------------------------------------------------------


def of_document(**changes: Any) -> DocumentAudience:
    fields: dict[str, Any] = {
        "number": 4,
        "id": "gold",
        "name": "Gold",
        "external_name": "gold",
        "type": "real_time",
        "environment": "production",
        "inputs": (),
        "tags": (),
        "definition": attribute("gold"),
        "range": None,
        "is_active": True,
        "subscriptions": (
            DocumentSubscription(
                output=HOOK, is_active=True, settings={}, shared_user_attributes=()
            ),
        ),
    }
    return DocumentAudience(**(fields | changes))


async def test_audiences_of_the_document_are_active_after_a_start(tmp_path: Path) -> None:
    users = make_users()
    with open_desk(tmp_path, users, audiences=(of_document(),)) as desk:
        await desk.settle()
        assert desk.members(4) == {1005}
        found = await desk.calls.audience(4)
        assert found is not None
        assert (found.status, found.document_id, found.revision) == ("active", "gold", 1)
        assert len(desk.shards[0].live.subscriptions) == 1
        calls = [
            desk.calls.delete_audience(4),
            desk.calls.replace_audience(4, AudienceFields(name="X"), ACTOR),
            desk.calls.deactivate_audience(4, False, ACTOR),
        ]
        for call in calls:
            assert (await code(call))[0] == "CONFLICT"
        assert (await made(desk, "Mine")).number > 1_000_000
        shards = desk.shards
    changed = of_document(definition=attribute("premium"), subscriptions=())
    with open_desk(tmp_path, users, kept=shards, audiences=(changed,)) as again:
        await again.settle()
        assert again.members(4) == {1001, 1002}
        assert (await again.calls.audience(4)).revision == 2  # type: ignore[union-attr]
        assert shards[0].live.subscriptions == ()
    with open_desk(tmp_path, users, kept=shards) as without:
        await without.settle()
        assert without.members(4) == {1001, 1002}
        assert await without.calls.delete_audience(4)


async def test_an_unchanged_document_changes_nothing_at_a_restart(tmp_path: Path) -> None:
    users = make_users()
    with open_desk(tmp_path, users, audiences=(of_document(),)) as desk:
        await desk.settle()
        before = (await desk.calls.audiences(), await desk.calls.all_subscriptions())
        shards, clock = desk.shards, desk.clock
    clock.advance(1000)
    with open_desk(tmp_path, users, kept=shards, clock=clock, audiences=(of_document(),)) as again:
        assert (await again.calls.audiences(), await again.calls.all_subscriptions()) == before
