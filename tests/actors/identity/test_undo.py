"""Undoing takes back one decision as a whole, or nothing."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.identity.calls import ChangeRequest, IdentityProblem, ModifyAnswer
from actors.identity.keys import IdentityName
from actors.identity.state import IdentityRules, IdentityState, Missing
from actors.identity.undo import CHANGED_SINCE, Effect, undo
from actors.model.profiles import Lookup
from actors.store.identities import ProfileChange
from tests.actors.identity.pool import (
    BEST_MATCH,
    CONVERSION,
    IMMUTABLE,
    ISOLATION,
    LINK,
    NOW,
    PRIORITY,
    TYPES,
    Pool,
    call_of,
    name,
    request,
)

Records = dict[int, list[Lookup]]


def records_of(pool: Pool) -> Records:
    return {mpid: list(record.lookups) for mpid, record in pool.records.items()}


def effects_between(before: Records, after: Records) -> list[Effect]:
    """Return what has happened to each record, as an audit trail tells it."""
    effects = []
    for mpid, lookups in after.items():
        former = before.get(mpid, [])
        attached = [each for each in lookups if each not in former]
        removed = [each for each in former if each not in lookups]
        if attached or removed:
            effects.append(Effect(mpid, attached, removed))
    return effects


def undone(
    pool: Pool, effects: Sequence[Effect], rules: IdentityRules
) -> tuple[ModifyAnswer | IdentityProblem, IdentityState]:
    answer, state = pool.decided(lambda state: undo(state, effects, rules, NOW + 5))
    pool.check(rules)
    return answer, state


def test_a_takeover_goes_back_to_whom_it_was_taken_from() -> None:
    """Row L9, undone; both are known again, and show what they showed, in canonical form."""
    pool = Pool("K{cid:c1,em:e1}, F{em:e2,das:d1}", LINK)
    before = records_of(pool)
    pool.modify(1, [ChangeRequest("email", "e1", "E2")], LINK)
    effects = effects_between(before, records_of(pool))
    answer, state = undone(pool, effects, LINK)
    assert answer == ModifyAnswer((("email", 1), ("email", 1), ("email", 2)))
    assert {mpid: set(each) for mpid, each in pool.lookups().items()} == {
        1: {name("cid:c1"), name("em:e1")},
        2: {name("em:e2"), name("das:d1")},
    }
    assert state.profile_changes == {
        1: ProfileChange(1, NOW + 5, {"email": "e1"}, [("email", "e2")]),
        2: ProfileChange(2, NOW + 5, {"email": "e2"}, []),
    }
    assert undone(pool, effects, LINK)[0] == CHANGED_SINCE


def test_a_wrong_login_is_taken_from_the_anonymous_user() -> None:
    """Row C6, undone: the device's user is anonymous again."""
    pool = Pool("A{das:d1}")
    before = records_of(pool)
    pool.call(call_of("login", request("cid:c1 oth:o1 das:d1")), CONVERSION, 99)
    undone(pool, effects_between(before, records_of(pool)), CONVERSION)
    assert set(pool.lookups()[1]) == {name("das:d1")}
    assert (
        pool.call(call_of("identify", request("das:d1")), CONVERSION, 99)[0]
        == (pool.call(call_of("search", request("das:d1")), CONVERSION, 99)[0])
    )


def test_a_user_whose_making_is_undone_is_an_orphan() -> None:
    pool = Pool()
    pool.call(call_of("identify", request("das:d1")), LINK, 9)
    undone(pool, effects_between({}, records_of(pool)), LINK)
    assert pool.records[9].lookups == []


@pytest.mark.parametrize(
    "later",
    [
        pytest.param([ChangeRequest("email", None, "e3")], id="replaced"),
        pytest.param([ChangeRequest("email", "e2", None)], id="removed"),
    ],
)
def test_what_has_changed_since_is_not_taken_back(later: list[ChangeRequest]) -> None:
    """Nor is anything else of the decision."""
    pool = Pool("K{cid:c1,em:e1}", CONVERSION)
    before = records_of(pool)
    pool.call(call_of("login", request("cid:c1 em:e2 das:d1")), CONVERSION, 99)
    effects = effects_between(before, records_of(pool))
    pool.modify(1, later, CONVERSION)
    now = records_of(pool)
    answer, state = undone(pool, effects, CONVERSION)
    assert answer == CHANGED_SINCE
    assert (records_of(pool), state.changed_mpids) == (now, set())


def test_a_unique_value_that_somebody_else_has_now_stays_there() -> None:
    """spec/identity.md, V1."""
    pool = Pool("K{cid:c1,em:e1}", CONVERSION)
    before = records_of(pool)
    pool.modify(1, [ChangeRequest("email", "e1", None)], CONVERSION)
    effects = effects_between(before, records_of(pool))
    pool.call(call_of("identify", request("em:e1")), CONVERSION, 9)
    assert undone(pool, effects, CONVERSION)[0] == CHANGED_SINCE


def test_an_immutable_value_stays() -> None:
    """spec/identity.md, V11."""
    pool = Pool("A{das:d1}")
    before = records_of(pool)
    pool.call(call_of("login", request("cid:c1 das:d1")), IMMUTABLE, 9)
    answer, _ = undone(pool, effects_between(before, records_of(pool)), IMMUTABLE)
    message = 'Identity type "customerid" is immutable.'
    assert answer == IdentityProblem(400, "BAD_REQUEST", message)
    assert pool.records[1].holds(name("cid:c1"))


def test_all_that_it_needs_is_asked_for_at_once() -> None:
    effects = [
        Effect(1, [Lookup("email", "e2", 2)], [Lookup("email", "e1", 1)]),
        Effect(2, [], [Lookup("email", "e2", 1)]),
    ]
    with pytest.raises(Missing) as raised:
        undo(IdentityState(1, "production"), effects, LINK, NOW)
    assert raised.value.names == {name("em:e1"), name("em:e2")}
    assert raised.value.mpids == {1, 2}


calls = st.tuples(
    st.sampled_from(["identify", "login", "logout", "modify"]),
    st.dictionaries(st.sampled_from(sorted(TYPES)), st.sampled_from("12"), min_size=1, max_size=4),
    st.integers(1, 8),
)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([CONVERSION, LINK, ISOLATION, BEST_MATCH]),
    st.lists(calls, min_size=1, max_size=8),
)
def test_the_last_decision_can_be_undone(
    rules: IdentityRules, made: list[tuple[str, dict[str, str], int]]
) -> None:
    """Whatever came before it: every record holds again what it held."""
    pool = Pool()
    before: Records = {}
    for number, (kind, sent, mpid) in enumerate(made, start=1):
        before = records_of(pool)
        names = request(" ".join(f"{short}:{value}" for short, value in sent.items()))
        if kind == "modify":
            changes = [ChangeRequest(each.type, None, each.value) for each in names]
            pool.modify(mpid, changes, rules)
        else:
            pool.call(call_of(kind, names), rules, number)  # type: ignore[arg-type]
    held = _held(before)
    effects = effects_between(before, records_of(pool))
    answer, _ = undone(pool, effects, rules)
    assert isinstance(answer, ModifyAnswer)
    after = _held(records_of(pool))
    assert {mpid: names for mpid, names in after.items() if names or mpid in held} == held


def _held(records: Records) -> dict[int, set[IdentityName]]:
    assert all(each.type in PRIORITY for lookups in records.values() for each in lookups)
    return {
        mpid: {IdentityName(each.type, each.value) for each in lookups}
        for mpid, lookups in records.items()
    }
