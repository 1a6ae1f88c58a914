"""What is attached to a record: spec/identity.md, 7.3, and the limits of 4.3."""

import pytest
from msgspec.structs import replace

from actors.identity.attaching import (
    MAX_HOLDERS,
    MAX_VALUES_PER_TYPE,
    attach,
)
from actors.identity.keys import IdentityName
from actors.identity.matching import Question
from actors.identity.state import IdentityRecord, IdentityRules, IdentityState
from actors.model.profiles import Lookup
from actors.store.identities import Holder
from tests.actors.identity.pool import (
    CONVERSION,
    DEFAULT,
    IMMUTABLE,
    NOW,
    Pool,
    name,
    request,
)

STAMP = "device_application_stamp"
BOTH_IMMUTABLE = replace(CONVERSION, immutable_ids=CONVERSION.login_ids)


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
    attach(state, 1, request(sent), rules, NOW)
    found = {IdentityName(each.type, each.value) for each in state.existing(1).lookups}
    assert found == set(request(after))
    assert state.changed_mpids <= {1}


def test_a_record_with_all_the_values_it_may_have_loses_the_one_linked_first() -> None:
    """spec/identity.md, 4.3: a value that many share is not the newer one for that."""
    pool = Pool("B{das:shared}, C{das:shared}, A{das:shared,em:e1}")
    state, mpid = pool.state(), pool.letters["A"]
    for number in range(MAX_VALUES_PER_TYPE - 1):
        attach(state, mpid, request(f"das:d{number}"), DEFAULT, NOW)
    assert state.existing(mpid).holds(name("das:shared"))
    attach(state, mpid, request("das:last"), DEFAULT, NOW)
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
    attach(state, 5000, [shared], DEFAULT, NOW)
    mpids = [each.mpid for each in state.holders(shared)]
    assert mpids == [mpid for mpid in range(1, MAX_HOLDERS + 1) if mpid != gone] + [5000]
    assert not state.existing(gone).holds(shared)
    assert state.changed_mpids == {gone, 5000}


def test_matching_an_old_link_does_not_renew_it() -> None:
    """spec/identity.md, 7.2, last sentence."""
    pool = Pool("A{das:d1}, B{das:d1}")
    state = pool.state()
    attach(state, pool.letters["A"], request("das:d1"), DEFAULT, NOW)
    assert set(state.changed_names) == set()
    pick = Question(state, request("das:d1"), DEFAULT).pick({1, 2})
    assert pick.mpid == pool.letters["B"]
