"""Which histories the check takes for those of one call after the other, and which it does not."""

from typing import Any

import pytest

from actors.identity.calls import CallKind, ChangeRequest, IdentityAnswer, IdentityCall, ModifyCall
from actors.identity.decisions import Decision, of_call, of_erasure, of_modify, of_record
from actors.identity.registry import STRATEGIES
from actors.identity.state import IdentityRules
from tests.actors.identity.pool import DEFAULT, LINK, request
from tests.actors.identity.sequential import History, NotSequential, Reference, order_of
from tests.actors.profiles.builders import NOW


def asked(
    kind: CallKind,
    identities: str,
    rules: IdentityRules,
    *,
    previous_mpid: int | None = None,
    retry_key: bytes | None = None,
) -> Decision[Any]:
    sent = {each.type: each.value for each in request(identities)}
    call = IdentityCall(kind, "production", sent, NOW, previous_mpid, retry_key=retry_key)
    return of_call(call, rules, STRATEGIES[rules.strategy])


def answered(mpid: int, *matched: str, is_known: bool = False) -> IdentityAnswer:
    return IdentityAnswer(mpid, matched, not is_known, is_known)


def after(*done: tuple[Decision[Any], int]) -> Reference:
    """Return what there is after some calls, each with the MPID of a new record."""
    reference = Reference.empty()
    for decision, new_mpid in done:
        _, reference = reference.after(decision, new_mpid)
    return reference


def test_orders_that_differ_in_a_source_only_are_told_apart() -> None:
    """`prev` counts only if it is anonymous (spec/identity.md, 7.1), so the login came first."""
    identify = asked("identify", "das:1", LINK)
    changes = (ChangeRequest("email", None, "2"),)
    modify = of_modify(ModifyCall("production", 5, changes, NOW), LINK)
    login = asked("login", "cid:1", LINK, previous_mpid=5)
    end = after((identify, 5), (login, 6), (modify, 0))
    history = History()
    history.end(history.begin("identify", identify), answered(5))
    modifying = history.begin("modify", modify)
    logging_in = history.begin("login", login)
    history.end(logging_in, answered(6, is_known=True))
    history.end(modifying, modify.run(after((identify, 5), (login, 6)).state(), 0))
    reading = history.begin("record", of_record("production", 6, NOW))
    history.end(reading, end.state().record(6))
    assert order_of(history, end.dump(), {5, 6}) == ["identify", "login", "modify", "record"]


def test_a_source_that_no_order_gives_is_found_on_disk() -> None:
    login = asked("login", "cid:1", LINK)
    entries, [(mpid, (source, lookups))] = after((login, 6)).dump()
    assert source is None
    history = History()
    history.end(history.begin("login", login), answered(6, is_known=True))
    order_of(history, (entries, ((mpid, (None, lookups)),)), {6})
    with pytest.raises(NotSequential):
        order_of(history, (entries, ((mpid, (5, lookups)),)), {6})


def test_an_mpid_is_not_given_out_twice() -> None:
    """Also not once it is erased: "never reused" (spec/identity.md, 1)."""
    login = asked("login", "cid:1", DEFAULT)
    erasure = of_erasure("production", 6, NOW)
    for again in (6, 7):
        history = History()
        history.end(history.begin("login", login), answered(6, is_known=True))
        history.end(history.begin("erase", erasure), True)
        history.end(history.begin("login again", login), answered(again, is_known=True))
        end = after((login, again)).dump()
        if again == 6:
            with pytest.raises(NotSequential):
                order_of(history, end, {6})
        else:
            assert order_of(history, end, {6, 7}) == ["login", "erase", "login again"]


@pytest.mark.parametrize("mpid", [6, 7])
def test_a_logout_without_an_answer_is_done_once_or_not_at_all(mpid: int) -> None:
    """7.5: its repetition gets the first one's answer, if that was done."""
    logout = asked("logout", "das:1", DEFAULT, retry_key=b"z")
    history = History()
    history.begin("lost", logout)
    history.end(history.begin("logout", logout), answered(mpid))
    order_of(history, after((logout, mpid)).dump(), {mpid})
    both = after((asked("logout", "das:1", DEFAULT), 6), (logout, 7)).dump()
    with pytest.raises(NotSequential):
        order_of(history, both, {6, 7})


def test_orders_that_differ_in_what_is_remembered_only_are_told_apart() -> None:
    """Which of two logouts made which user is seen when one of them is repeated."""
    one = asked("logout", "das:1", DEFAULT, retry_key=b"one")
    two = asked("logout", "das:1", DEFAULT, retry_key=b"two")
    history = History()
    history.begin("one", one)
    history.begin("two", two)
    history.end(history.begin("one again", one), answered(7))
    end = after((two, 6), (one, 7)).dump()
    assert order_of(history, end, {6, 7}) == ["two", "one", "one again"]


def test_a_call_sees_what_was_answered_before_it_was_sent() -> None:
    login = asked("login", "cid:1", DEFAULT)
    search = asked("search", "cid:1", DEFAULT)
    end = after((login, 6)).dump()
    [none] = {asked("search", "cid:1", DEFAULT).run(Reference.empty().state(), 0)}
    history = History()
    searching = history.begin("search", search)
    history.end(history.begin("login", login), answered(6, is_known=True))
    history.end(searching, none)
    assert order_of(history, end, {6}) == ["search", "login"]
    history = History()
    history.end(history.begin("login", login), answered(6, is_known=True))
    history.end(history.begin("search", search), none)
    with pytest.raises(NotSequential):
        order_of(history, end, {6})
