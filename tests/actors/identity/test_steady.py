"""The steady state decides what the strategy would decide, or says that it does not know."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actors.identity.calls import ChangeRequest, IdentityAnswer, IdentityCall, ModifyCall
from actors.identity.decide import decide
from actors.identity.keys import IdentityName
from actors.identity.matching import is_known
from actors.identity.modify import modify
from actors.identity.registry import STRATEGIES
from actors.identity.state import IdentityRecord, IdentityRules, IdentityState
from actors.identity.steady import is_settled, newest_anonymous
from actors.model.profiles import Lookup
from actors.store.identities import Holder

PRIORITY = ("customerid", "other", "email", "device_application_stamp")
NAMES = [IdentityName(kind, value) for kind in PRIORITY for value in ("1", "2", "3")]
RULES = [
    IdentityRules(strategy, PRIORITY, frozenset(login), frozenset(unique), frozenset(immutable))
    for strategy in ("profile_conversion", "profile_link", "profile_isolation")
    for login, unique, immutable in (
        (("customerid",), ("customerid",), ("customerid",)),
        (("customerid",), ("customerid",), ()),
        (("customerid", "other"), ("customerid", "other"), ()),
        (("customerid", "other"), ("customerid", "other"), ("customerid",)),
        (("other",), ("customerid", "other", "email"), ()),
    )
]
RULES.append(IdentityRules("best_match", PRIORITY, frozenset(), frozenset(), frozenset()))
CUSTOMER, BEST_MATCH = RULES[0], RULES[-1]


def in_order(sent: dict[str, str]) -> list[IdentityName]:
    return [IdentityName(kind, sent[kind]) for kind in PRIORITY if kind in sent]


requests = st.dictionaries(
    st.sampled_from(PRIORITY), st.sampled_from(["1", "2", "3"]), min_size=1
).map(in_order)
Step = tuple[str, list[IdentityName]]
steps = st.tuples(st.sampled_from(["identify", "identify", "logout", "modify", "give"]), requests)
histories = st.lists(steps, max_size=12)


def identify(
    state: IdentityState, request: list[IdentityName], rules: IdentityRules, new_mpid: int
) -> int:
    """Resolve a batch."""
    sent = {name.type: name.value for name in request}
    call = IdentityCall("identify", "production", sent, 5, is_batch=True)
    answer = decide(state, call, rules, STRATEGIES[rules.strategy], new_mpid)
    assert isinstance(answer, IdentityAnswer)
    return answer.mpid


def state_after(history: Sequence[Step], rules: IdentityRules) -> tuple[IdentityState, list[int]]:
    """Return a state that such a history leads to, all of it known, and the users it has.

    Beside what is resolved here: a logout, and a `modify` that takes a lookup from whoever has it
    or gives it to the user made first.
    """
    state = IdentityState(1, "production")
    for name in NAMES:
        state.learn_holders(name, [])
    for mpid, (kind, request) in enumerate(history, start=1):
        name = request[0]
        match kind:
            case "identify":
                identify(state, request, rules, mpid)
            case "logout":
                sent = {each.type: each.value for each in request}
                call = IdentityCall("logout", "production", sent, 5)
                decide(state, call, rules, STRATEGIES[rules.strategy], mpid)
            case "modify":
                for holder in state.holders(name)[:1]:
                    taken = (ChangeRequest(name.type, name.value, None),)
                    modify(state, ModifyCall("production", holder.mpid, taken, 5), rules)
            case "give":
                for user in sorted(state.changed_mpids)[:1]:
                    given_ = (ChangeRequest(name.type, None, name.value),)
                    modify(state, ModifyCall("production", user, given_, 5), rules)
    return state, sorted(state.changed_mpids)


@given(st.sampled_from(RULES), histories, requests)
@settings(max_examples=300, deadline=None)
def test_what_it_settles_the_strategy_settles_likewise(
    rules: IdentityRules,
    history: list[Step],
    request: list[IdentityName],
) -> None:
    """The same MPID and no change, with and without the entry of the first identity."""
    state, users = state_after(history, rules)
    for mpid in users:
        for first in (state.holders(request[0]), None):
            if is_settled(mpid, state.existing(mpid), request, first, rules):
                fork = state.fork()
                assert identify(fork, request, rules, 99) == mpid
                assert (set(fork.changed_names), fork.changed_mpids) == (set(), set())
                assert fork.profile_changes == {}


@given(st.sampled_from(RULES), histories, requests)
@settings(deadline=None)
@example(CUSTOMER, [], in_order({"customerid": "1", "email": "2"}))
@example(CUSTOMER, [], in_order({"device_application_stamp": "1"}))
@example(BEST_MATCH, [], in_order({"customerid": "1", "email": "2"}))
def test_who_comes_again_is_settled(
    rules: IdentityRules,
    history: list[Step],
    request: list[IdentityName],
) -> None:
    """The steady state is worth its name: a request that was resolved is not resolved again.

    Unless an identity of it stayed with somebody else.
    """
    state, _ = state_after(history, rules)
    mpid = identify(state, request, rules, 99)
    record = state.existing(mpid)
    if all(record.holds(name) for name in request):
        fork = state.fork()
        again = identify(fork, request, rules, 98)
        holders = state.holders(request[0])
        anonymous = [
            each.mpid for each in holders if not is_known(state.existing(each.mpid), rules)
        ]
        has_login = any(name.type in rules.login_ids for name in request)
        assert again == mpid
        expected = has_login or anonymous[-1:] == [mpid]
        assert is_settled(mpid, record, request, holders, rules) == expected


@given(st.sampled_from(RULES), histories, st.sampled_from(NAMES))
@settings(max_examples=200, deadline=None)
def test_of_a_single_identity_its_entry_says_all(
    rules: IdentityRules, history: list[Step], name: IdentityName
) -> None:
    """Without the record, which another shard may have."""
    state, _ = state_after(history, rules)
    mpid = newest_anonymous(state.holders(name))
    if mpid is not None and name.type not in rules.login_ids:
        fork = state.fork()
        assert identify(fork, [name], rules, 99) == mpid
        assert (set(fork.changed_names), fork.changed_mpids) == (set(), set())


def record(*names: IdentityName) -> IdentityRecord:
    return IdentityRecord([Lookup(name.type, name.value, 1) for name in names])


ANN, BOB = IdentityName("customerid", "ann"), IdentityName("customerid", "bob")
MAIL, STAMP = IdentityName("email", "a@b.c"), IdentityName("device_application_stamp", "d")


@pytest.mark.parametrize(
    ("held", "request_", "first", "expected"),
    [
        pytest.param([ANN], [ANN], None, True, id="a login elsewhere"),
        pytest.param([ANN, MAIL], [ANN], [Holder(1, 1)], True, id="with more than is asked for"),
        pytest.param([ANN], [ANN, MAIL], [Holder(1, 1)], False, id="something to attach"),
        pytest.param([ANN, MAIL], [MAIL], [Holder(1, 1)], False, id="protection"),
        pytest.param([BOB, MAIL], [ANN, MAIL], None, False, id="another login"),
        pytest.param([MAIL], [MAIL], [Holder(1, 1)], True, id="anonymous"),
        pytest.param([MAIL], [MAIL], [Holder(2, 1), Holder(1, 2)], True, id="linked last"),
        pytest.param([MAIL], [MAIL], [Holder(1, 1), Holder(2, 2)], False, id="not linked last"),
        pytest.param([MAIL], [MAIL], None, False, id="not known who was linked last"),
        pytest.param([MAIL], [MAIL], [], False, id="nobody holds it"),
        pytest.param([], [STAMP], [Holder(1, 1)], False, id="an orphan"),
    ],
)
def test_when_a_batch_is_settled(
    held: list[IdentityName],
    request_: list[IdentityName],
    first: list[Holder] | None,
    expected: bool,
) -> None:
    assert is_settled(1, record(*held), request_, first, CUSTOMER) is expected
