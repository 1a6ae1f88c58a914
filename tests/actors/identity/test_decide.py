"""What a call is answered and what it changes, beside the rows of the case tables."""

from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.identity.calls import ChangeRequest, IdentityAnswer, IdentityCall, IdentityProblem
from actors.identity.decide import NOTHING_SENT, NOTHING_USABLE
from actors.identity.keys import IdentityName
from actors.identity.matching import is_known
from actors.identity.profile_isolation import NO_LOGIN_ID
from actors.identity.state import IdentityRules, Tally
from actors.store.identities import ProfileChange
from tests.actors.identity.pool import (
    BEST_MATCH,
    CONVERSION,
    DEFAULT,
    IMMUTABLE,
    ISOLATION,
    LINK,
    NOW,
    PRIORITY,
    TYPES,
    Pool,
    call_of,
    request,
)

ALL_RULES = [DEFAULT, CONVERSION, IMMUTABLE, LINK, ISOLATION, BEST_MATCH]


@pytest.mark.parametrize(
    ("records", "calls", "mpids"),
    [
        pytest.param("", ["cid:c1 das:d1", "cid:c1 das:d2"], [11, 11], id="X2"),
        pytest.param("", ["cid:c1 em:e1", "cid:c2 em:e1"], [11, 11], id="X3"),
        pytest.param("A{das:d1}", ["cid:c1 das:d1", "cid:c2 das:d1"], [1, 12], id="X4"),
        pytest.param("", ["cid:c1", "cid:c1 das:d1"], [11, 11], id="X13"),
    ],
)
def test_calls_one_after_the_other_have_an_outcome_that_the_race_tables_allow(
    records: str, calls: list[str], mpids: list[int]
) -> None:
    """The coordinator decides one call at a time, so that no race is left."""
    pool = Pool(records)
    answers = [pool.identify(request(sent), CONVERSION, 11 + n)[0] for n, sent in enumerate(calls)]
    assert answers == mpids


def test_a_known_record_beats_an_anonymous_one_whatever_the_priority_says() -> None:
    """spec/identity.md, 7.4, Consequences: as soon as a login ID matches."""
    pool = Pool("K{em:e1}, A{oth:o1}")
    mpid, _ = pool.identify([*request("oth:o1"), *request("em:e1")], CONVERSION)
    assert mpid == pool.letters["K"]


def test_a_new_record_has_the_time_of_its_creation() -> None:
    """And of nothing else: a record that was read has none."""
    pool = Pool("A{das:d1}")
    mpid, _ = pool.identify(request("das:d2"), DEFAULT)
    pool.identify(request("cid:c1 das:d1"), DEFAULT)
    assert pool.records[mpid].created_ms == NOW
    assert pool.records[1].created_ms == 0


@pytest.mark.parametrize("rules", ALL_RULES, ids=lambda rules: rules.strategy)
@pytest.mark.parametrize("kind", ["identify", "login", "logout", "search"])
def test_a_call_without_a_usable_identity_is_refused(
    rules: IdentityRules, kind: Literal["identify", "login", "logout", "search"]
) -> None:
    """spec/identity.md, 4.4, rows 12 and 13; cases 8 and 12."""
    pool = Pool("A{das:d1}")
    empty = IdentityCall(kind, "production", {}, NOW)
    assert pool.call(empty, rules, 99)[0] == NOTHING_SENT
    outside = replace(empty, identities={"alias": "a", "yahoo": "y"})
    assert pool.call(outside, rules, 99)[0] == NOTHING_USABLE
    assert set(pool.records) == {1}


def test_what_counts_of_a_logout_are_the_identities_beside_its_login_ids() -> None:
    """spec/identity.md, 4.4, row 12 before row 13."""
    pool = Pool()
    call = IdentityCall("logout", "production", {"customerid": "c1"}, NOW)
    assert pool.call(call, CONVERSION, 99)[0] == NOTHING_SENT
    call = replace(call, identities={"customerid": "c1", "alias": "a"})
    assert pool.call(call, CONVERSION, 99)[0] == NOTHING_USABLE


