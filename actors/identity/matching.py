"""The parts that the strategies share: who may be returned, who is picked, what is attached.

Pure functions of what is known (spec/identity.md, 7.1 to 7.3). `request` is R: sent identities
after the value rules, only types of the priority list, in its order.
"""

from collections.abc import Sequence

from actors.identity.keys import IdentityName
from actors.identity.state import IdentityRecord, IdentityRules, IdentityState

MAX_VALUES_PER_TYPE = 100  # of a type that is not unique, on one record (spec/identity.md, 4.3)
MAX_HOLDERS = 1000  # of one identity whose type is not unique

Request = Sequence[IdentityName]


def is_known(record: IdentityRecord, rules: IdentityRules) -> bool:
    """Tell whether a record has a login ID."""
    return record.has_any(rules.login_ids)


def is_eligible(record: IdentityRecord, request: Request, rules: IdentityRules) -> bool:
    """Tell whether a request may be answered with a record: protection and immutable IDs."""
    if is_known(record, rules) and not _matches(record, request, rules.login_ids):
        return False
    return not record.has_any(rules.immutable_ids) or _matches(record, request, rules.immutable_ids)


def pools(
    state: IdentityState, request: Request, rules: IdentityRules
) -> tuple[set[int], set[int]]:
    """Return the eligible known and the eligible anonymous holders of anything in the request.

    Raises:
        Missing: an entry or a record was not read yet.
    """
    state.require(set(request))
    known: set[int] = set()
    anonymous: set[int] = set()
    for mpid in {holder.mpid for name in request for holder in state.holders(name)}:
        record = state.existing(mpid)
        if is_eligible(record, request, rules):
            (known if is_known(record, rules) else anonymous).add(mpid)
    return known, anonymous


def pick(state: IdentityState, request: Request, pool: set[int]) -> int:
    """Return the member of a pool that matches best, by priority (spec/identity.md, 7.2).

    The pool's members all hold something of the request.
    """
    left: set[int] = set()
    first: IdentityName | None = None
    for name in request:
        matching = {holder.mpid for holder in state.holders(name)} & pool
        if not matching:
            continue
        if first is None:
            left, first = matching, name
        elif left & matching:
            left &= matching
        if len(left) == 1:
            break
    if first is None:
        raise ValueError("no member of the pool holds an identity of the request")
    newest_first = reversed(state.holders(first))
    return next(holder.mpid for holder in newest_first if holder.mpid in left)


def attach(state: IdentityState, mpid: int, request: Request, rules: IdentityRules) -> None:
    """Make the request's identities lookups of a record, as far as the rules allow (7.3).

    Raises:
        Missing: a lookup that has to go, or another one of a record that becomes known, was not
            read yet.
    """
    was_known = is_known(state.existing(mpid), rules)
    for rank, name in enumerate(request):
        record = state.existing(mpid)
        if record.holds(name):
            continue
        own = record.values(name.type)
        if name.type in rules.immutable_ids and own:
            continue
        if name.type in rules.unique_ids:
            if state.holders(name):
                continue
            if own:
                if not any(record.holds(higher) for higher in request[:rank]):
                    continue
                state.unlink(mpid, IdentityName(name.type, own[0].value))
        else:
            _make_room(state, mpid, name, rules)
        state.link(mpid, name, is_known=was_known)
    if not was_known and is_known(state.existing(mpid), rules):
        state.mark_known(mpid, is_known=True)


def _make_room(state: IdentityState, mpid: int, name: IdentityName, rules: IdentityRules) -> None:
    own = state.existing(mpid).values(name.type)
    if len(own) >= MAX_VALUES_PER_TYPE:
        state.unlink(mpid, IdentityName(name.type, own[0].value))
    holders = state.holders(name)
    if len(holders) >= MAX_HOLDERS:
        records = [(each.mpid, is_known(state.existing(each.mpid), rules)) for each in holders]
        oldest = min(records, key=lambda each: each[1])  # anonymous before known; min is stable
        state.unlink(oldest[0], name)


def _matches(record: IdentityRecord, request: Request, types: frozenset[str]) -> bool:
    return any(name.type in types and record.holds(name) for name in request)
