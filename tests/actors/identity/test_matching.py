"""Who may be returned, who is picked, what is attached: spec/identity.md, 7.1 to 7.3."""

import pytest
from msgspec.structs import replace

from actors.identity.keys import IdentityName
from actors.identity.matching import (
    MAX_HOLDERS,
    MAX_VALUES_PER_TYPE,
    attach,
    is_eligible,
    is_known,
    pick,
    pools,
)
from actors.identity.state import IdentityRecord, IdentityRules, IdentityState, Missing
from actors.model import Lookup
from actors.store.identities import Holder
from tests.actors.identity.pool import (
    ALL_ANONYMOUS,
    CONVERSION,
    DEFAULT,
    IMMUTABLE,
    Pool,
    name,
    record,
    request,
)

STAMP = "device_application_stamp"
BOTH_IMMUTABLE = replace(CONVERSION, immutable_ids=CONVERSION.login_ids)


@pytest.mark.parametrize(
    ("held", "sent", "rules", "is_answer"),
    [
        pytest.param("das:d1", "das:d1", CONVERSION, True, id="anonymous"),
        pytest.param("", "das:d1", CONVERSION, True, id="without lookups"),
        pytest.param("cid:c1,das:d1", "das:d1", CONVERSION, False, id="protected"),
        pytest.param("cid:c1,das:d1", "cid:c2 das:d1", CONVERSION, False, id="other login ID"),
        pytest.param("cid:c1,em:e1", "em:e1", CONVERSION, True, id="one login ID is enough"),
        pytest.param("cid:c1,em:e1", "em:e1", DEFAULT, False, id="email is no login ID"),
        pytest.param("cid:c1,em:e1", "em:e1", IMMUTABLE, False, id="G1: immutable not sent"),
        pytest.param("cid:c1,em:e1", "cid:c1", IMMUTABLE, True, id="G5: immutable matched"),
        pytest.param("em:e1", "cid:c2 em:e1", IMMUTABLE, True, id="G4: without an immutable ID"),
        pytest.param("cid:c1", "das:d1", ALL_ANONYMOUS, True, id="best match protects nobody"),
    ],
)
def test_a_record_is_returned_only_to_who_may_see_it(
    held: str, sent: str, rules: IdentityRules, is_answer: bool
) -> None:
    """spec/identity.md, 7.1, eligible; row numbers are those of its case tables."""
    found = record(*held.split(",")) if held else IdentityRecord([])
    assert is_eligible(found, request(sent), rules) is is_answer
    assert is_known(found, rules) is any(each.type in rules.login_ids for each in found.lookups)


def test_the_pools_are_the_eligible_holders_of_anything_that_was_sent() -> None:
    """spec/identity.md, 7.1, known and anon."""
    pool = Pool("K{cid:c1,das:d1}, A{das:d1,oth:o1}, B{oth:o1}, L{cid:c2,das:d1}, C{das:d2}")
    known, anonymous = pools(pool.state(), request("cid:c1 das:d1 oth:o1"), CONVERSION)
    letters = pool.letters
    assert known == {letters["K"]}
    assert anonymous == {letters["A"], letters["B"]}


def test_all_that_a_request_needs_is_asked_for_in_two_steps() -> None:
    """First the entries, then the records that they name."""
    state = IdentityState(1, "production")
    sent = request("em:e1 das:d1")
    with pytest.raises(Missing) as raised:
        pools(state, sent, CONVERSION)
    assert (raised.value.names, raised.value.mpids) == (set(sent), set())
    state.learn_holders(sent[0], [Holder(5, 1)])
    state.learn_holders(sent[1], [Holder(5, 1), Holder(6, 2)])
    with pytest.raises(Missing) as raised:
        pools(state, sent, CONVERSION)
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
    assert pick(pool.state(), request(sent), members) == pool.letters[picked]


def test_a_tie_is_decided_by_the_first_type_that_matched() -> None:
    """spec/identity.md, 7.2, step 2: B's stamp is the newer link, A's email is."""
    pool = Pool("B{em:e1}, A{em:e1,das:d1}")
    state = pool.state()
    state.link(pool.letters["B"], name("das:d1"))
    assert pick(state, request("em:e1 das:d1"), {1, 2}) == pool.letters["A"]
    assert pick(state, request("das:d1"), {1, 2}) == pool.letters["B"]


def test_matching_an_old_link_does_not_renew_it() -> None:
    """spec/identity.md, 7.2, last sentence."""
    pool = Pool("A{das:d1}, B{das:d1}")
    state = pool.state()
    attach(state, pool.letters["A"], request("das:d1"), DEFAULT)
    assert state.changed_names == set()
    assert pick(state, request("das:d1"), {1, 2}) == pool.letters["B"]


