"""Who may be returned and who is picked: spec/identity.md, 7.1 and 7.2."""

import pytest

from actors.identity.matching import Question, Refusal, is_known, refusal_of
from actors.identity.state import IdentityRecord, IdentityRules, IdentityState, Missing
from actors.store.identities import Holder
from tests.actors.identity.pool import (
    BEST_MATCH,
    CONVERSION,
    DEFAULT,
    IMMUTABLE,
    Pool,
    name,
    record,
    request,
)

LOGIN: Refusal = "login_id_not_matched"
FIXED: Refusal = "immutable_id_not_matched"


@pytest.mark.parametrize(
    ("held", "sent", "rules", "refusal"),
    [
        pytest.param("das:d1", "das:d1", CONVERSION, None, id="anonymous"),
        pytest.param("", "das:d1", CONVERSION, None, id="without lookups"),
        pytest.param("cid:c1,das:d1", "das:d1", CONVERSION, LOGIN, id="protected"),
        pytest.param("cid:c1,das:d1", "cid:c2 das:d1", CONVERSION, LOGIN, id="other login ID"),
        pytest.param("cid:c1,em:e1", "em:e1", CONVERSION, None, id="one login ID is enough"),
        pytest.param("cid:c1,em:e1", "em:e1", DEFAULT, LOGIN, id="email is no login ID"),
        pytest.param("cid:c1,em:e1", "em:e1", IMMUTABLE, FIXED, id="G1: immutable not sent"),
        pytest.param("cid:c1,em:e1", "cid:c1", IMMUTABLE, None, id="G5: immutable matched"),
        pytest.param("em:e1", "cid:c2 em:e1", IMMUTABLE, None, id="G4: without an immutable ID"),
        pytest.param("cid:c1", "das:d1", BEST_MATCH, None, id="best match protects nobody"),
    ],
)
def test_a_record_is_returned_only_to_who_may_see_it(
    held: str, sent: str, rules: IdentityRules, refusal: Refusal | None
) -> None:
    """spec/identity.md, 7.1, eligible; row numbers are those of its case tables."""
    found = record(*held.split(",")) if held else IdentityRecord([])
    assert refusal_of(found, request(sent), rules) == refusal
    assert is_known(found, rules) is any(each.type in rules.login_ids for each in found.lookups)


def test_the_pools_are_the_eligible_holders_of_anything_that_was_sent() -> None:
    """spec/identity.md, 7.1, known and anon."""
    pool = Pool("K{cid:c1,das:d1}, A{das:d1,oth:o1}, B{oth:o1}, L{cid:c2,das:d1}, C{das:d2}")
    sent = request("cid:c1 das:d1 oth:o1")
    known, anonymous, refused = Question(pool.state(), sent, CONVERSION).pools
    letters = pool.letters
    assert known == {letters["K"]}
    assert anonymous == {letters["A"], letters["B"]}
    assert refused == {letters["L"]: LOGIN}


def test_all_that_a_request_needs_is_asked_for_in_two_steps() -> None:
    """First the entries, then the records that they name."""
    state = IdentityState(1, "production")
    sent = request("em:e1 das:d1")
    with pytest.raises(Missing) as raised:
        _ = Question(state, sent, CONVERSION).pools
    assert (raised.value.names, raised.value.mpids) == (set(sent), set())
    state.learn_holders(sent[0], [Holder(5, 1)])
    state.learn_holders(sent[1], [Holder(5, 1), Holder(6, 2)])
    with pytest.raises(Missing) as raised:
        _ = Question(state, sent, CONVERSION).pools
    assert (raised.value.names, raised.value.mpids) == (set(), {5, 6})


CASE_19 = "A{em:h,oth:aa,idfv:1}, B{em:h,rk:2,oth:bb}"  # with roku_aid for android_aaid


