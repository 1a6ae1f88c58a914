"""Taking back what one decision did to lookups: for operators, from the audit trail.

Pure, as `decide` and `modify`. What has been built upon since is not taken back.
"""

from collections.abc import Sequence

from msgspec import Struct

from actors.identity.attaching import make_room
from actors.identity.calls import IdentityProblem, ModifyAnswer
from actors.identity.keys import IdentityName
from actors.identity.matching import is_known
from actors.identity.state import IdentityRules, IdentityState
from actors.model.profiles import Lookup

CHANGED_SINCE = IdentityProblem(409, "CONFLICT", "The identities have changed since.")


class Effect(Struct, frozen=True):
    """What a decision did to one record: lookups as they were linked."""

    mpid: int
    attached: Sequence[Lookup]
    removed: Sequence[Lookup]


def undo(
    state: IdentityState, effects: Sequence[Effect], rules: IdentityRules, now_ms: int
) -> ModifyAnswer | IdentityProblem:
    """Take back all effects of one decision, or none.

    What was attached is detached, and what was removed is linked again, as the newest link. It is
    refused if one of these lookups has changed since, if somebody else has a unique value now, or
    if an immutable value would go (spec/identity.md, V1, V2 and V11). A record that the decision
    has made is an orphan then; its profile and its history stay.

    Args:
        state: what is known; not changed if it is refused.
        effects: one for each record that the decision changed.
        rules: of the scope.
        now_ms: the time of the undoing.

    Raises:
        Missing: an entry or a record was not read; the state is as it was, decide again with it.
    """
    state.require(
        {_name(each) for effect in effects for each in (*effect.attached, *effect.removed)},
        {effect.mpid for effect in effects},
        with_holders=False,
    )
    fork = state.fork()
    was_known = {each.mpid: is_known(fork.existing(each.mpid), rules) for each in effects}
    had_lookups = {each.mpid: bool(fork.existing(each.mpid).lookups) for each in effects}
    changed: list[tuple[str, int]] = []
    for effect in effects:
        for lookup in effect.attached:
            if lookup.type in rules.immutable_ids:
                message = f'Identity type "{lookup.type}" is immutable.'
                return IdentityProblem(400, "BAD_REQUEST", message)
            if not _is_unchanged(fork, effect.mpid, lookup):
                return CHANGED_SINCE
            fork.unlink(effect.mpid, _name(lookup))
            fork.hide(effect.mpid, _name(lookup), now_ms)
            changed.append((lookup.type, effect.mpid))
    for effect in effects:
        for lookup in effect.removed:
            name = _name(lookup)
            if not _has_room(fork, effect.mpid, name, rules):
                return CHANGED_SINCE
            if name.type not in rules.unique_ids:
                make_room(fork, effect.mpid, name, rules, now_ms)
            fork.link(effect.mpid, name, is_known=was_known[effect.mpid], linked_ms=now_ms)
            fork.show(effect.mpid, name.type, name.value, now_ms)
            changed.append((name.type, effect.mpid))
    for mpid, was in was_known.items():
        if is_known(fork.existing(mpid), rules) != was:
            fork.mark_known(mpid, is_known=not was)
        fork.tally.orphans += had_lookups[mpid] and not fork.existing(mpid).lookups
    state.merge(fork)
    return ModifyAnswer(tuple(changed))


def _name(lookup: Lookup) -> IdentityName:
    return IdentityName(lookup.type, lookup.value)


def _is_unchanged(state: IdentityState, mpid: int, lookup: Lookup) -> bool:
    """Tell whether a record has a lookup by the very link that the decision made."""
    name = _name(lookup)
    held = state.existing(mpid).values(name.type)
    return any((each.value, each.link) == (name.value, lookup.link) for each in held)


def _has_room(state: IdentityState, mpid: int, name: IdentityName, rules: IdentityRules) -> bool:
    """Tell whether a record may have an identity again."""
    record = state.record(mpid)
    if record is None or name.type not in rules.priority or record.holds(name):
        return False
    if name.type not in rules.unique_ids:
        return True
    return not state.holders(name) and not record.values(name.type)
