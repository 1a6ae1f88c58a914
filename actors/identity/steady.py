"""The steady state: whether a request's answer can be read off one record, with nothing to write.

A batch whose identities are all attached to one profile is resolved by that profile's shard alone
(`../../README.md`, Identities). What is decided here must be what the strategy would decide.
"""

from collections.abc import Sequence

from actors.identity.matching import Request, is_known, refusal_of
from actors.identity.state import IdentityRecord, IdentityRules
from actors.store.identities import Holder


def is_settled(
    mpid: int,
    record: IdentityRecord,
    request: Request,
    first_holders: Sequence[Holder] | None,
    rules: IdentityRules,
) -> bool:
    """Tell whether `identify` would answer with `mpid` and change nothing.

    Args:
        mpid: whose record is at hand.
        record: its lookups, as they are now.
        request: not empty, in priority order.
        first_holders: those of the request's first identity, as they are now; `None` if another
            shard has them.
        rules: of the scope.

    This is so with every strategy. With a login ID in the request the record is the only known one
    that is eligible, because login IDs are unique, and all strategies begin with the known ones.
    Without one nothing can be a fresh login, and only anonymous records are eligible (under best
    match all are); of those that hold the first identity the one linked last wins: it holds all the
    others too. A batch has no previous MPID that would decide otherwise.
    """
    held = {(each.type, each.value) for each in record.lookups}
    if not held.issuperset([(name.type, name.value) for name in request]):
        return False
    if refusal_of(record, request, rules) is not None:
        return False
    if any(name.type in rules.login_ids for name in request):
        return True
    if is_known(record, rules) or first_holders is None:
        return False
    return newest_anonymous(first_holders) == mpid


def newest_anonymous(holders: Sequence[Holder]) -> int | None:
    """Return the MPID of the anonymous record that was linked last, `None` if there is none."""
    return next((each.mpid for each in reversed(holders) if not each.is_known), None)