@pytest.mark.parametrize(
    ("records", "sent", "of", "picked"),
    [
        pytest.param(CASE_19, "em:h oth:aa idfv:2", "AB", "A", id="case 19: second type decides"),
        pytest.param(CASE_19, "em:h rk:2", "AB", "B", id="case 19: last type decides"),
        pytest.param("A{em:e1}, B{rk:r1}", "em:e1 rk:r1", "AB", "A", id="B2: first type decides"),
        pytest.param(
            "A{em:e1,oth:o1}, B{em:e1,oth:o2}", "em:e1 oth:o9", "AB", "B", id="B4: linked last"
        ),
        pytest.param("A{em:e1,oth:o1}, B{oth:o2}", "em:e9 oth:o2", "AB", "B", id="B8: first match"),
        pytest.param("A{das:d1}, B{das:d1}", "das:d1", "AB", "B", id="D10: linked last"),
        pytest.param(
            "A{em:e1}, B{em:e1,das:d1}, C{em:e1}", "em:e1 das:d1", "ABC", "B", id="both over newer"
        ),
        pytest.param(
            "A{em:e1,oth:o1}, B{em:e1,oth:o1}, C{oth:o1,das:d1}",
            "em:e1 oth:o1 das:d1",
            "ABC",
            "B",
            id="a type that would leave nobody is passed over",
        ),
        pytest.param(
            "A{em:e1}, B{em:e1}, C{em:e1}", "em:e1", "AB", "B", id="only members of the pool"
        ),
        pytest.param(
            "A{em:e1}, B{em:e1,das:d1}, C{das:d1}", "em:e1 das:d1", "AC", "A", id="not by others"
        ),
    ],
)
def test_the_member_that_matches_best_by_priority_is_picked(
    records: str, sent: str, of: str, picked: str
) -> None:
    """spec/identity.md, 7.2."""
    pool = Pool(records)
    members = {pool.letters[letter] for letter in of}
    pick = Question(pool.state(), request(sent), BEST_MATCH).pick(members)
    assert pick.mpid == pool.letters[picked]


def test_a_tie_is_decided_by_the_first_type_that_matched() -> None:
    """spec/identity.md, 7.2, step 2: B's stamp is the newer link, A's email is."""
    pool = Pool("B{em:e1}, A{em:e1,das:d1}")
    state = pool.state()
    state.link(pool.letters["B"], name("das:d1"))
    by_email = Question(state, request("em:e1 das:d1"), BEST_MATCH).pick({1, 2})
    assert (by_email.mpid, by_email.decider) == (pool.letters["A"], "newest_link")
    by_stamp = Question(state, request("das:d1"), BEST_MATCH).pick({1, 2})
    assert by_stamp.mpid == pool.letters["B"]


@pytest.mark.parametrize(
    ("previous", "picked", "decider"),
    [
        pytest.param("A", "A", "previous_mpid", id="D11, B5: among the best"),
        pytest.param("C", "B", "newest_link", id="not among the best"),
        pytest.param(None, "B", "newest_link", id="D10: not sent"),
    ],
)
def test_a_tie_is_decided_by_the_previous_mpid_first(
    previous: str | None, picked: str, decider: str
) -> None:
    """spec/identity.md, 7.2, step 2; the reasons are told."""
    pool = Pool("C{das:d1}, A{em:e1,das:d1}, B{em:e1,das:d1}")
    letters = pool.letters
    hint = None if previous is None else letters[previous]
    sent = request("em:e1 rk:r1 das:d1")
    pick = Question(pool.state(), sent, BEST_MATCH, hint).pick({1, 2, 3})
    assert (pick.mpid, pick.decider) == (letters[picked], decider)
    best = frozenset({letters["A"], letters["B"]})
    assert pick.narrowed == [(sent[0], best), (sent[2], best)]


def test_a_pool_without_a_match_is_our_mistake() -> None:
    """Whoever is in a pool holds something of the request."""
    with pytest.raises(ValueError, match="pool"):
        Question(Pool("A{das:d1}").state(), request("das:d2"), BEST_MATCH).pick({1})


@pytest.mark.parametrize(
    ("sent", "is_fresh"),
    [
        pytest.param("cid:c9", True, id="a login ID that nobody holds"),
        pytest.param("cid:c1 em:e9", True, id="one of two"),
        pytest.param("cid:c1", False, id="held"),
        pytest.param("oth:o9 das:d9", False, id="no login ID"),
    ],
)
def test_a_login_is_fresh_if_nobody_holds_one_of_its_login_ids(sent: str, is_fresh: bool) -> None:
    """spec/identity.md, 7.1."""
    state = Pool("K{cid:c1}").state()
    assert Question(state, request(sent), CONVERSION).is_fresh_login is is_fresh