def test_a_read_only_call_tells_what_is_and_changes_nothing() -> None:
    """Case 16: a call that would create is answered 0, one that would convert is not logged in."""
    pool = Pool("A{das:d1}, K{cid:c2}", DEFAULT)
    before = pool.lookups()
    for sent, answer in (
        ("das:d9", IdentityAnswer(0, (), True, False)),
        ("cid:c1 das:d1", IdentityAnswer(1, (TYPES["das"],), True, False)),
        ("cid:c2 das:d1", IdentityAnswer(2, (TYPES["cid"],), False, True)),
    ):
        call = call_of("identify", request(sent), is_read_only=True)
        assert pool.call(call, DEFAULT, 99)[0] == answer
    call = call_of("logout", request("das:d1"), is_read_only=True)
    assert pool.call(call, BEST_MATCH, 99)[0] == IdentityAnswer(1, (TYPES["das"],), False, False)
    assert pool.lookups() == before


def test_values_are_matched_in_canonical_form_and_shown_as_sent() -> None:
    """Cases 2 and 13."""
    pool = Pool()
    call = IdentityCall("login", "production", {"email": "A@B.Example", "customerid": "X1"}, NOW)
    call = replace(call, workspace=7)
    answer, state = pool.call(call, DEFAULT, 99)
    assert answer == IdentityAnswer(99, (), False, True)
    shown = {"email": "A@B.Example", "customerid": "X1"}
    assert state.profile_changes == {99: ProfileChange(99, NOW, shown, [], new_in=7)}
    call = replace(call, identities={"email": "a@b.example", "customerid": "X1"})
    answer, state = pool.call(call, DEFAULT, 98)
    assert answer == IdentityAnswer(99, (TYPES["cid"], TYPES["em"]), False, True)
    assert state.profile_changes == {}
    call = replace(call, identities={"customerid": "x1"})
    assert pool.call(call, DEFAULT, 98)[0] == IdentityAnswer(98, (), False, True)


def test_a_profile_shows_what_was_attached_and_what_is_no_lookup() -> None:
    """spec/identity.md, 7.7; login IDs of a logout are not stored, nor are device identities."""
    pool = Pool("K{cid:c1,em:e1}, F{em:e2}", CONVERSION)
    sent = {"customerid": "c1", "email": "e2", "alias": "a", "yahoo": "y", "ios_idfa": "i"}
    _, state = pool.call(IdentityCall("login", "production", sent, NOW), CONVERSION, 99)
    shown = {"alias": "a", "yahoo": "y"}
    assert state.profile_changes == {1: ProfileChange(1, NOW, shown)}
    sent = {"customerid": "c1", "other": "O", "alias": "a"}
    call = IdentityCall("logout", "production", sent, NOW, workspace=7)
    _, state = pool.call(call, CONVERSION, 99)
    shown = {"other": "O", "alias": "a"}
    assert state.profile_changes == {99: ProfileChange(99, NOW, shown, [], new_in=7)}


def test_a_batch_changes_its_profile_itself() -> None:
    """So the coordinator leaves it alone; a new one is readable when the batch has been applied."""
    pool = Pool("K{cid:c1,em:e1}", CONVERSION)
    _, state = pool.identify(request("cid:c1 em:e2"), CONVERSION)
    assert state.changed_mpids == {1}
    assert state.profile_changes == {}


def test_only_a_batch_gets_a_record_to_which_nothing_can_be_attached() -> None:
    """spec/identity.md, 7.4, create; row G1."""
    pool = Pool("K{cid:c1,em:e1}", IMMUTABLE)
    answer, state = pool.call(call_of("identify", request("em:e1")), IMMUTABLE, 99)
    assert isinstance(answer, IdentityProblem)
    assert state.changed_mpids == set()
    assert pool.identify(request("em:e1"), IMMUTABLE)[0] == 99
    assert pool.records[99].lookups == []
    pool.check(IMMUTABLE)


