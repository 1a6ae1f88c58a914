"""The steady state: whether a request's answer can be read off one record, with nothing to write.

A batch whose identities are all attached to one profile is resolved by that profile's shard alone
(`../../README.md`, Identities). What is decided here must be what the strategy would decide.
"""

from collections.abc import Sequence

from actors.identity.matching import Request
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
    lookups = record.lookups
    for name in request:
        kind, value = name.type, name.value
        for each in lookups:
            if each.value == value and each.type == kind:
                break
        else:
            return False
    # The record holds all that was sent, so what is missing to be returned was not sent.
    sent = [name.type for name in request]
    if not rules.immutable_ids.isdisjoint([each.type for each in lookups]) and (
        rules.immutable_ids.isdisjoint(sent)
    ):
        return False
    login_ids = rules.login_ids
    if not login_ids.isdisjoint(sent):
        return True
    if first_holders is None or not login_ids.isdisjoint([each.type for each in lookups]):
        return False
    return newest_anonymous(first_holders) == mpid


def newest_anonymous(holders: Sequence[Holder]) -> int | None:
    """Return the MPID of the anonymous record that was linked last, `None` if there is none."""
    return next((each.mpid for each in reversed(holders) if not each.is_known), None)
