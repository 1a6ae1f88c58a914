"""Audiences as they are made, changed and kept (spec/audiences.md, 2 and 8)."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from actors.audiences.criteria import Recency
from actors.audiences.fields import AudienceFields
from actors.audiences.objects import Definition
from actors.audiences.readings import Readings
from actors.clock import ManualClock
from actors.errors import ShardUnavailable
from tests.actors.audiences.desks import (
    ACTOR,
    CATALOG,
    Desk,
    active,
    age_from,
    attribute,
    clips,
    code,
    made,
    member_of,
    now,
    open_desk,
)
from tests.oracle.audiences.build import event
from tests.oracle.audiences.fixture import NOW, make_users

DAY_MS = 86_400_000


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_desk(tmp_path, make_users()) as opened:
        yield opened


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
        "MISMATCH",
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


async def test_what_a_definition_names_has_to_be_active_when_it_is(tmp_path: Path) -> None:
    """Section 8.2: it is saved over a draft of a calculated attribute, and not activated."""
    often = {"type": "calculated_attribute", "name": "visits", "operator": "exists"}
    active_names, draft_names = {"ltv": 5}, {"visits": 6}
    with open_desk(tmp_path, make_users(), calculated=active_names, drafts=draft_names) as desk:
        audience = await made(desk, "Often", often | {"value_type": "number"})
        assert audience.definition is not None
        assert audience.definition.calculated == {"visits": 6}
        assert [number for _, number in desk.desk.calculated_uses()] == [6]
        activation = partial(desk.calls.activate_audience, audience.number, ACTOR)
        place = ("INVALID_STATE", "/definition/criteria/attribute_name")
        assert await code(activation()) == place
        assert (await now(desk, audience)).status == "draft"
        draft_names["often"] = draft_names.pop("visits")
        active_names["visits"] = 7  # not the one that was meant
        assert await code(activation()) == ("INVALID_STATE", "/definition")
        del draft_names["often"]
        active_names["visits"] = 6
        assert await activation()


async def test_an_input_outside_those_of_the_audience_is_refused(desk: Desk) -> None:
    """Worked case 21."""
    definition = {**clips(1), "input_ids": [7]}
    assert (await code(made(desk, "X", definition, inputs=(8,))))[0] == "REFERENCE_NOT_FOUND"
    audience = await made(desk, "X", definition, inputs=(7,))
    moved = desk.calls.replace_audience(audience.number, AudienceFields(inputs=(8,)), ACTOR)
    assert (await code(moved))[0] == "REFERENCE_NOT_FOUND"


def test_a_period_that_was_kept_before_there_was_a_limit_is_read() -> None:
    recency = {"type": "calendar", "unit": "day", "offset": -200_000_000_000}
    criteria = {"type": "event", "event_type": "custom_event", "event_name": "Login"}
    canonical = {"version": 1, "criteria": {**criteria, "recency": recency}}
    kept = Definition(canonical, canonical, (), {})
    expected = event("Login", Recency("calendar", unit="day", offset=-200_000_000_000))
    assert Readings(CATALOG, ManualClock(NOW)).node(kept) == expected