def test_the_source_of_a_user_stays_when_its_record_changes() -> None:
    """spec/identity.md, 7.4: recorded when the user is made."""
    pool = Pool("A{das:d1}")
    new, _ = pool.identify(request("cid:c1 das:d1"), LINK)
    pool.identify(request("cid:c1 oth:o1"), LINK)
    assert pool.records[new].source_mpid == pool.letters["A"]


def test_what_happens_to_records_is_counted() -> None:
    """spec/identity.md, 12, metrics."""
    pool = Pool("A{das:d1}, F{em:e2}", CONVERSION)
    _, state = pool.call(call_of("login", request("cid:c1 das:d1")), CONVERSION, 99)
    assert state.tally == Tally(conversions=1)
    _, state = pool.call(call_of("login", request("cid:c1 das:d1")), CONVERSION, 98)
    assert state.tally == Tally()
    _, state = pool.call(call_of("logout", request("das:d1")), CONVERSION, 98)
    assert state.tally == Tally({"logout": 1})
    _, state = pool.modify(1, [ChangeRequest("email", None, "e2")], CONVERSION)
    assert state.tally == Tally(takeovers=1, orphans=1)
    _, state = pool.modify(1, [ChangeRequest("email", None, "e2")], CONVERSION)
    assert state.tally == Tally()
    _, state = pool.modify(98, [ChangeRequest("customerid", None, "c3")], CONVERSION)
    assert state.tally == Tally(conversions=1)
    _, state = pool.identify(request("cid:c9"), LINK)
    assert state.tally == Tally({"fresh_login": 1})


types_and_values = st.dictionaries(
    st.sampled_from(sorted(TYPES)), st.sampled_from("12"), min_size=1, max_size=4
)
requests = types_and_values.map(
    lambda sent: request(" ".join(f"{short}:{value}" for short, value in sent.items()))
)
changes = st.lists(
    st.builds(
        ChangeRequest,
        st.sampled_from(PRIORITY),
        st.sampled_from([None, "1", "2"]),
        st.sampled_from([None, "1", "2"]),
    ),
    min_size=1,
    max_size=3,
)
Kind = Literal["identify", "login", "logout", "search"]
calls = st.builds(
    call_of,
    st.sampled_from(["identify", "login", "login", "logout", "search"]),
    requests,
    st.none() | st.integers(0, 13),
    is_read_only=st.sampled_from([False, False, False, True]),
    is_batch=st.just(False),
)
batches = st.builds(call_of, st.just("identify"), requests, is_batch=st.just(True))
modifies = st.tuples(st.integers(0, 12), changes)


@settings(max_examples=300, deadline=None)
@given(
    rules=st.sampled_from(ALL_RULES),
    sent=st.lists(calls | batches | modifies, min_size=1, max_size=13),
)
def test_the_invariants_hold_after_every_call(
    rules: IdentityRules, sent: list[IdentityCall | tuple[int, list[ChangeRequest]]]
) -> None:
    """spec/identity.md, V1 to V5, V8 and V10 to V13. The n-th call makes MPID n."""
    pool = Pool()
    for number, each in enumerate(sent, start=1):
        before = pool.lookups()
        if isinstance(each, tuple):
            pool.modify(each[0], each[1], rules)
        else:
            _check_call(pool, each, rules, number)
        pool.check(rules)
        after = pool.lookups()
        for mpid, lookups in before.items():
            for name in lookups:
                assert name.type not in rules.immutable_ids or name in after[mpid], "V11"


