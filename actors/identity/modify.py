"""What a modify call is answered, and what it changes (spec/identity.md, 6). Pure, as `decide`."""

from actors.identity.attaching import make_room
from actors.identity.calls import ChangeRequest, IdentityProblem, ModifyAnswer, ModifyCall
from actors.identity.keys import IdentityName, canonical
from actors.identity.matching import is_known
from actors.identity.state import IdentityRules, IdentityState

UNKNOWN_MPID = IdentityProblem(400, "LOOKUP_ERROR", "MPID not found.")


def modify(
    state: IdentityState, call: ModifyCall, rules: IdentityRules
) -> ModifyAnswer | IdentityProblem:
    """Change the identities of one MPID: all that was asked for, or nothing.

    Args:
        state: what is known; not changed by a call that is refused.
        call: to be answered.
        rules: of the scope.

    Raises:
        Missing: an entry or a record was not read; the state is as it was, decide again with it.
    """
    names = {
        IdentityName(change.type, canonical(change.type, value))
        for change in call.changes
        for value in (change.old, change.new)
        if value is not None and change.type in rules.priority
    }
    state.require(names, mpids={call.mpid}, with_holders=False)
    if state.record(call.mpid) is None:
        return UNKNOWN_MPID
    fork = state.fork()
    modification = _Modification(fork, call, rules)
    for change in call.changes:
        if change.old is None and change.new is None:
            continue
        problem = modification.apply(change)
        if problem is not None:
            return problem
    modification.finish()
    state.merge(fork)
    return ModifyAnswer(tuple(modification.changed))


class _Modification:
    """One call in progress."""

    def __init__(self, state: IdentityState, call: ModifyCall, rules: IdentityRules) -> None:
        self.changed: list[tuple[str, int]] = []
        self._state = state
        self._mpid = call.mpid
        self._now_ms = call.received_ms
        self._rules = rules
        # The records that something may have come to or gone from, and what they were before.
        self._had_lookups = {call.mpid: bool(state.existing(call.mpid).lookups)}
        self._was_known = {call.mpid: is_known(state.existing(call.mpid), rules)}

    def apply(self, change: ChangeRequest) -> IdentityProblem | None:
        """Apply one entry; the state is of no use after a problem."""
        key = change.type
        old = None if change.old is None else IdentityName(key, canonical(key, change.old))
        new = None if change.new is None else IdentityName(key, canonical(key, change.new))
        self.changed.append((key, self._mpid))
        if key in self._rules.immutable_ids and not self._is_allowed(new):
            return IdentityProblem(400, "BAD_REQUEST", f'Identity type "{key}" is immutable.')
        if key in self._rules.priority:
            self._change_lookups(old, new)
        elif old is not None:
            self._state.hide(self._mpid, old, self._now_ms)
        if change.new is not None:
            self._state.show(self._mpid, key, change.new, self._now_ms)
        return None

    def finish(self) -> None:
        """Note with their identities which records have become known or anonymous."""
        tally = self._state.tally
        for mpid, was_known in self._was_known.items():
            record = self._state.existing(mpid)
            is_known_now = is_known(record, self._rules)
            if is_known_now != was_known:
                self._state.mark_known(mpid, is_known=is_known_now)
                tally.conversions += is_known_now
            tally.orphans += self._had_lookups[mpid] and not record.lookups

    def _is_allowed(self, new: IdentityName | None) -> bool:
        """Tell whether an immutable type may get this value: once, or the same again."""
        if new is None:
            return False
        own = self._state.existing(self._mpid).values(new.type)
        if own:
            return any(each.value == new.value for each in own)
        return not self._state.holders(new)

    def _change_lookups(self, old: IdentityName | None, new: IdentityName | None) -> None:
        record = self._state.existing(self._mpid)
        if new is None or new.type not in self._rules.unique_ids:
            going = [] if old is None or old == new or not record.holds(old) else [old]
        else:
            self._take_over(new)
            own = [IdentityName(each.type, each.value) for each in record.values(new.type)]
            going = [each for each in own if each != new]
        for name in going:
            self._take_away(self._mpid, name)
        if new is None or record.holds(new):
            return
        if new.type not in self._rules.unique_ids:
            make_room(self._state, self._mpid, new, self._rules, self._now_ms)
        was_known = self._was_known[self._mpid]
        self._state.link(self._mpid, new, is_known=was_known, linked_ms=self._now_ms)

    def _take_over(self, name: IdentityName) -> None:
        for holder in self._state.holders(name):
            if holder.mpid == self._mpid:
                continue
            if holder.mpid not in self._was_known:
                record = self._state.existing(holder.mpid)
                self._was_known[holder.mpid] = is_known(record, self._rules)
                self._had_lookups[holder.mpid] = True
            self._take_away(holder.mpid, name)
            self._state.tally.takeovers += 1
            self.changed.append((name.type, holder.mpid))

    def _take_away(self, mpid: int, name: IdentityName) -> None:
        self._state.unlink(mpid, name)
        self._state.hide(mpid, name, self._now_ms)
