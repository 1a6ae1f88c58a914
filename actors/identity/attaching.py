"""What is attached to the record that was found: spec/identity.md, 7.3, with the limits of 4.3."""

from typing import Literal, NamedTuple

from actors.identity.keys import IdentityName
from actors.identity.matching import Request, is_known
from actors.identity.state import IdentityRules, IdentityState

MAX_VALUES_PER_TYPE = 100  # of a type that is not unique, on one record (spec/identity.md, 4.3)
MAX_HOLDERS = 1000  # of one identity whose type is not unique

# The rows of the table in spec/identity.md, 7.3.
Outcome = Literal[
    "held",
    "kept_immutable",
    "held_by_another",
    "replaced",
    "kept_own",
    "added",
]
ATTACHED: frozenset[Outcome] = frozenset({"added", "replaced"})


class Attachment(NamedTuple):
    """What became of one identity of the request."""

    name: IdentityName
    outcome: Outcome


def attach(
    state: IdentityState, mpid: int, request: Request, rules: IdentityRules, now_ms: int
) -> list[Attachment]:
    """Make the request's identities lookups of a record, as far as the rules allow.

    Returns:
        What became of each identity, in the request's order.

    Raises:
        Missing: a lookup that has to go, or another one of a record that becomes known, was not
            read yet.
    """
    record = state.existing(mpid)
    if not record.lookups:
        return _attach_to_empty(state, mpid, request, rules, now_ms)
    was_known = is_known(record, rules)
    attachments: list[Attachment] = []
    for rank, name in enumerate(request):
        outcome = _outcome(state, mpid, name, request[:rank], rules)
        attachments.append(Attachment(name, outcome))
        if outcome not in ATTACHED:
            continue
        if outcome == "replaced":
            for own in state.existing(mpid).values(name.type):
                state.unlink(mpid, IdentityName(own.type, own.value))
        elif name.type not in rules.unique_ids:
            make_room(state, mpid, name, rules, now_ms)
        state.link(mpid, name, is_known=was_known, linked_ms=now_ms)
    if not was_known and is_known(state.existing(mpid), rules):
        state.mark_known(mpid, is_known=True)
    return attachments


def _attach_to_empty(
    state: IdentityState, mpid: int, request: Request, rules: IdentityRules, now_ms: int
) -> list[Attachment]:
    """Do the same for a record that has no lookups, which is what most new users are made by.

    There is nothing to be kept or replaced, and what is linked is linked to a known record or not.
    """
    attachments: list[Attachment] = []
    added: list[IdentityName] = []
    for name in request:
        outcome: Outcome = "added"
        holders = state.holders(name)
        if name.type not in rules.unique_ids:
            if len(holders) >= MAX_HOLDERS:
                make_room(state, mpid, name, rules, now_ms)
        elif holders:
            outcome = "held_by_another"
        attachments.append(Attachment(name, outcome))
        if outcome == "added":
            added.append(name)
    is_known_now = not rules.login_ids.isdisjoint([name.type for name in added])
    if added:
        state.link_all(mpid, added, is_known=is_known_now, linked_ms=now_ms)
    return attachments


def _outcome(
    state: IdentityState, mpid: int, name: IdentityName, higher: Request, rules: IdentityRules
) -> Outcome:
    record = state.existing(mpid)
    if record.holds(name):
        return "held"
    own = record.values(name.type)
    if name.type in rules.immutable_ids and own:
        return "kept_immutable"
    if name.type not in rules.unique_ids:
        return "added"
    if state.holders(name):
        return "held_by_another"
    if not own:
        return "added"
    return "replaced" if any(record.holds(each) for each in higher) else "kept_own"


def make_room(
    state: IdentityState, mpid: int, name: IdentityName, rules: IdentityRules, now_ms: int
) -> None:
    """Let the oldest links go where one more would be too many (spec/identity.md, 4.3).

    Args:
        state: changed. mpid: whose lookup the identity is to become.
        name: of a type that is not unique; `mpid` does not hold it.
        rules: of the scope. now_ms: time of receipt.

    Raises:
        Missing: a lookup or a holder that may have to go was not read yet.
    """
    own = state.existing(mpid).values(name.type)
    if len(own) >= MAX_VALUES_PER_TYPE:
        _let_go(state, mpid, IdentityName(name.type, own[0].value), now_ms)
    holders = state.holders(name)
    if len(holders) >= MAX_HOLDERS:
        state.require([name])
        records = [(each.mpid, is_known(state.existing(each.mpid), rules)) for each in holders]
        oldest = min(records, key=lambda each: each[1])  # anonymous before known; min is stable
        _let_go(state, oldest[0], name, now_ms)


def _let_go(state: IdentityState, mpid: int, name: IdentityName, now_ms: int) -> None:
    state.unlink(mpid, name)
    state.hide(mpid, name, now_ms)
    if not state.existing(mpid).lookups:
        state.tally.orphans += 1
