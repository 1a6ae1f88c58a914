"""An explanation tells what is decided, and decides nothing itself."""

from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.identity import explain as texts
from actors.identity.attaching import ATTACHED, Outcome
from actors.identity.calls import CallKind, IdentityAnswer, IdentityCall
from actors.identity.decide import NOTHING_ATTACHED, NOTHING_SENT, NOTHING_USABLE
from actors.identity.explain import Explanation, explain
from actors.identity.matching import Decider, Refusal
from actors.identity.registry import STRATEGIES
from actors.identity.state import IdentityRules
from actors.identity.strategy import Reason
from tests.actors.identity.pool import (
    BEST_MATCH,
    CONVERSION,
    DEFAULT,
    IMMUTABLE,
    ISOLATION,
    LINK,
    NOW,
    TYPES,
    Pool,
    call_of,
    request,
)

RULES = [DEFAULT, CONVERSION, IMMUTABLE, LINK, ISOLATION, BEST_MATCH]


def explained(pool: Pool, call: IdentityCall, rules: IdentityRules) -> Explanation:
    return explain(pool.state(), call, rules, STRATEGIES[rules.strategy])


def test_it_tells_who_holds_what_who_is_chosen_and_what_would_be_attached() -> None:
    """Row C12 with a second anonymous record and a known one that is protected."""
    pool = Pool("A{oth:o1,das:d1}, B{das:d1}, K{em:e1}, L{cid:c2,das:d1}", CONVERSION)
    sent = request("em:e1 oth:o1 das:d1")
    told = explained(pool, call_of("login", sent), CONVERSION)
    found = {
        each.type: [(one.mpid, one.standing.code) for one in each.candidates] for each in told.found
    }
    assert found == {
        TYPES["em"]: [("3", "known")],
        TYPES["oth"]: [("1", "anonymous")],
        TYPES["das"]: [("4", "login_id_not_matched"), ("2", "anonymous"), ("1", "anonymous")],
    }
    assert told.chosen is not None
    assert (told.chosen.mpid, told.chosen.reason.code) == ("3", "known")
    assert [(each.type, each.outcome.code) for each in told.attached] == [
        (TYPES["em"], "held"),
        (TYPES["oth"], "added"),
        (TYPES["das"], "added"),
    ]
    assert told.problem is None


def test_it_tells_how_one_of_several_is_picked() -> None:
    """Row D10: both hold the stamp."""
    pool = Pool("A{das:d1}, B{das:d1}")
    told = explained(pool, call_of("identify", request("das:d1")), DEFAULT)
    assert told.chosen is not None
    assert told.chosen.mpid == "2"
    assert [(each.type, each.left) for each in told.chosen.steps] == [(TYPES["das"], ("1", "2"))]
    assert told.chosen.decided_by is not None
    assert told.chosen.decided_by.code == "newest_link"


def test_it_tells_why_a_user_would_be_new_and_who_its_source_would_be() -> None:
    """Row L2."""
    told = explained(Pool("A{das:d1}"), call_of("identify", request("cid:c1 das:d1")), LINK)
    assert told.chosen is not None
    assert (told.chosen.mpid, told.chosen.reason.code) == (None, "fresh_login")
    assert told.chosen.source_mpid == "1"
    assert [each.outcome.code for each in told.attached] == ["added", "added"]


def test_it_tells_why_nothing_can_be_attached() -> None:
    """Row G1: refused, and still explained."""
    pool = Pool("K{cid:c1,em:e1}", IMMUTABLE)
    told = explained(pool, call_of("identify", request("em:e1")), IMMUTABLE)
    assert told.problem == NOTHING_ATTACHED
    assert told.chosen is not None
    assert told.chosen.reason.code == "no_match"
    assert [each.standing.code for each in told.found[0].candidates] == ["immutable_id_not_matched"]
    assert [each.outcome.code for each in told.attached] == ["held_by_another"]


def test_it_tells_what_is_not_looked_at() -> None:
    """Login IDs of a logout, and types that find nobody."""
    call = IdentityCall("logout", "production", {"customerid": "c1", "alias": "a"}, NOW)
    told = explained(Pool(), call, DEFAULT)
    assert [(key, said.code) for key, said in told.set_aside] == [
        ("alias", "not_in_priority"),
        ("customerid", "login_id"),
    ]
    assert (told.problem, told.chosen, told.attached) == (NOTHING_USABLE, None, ())
    empty = explained(Pool(), IdentityCall("identify", "production", {}, NOW), DEFAULT)
    assert empty.problem == NOTHING_SENT


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        pytest.param(Reason, texts._REASONS, id="reasons"),
        pytest.param(Decider, texts._DECIDERS, id="deciders"),
        pytest.param(Outcome, texts._OUTCOMES, id="outcomes"),
        pytest.param(Refusal, texts._REFUSALS, id="refusals"),
    ],
)
def test_every_code_has_its_words(codes: object, words: dict[str, str]) -> None:
    assert set(get_args(codes)) == set(words)


sent_ = st.dictionaries(st.sampled_from(sorted(TYPES)), st.sampled_from("12"), min_size=1)
calls = st.builds(
    lambda kind, sent, previous: call_of(
        kind, request(" ".join(f"{short}:{value}" for short, value in sent.items())), previous
    ),
    st.sampled_from(list(get_args(CallKind))),
    sent_,
    st.none() | st.integers(1, 8),
)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(RULES), st.lists(calls, min_size=1, max_size=8))
def test_what_is_explained_is_what_happens(rules: IdentityRules, made: list[IdentityCall]) -> None:
    """The same record, the same refusal, and the attachments that it names."""
    pool = Pool()
    for number, call in enumerate(made, start=1):
        before = pool.lookups()
        told = explained(pool, call, rules)
        assert pool.lookups() == before
        msgspec.json.encode(told)
        answer, _ = pool.call(call, rules, number)
        if not isinstance(answer, IdentityAnswer):
            assert told.problem == answer
            continue
        assert told.problem is None
        assert told.chosen is not None
        assert told.chosen.mpid in (str(answer.mpid), None)
        assert (told.chosen.mpid is None) == (answer.mpid not in before)
        new = set(pool.lookups()[answer.mpid]) - set(before.get(answer.mpid, ()))
        attached = {each.type for each in told.attached if each.outcome.code in ATTACHED}
        assert {each.type for each in new} == attached