def test_a_pool_without_a_match_is_our_mistake() -> None:
    """Whoever is in a pool holds something of the request."""
    with pytest.raises(ValueError, match="pool"):
        pick(Pool("A{das:d1}").state(), request("das:d2"), {1})


@pytest.mark.parametrize(
    ("held", "others", "sent", "rules", "after"),
    [
        pytest.param("em:e1", "", "em:e1", CONVERSION, "em:e1", id="row 1: is there"),
        pytest.param("cid:c1", "", "cid:c2", IMMUTABLE, "cid:c1", id="row 2: immutable stays"),
        pytest.param(
            "cid:c1,em:e1", "", "cid:c1 em:e2", BOTH_IMMUTABLE, "cid:c1,em:e1", id="2 before 4"
        ),
        pytest.param("", "B{em:e1}", "em:e1", CONVERSION, "", id="row 3: unique, held by another"),
        pytest.param(
            "cid:c1,em:e1", "", "cid:c1 em:e2", CONVERSION, "cid:c1,em:e2", id="row 4: replaced"
        ),
        pytest.param("cid:c1,em:e1", "", "cid:c2 em:e1", CONVERSION, "cid:c1,em:e1", id="4: kept"),
        pytest.param(
            "em:e1", "", "cid:c1 em:e2", CONVERSION, "cid:c1,em:e2", id="row 4: by an earlier step"
        ),
        pytest.param(
            "cid:c1,em:e1,das:d1", "", "em:e2 das:d1", CONVERSION, "cid:c1,em:e1,das:d1", id="rank"
        ),
        pytest.param(
            "cid:c1,em:e1", "B{em:e2}", "cid:c1 em:e2", CONVERSION, "cid:c1,em:e1", id="3 before 4"
        ),
        pytest.param("em:e1", "B{em:e2}", "em:e2", DEFAULT, "em:e1,em:e2", id="row 5: not unique"),
        pytest.param("", "", "cid:c1 das:d1", IMMUTABLE, "cid:c1,das:d1", id="row 5: all are new"),
    ],
)
def test_identities_are_attached_as_far_as_the_rules_allow(
    held: str, others: str, sent: str, rules: IdentityRules, after: str
) -> None:
    """spec/identity.md, 7.3; the record of another never changes."""
    pool = Pool(f"A{{{held}}}, {others}")
    state = pool.state()
    attach(state, 1, request(sent), rules)
    found = {IdentityName(each.type, each.value) for each in state.existing(1).lookups}
    assert found == set(request(after))
    assert state.changed_mpids <= {1}


def test_a_record_with_all_the_values_it_may_have_loses_the_one_linked_first() -> None:
    """spec/identity.md, 4.3: a value that many share is not the newer one for that."""
    pool = Pool("B{das:shared}, C{das:shared}, A{das:shared,em:e1}")
    state, mpid = pool.state(), pool.letters["A"]
    for number in range(MAX_VALUES_PER_TYPE - 1):
        attach(state, mpid, request(f"das:d{number}"), DEFAULT)
    assert state.existing(mpid).holds(name("das:shared"))
    attach(state, mpid, request("das:last"), DEFAULT)
    values = [each.value for each in state.existing(mpid).values(STAMP)]
    assert values == [*(f"d{number}" for number in range(MAX_VALUES_PER_TYPE - 1)), "last"]
    assert [each.mpid for each in state.holders(name("das:shared"))] == [1, 2]
    assert state.existing(mpid).holds(name("em:e1"))


@pytest.mark.parametrize(
    ("known", "gone"),
    [
        pytest.param({1, 2}, 3, id="the oldest anonymous one before older known ones"),
        pytest.param(set(range(1, MAX_HOLDERS + 1)), 1, id="the oldest known one"),
    ],
)
def test_an_identity_with_all_the_holders_it_may_have_is_taken_from_one(
    known: set[int], gone: int
) -> None:
    """spec/identity.md, 4.3."""
    shared = IdentityName(STAMP, "d1")
    state = IdentityState(1, "production")
    state.learn_holders(shared, [Holder(mpid, mpid) for mpid in range(1, MAX_HOLDERS + 1)])
    for mpid in range(1, MAX_HOLDERS + 1):
        login = [Lookup("customerid", str(mpid), 1)] if mpid in known else []
        state.learn_record(mpid, IdentityRecord([Lookup(STAMP, "d1", mpid), *login]))
    state.create(5000, 0)
    attach(state, 5000, [shared], DEFAULT)
    mpids = [each.mpid for each in state.holders(shared)]
    assert mpids == [mpid for mpid in range(1, MAX_HOLDERS + 1) if mpid != gone] + [5000]
    assert not state.existing(gone).holds(shared)
    assert state.changed_mpids == {gone, 5000}