def _check_call(pool: Pool, call: IdentityCall, rules: IdentityRules, new_mpid: int) -> None:
    before = pool.lookups()
    known_before = {mpid for mpid, each in pool.records.items() if is_known(each, rules)}
    expected = _by_the_letter(pool, call, rules)
    answer, state = pool.call(call, rules, new_mpid)
    after = pool.lookups()
    is_reading = call.is_read_only or call.kind == "search"
    if is_reading or isinstance(answer, IdentityProblem):
        changed = set(state.changed_names), state.profile_changes
        assert (after, *changed) == (before, set(), {}), "V12"
    sent = {IdentityName(key, value) for key, value in call.identities.items()}
    if isinstance(answer, IdentityProblem):
        has_login = any(each.type in rules.login_ids for each in sent)
        is_login = rules.strategy == "profile_isolation" and call.kind == "login"
        assert expected is None or (answer == NO_LOGIN_ID and is_login and not has_login)
        return
    is_new = answer.mpid not in before
    assert answer.mpid == (expected or (0 if is_reading else new_mpid)), "V4"
    held = set(after.get(answer.mpid, ()))
    logins = {each for each in held if each.type in rules.login_ids}
    assert not logins or logins & sent, "V3: a known record to a stranger"
    if call.kind == "logout":
        assert not answer.is_logged_in
        assert answer.mpid not in known_before, "V13"
        assert not logins, "V13"
    assert all(after[other] == before[other] for other in before if other != answer.mpid), "V8"
    matched = set(answer.matched)
    assert matched == {each.type for each in sent if each in before.get(answer.mpid, ())}
    assert not is_new or not matched
    if call.kind in ("identify", "login") and not is_reading and sent & held:
        again, state = pool.call(call, rules, -new_mpid)
        assert isinstance(again, IdentityAnswer)
        assert again.mpid == answer.mpid, "V5"
        assert (state.changed_mpids, set(state.changed_names)) == (set(), set()), "V5"
        assert state.profile_changes == {}, "V5"


def _by_the_letter(pool: Pool, call: IdentityCall, rules: IdentityRules) -> int | None:
    """Find the record as spec/identity.md, 7.1, 7.2 and 7.4 are written, `None` for a new one."""
    logins, fixed = rules.login_ids, rules.immutable_ids
    lookups = pool.lookups()
    is_logout = call.kind == "logout" and bool(logins)
    asked = [
        IdentityName(key, call.identities[key])
        for key in PRIORITY
        if key in call.identities and not (is_logout and key in logins)
    ]
    holders = {each for each in lookups if any(name in lookups[each] for name in asked)}

    def has(mpid: int, types: frozenset[str], names: list[IdentityName]) -> bool:
        return any(name in lookups[mpid] for name in names if name.type in types)

    def has_type(mpid: int, types: frozenset[str]) -> bool:
        return any(name.type in types for name in lookups[mpid])

    eligible = {
        each
        for each in holders
        if (not has_type(each, logins) or has(each, logins, asked))
        and (not has_type(each, fixed) or has(each, fixed, asked))
    }
    known = {each for each in eligible if has_type(each, logins)}
    is_fresh = any(
        name.type in logins and not any(name in held for held in lookups.values()) for name in asked
    )
    prev = call.previous_mpid
    if prev is None or not lookups.get(prev) or has_type(prev, logins):
        prev = None

    def pick(pool_: set[int]) -> int | None:
        best: set[int] | None = None
        first = None
        for name in asked:
            having = {each for each in pool_ if name in lookups[each]}
            if not having:
                continue
            if best is None:
                best, first = having, name
            elif best & having:
                best &= having
            if len(best) == 1:
                return best.pop()
        if best is None or first is None:
            return None
        if call.previous_mpid in best:
            return call.previous_mpid
        newest = first
        return max(best, key=lambda each: lookups[each][newest])

    anonymous = pick(eligible - known)
    if call.kind == "logout" and rules.strategy in (
        "default",
        "profile_conversion",
        "profile_link",
    ):
        return None
    if call.kind == "logout" or known or call.kind == "search":
        return pick(known) or anonymous
    if rules.strategy in ("profile_link", "profile_isolation"):
        return None if is_fresh else anonymous
    if anonymous is None and is_fresh:
        return prev
    return anonymous
