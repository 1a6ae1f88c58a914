"""The steady state decides what the strategy would decide, or says that it does not know."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actors.identity.keys import IdentityName
from actors.identity.matching import attach, is_known
from actors.identity.profile_conversion import ProfileConversion
from actors.identity.state import IdentityRecord, IdentityRules, IdentityState
from actors.identity.steady import is_settled
from actors.model import Lookup
from actors.store.identities import Holder

PRIORITY = ("customerid", "other", "email", "device_application_stamp")
NAMES = [IdentityName(kind, value) for kind in PRIORITY for value in ("1", "2", "3")]
RULES = [
    IdentityRules(
        "profile_conversion", PRIORITY, frozenset(login), frozenset(unique), frozenset(immutable)
    )
    for login, unique, immutable in (
        (("customerid",), ("customerid",), ("customerid",)),
        (("customerid",), ("customerid",), ()),
        (("customerid", "other"), ("customerid", "other"), ()),
        (("customerid", "other"), ("customerid", "other"), ("customerid",)),
        (("other",), ("customerid", "other", "email"), ()),
    )
]
CUSTOMER = RULES[0]


def in_order(sent: dict[str, str]) -> list[IdentityName]:
    return [IdentityName(kind, sent[kind]) for kind in PRIORITY if kind in sent]


requests = st.dictionaries(
    st.sampled_from(PRIORITY), st.sampled_from(["1", "2", "3"]), min_size=1
).map(in_order)
Step = tuple[str, list[IdentityName]]
# Beside what is resolved here: a logout makes a record of what is no login ID, and `modify` takes
# a lookup from whoever has it.
steps = st.tuples(st.sampled_from(["identify", "identify", "logout", "modify"]), requests)
histories = st.lists(steps, max_size=12)


def state_after(history: Sequence[Step], rules: IdentityRules) -> tuple[IdentityState, list[int]]:
    """Return a state that such a history leads to, all of it known, and the users it has."""
    state = IdentityState(1, "production")
    for name in NAMES:
        state.learn_holders(name, [])
    for mpid, (call, request) in enumerate(history, start=1):
        match call:
            case "identify":
                ProfileConversion().identify(state, request, rules, mpid, 5)
            case "logout":
                state.create(mpid, 5)
                rest = [name for name in request if name.type not in rules.login_ids]
                attach(state, mpid, rest, rules)
            case "modify":
                for holder in state.holders(request[0])[:1]:
                    state.unlink(holder.mpid, request[0])
                    has_login = is_known(state.existing(holder.mpid), rules)
                    state.mark_known(holder.mpid, is_known=has_login)
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
                assert ProfileConversion().identify(fork, request, rules, 99, 5) == mpid
                assert (fork.changed_names, fork.changed_mpids) == (set(), set())


@given(st.sampled_from(RULES), histories, requests)
@settings(deadline=None)
@example(CUSTOMER, [], in_order({"customerid": "1", "email": "2"}))
@example(CUSTOMER, [], in_order({"device_application_stamp": "1"}))
def test_who_comes_again_is_settled(
    rules: IdentityRules,
    history: list[Step],
    request: list[IdentityName],
) -> None:
    """The steady state is worth its name: a request that was resolved is not resolved again.

    Unless an identity of it stayed with somebody else.
    """
    state, _ = state_after(history, rules)
    mpid = ProfileConversion().identify(state, request, rules, 99, 5)
    record = state.existing(mpid)
    if all(record.holds(name) for name in request):
        fork = state.fork()
        again = ProfileConversion().identify(fork, request, rules, 98, 5)
        holders = state.holders(request[0])
        anonymous = [
            each.mpid for each in holders if not is_known(state.existing(each.mpid), rules)
        ]
        has_login = any(name.type in rules.login_ids for name in request)
        assert again == mpid
        expected = has_login or anonymous[-1:] == [mpid]
        assert is_settled(mpid, record, request, holders, rules) == expected


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
