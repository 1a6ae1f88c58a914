"""An identity pool in memory, written as in the tables of spec/identity.md.

`K{cid:c1,das:d1}, A{das:d1}` are two records; the later one has the later links.
"""

import re
from collections.abc import Callable
from typing import TypeVar

from actors.identity.calls import (
    CallKind,
    ChangeRequest,
    IdentityAnswer,
    IdentityCall,
    IdentityProblem,
    ModifyAnswer,
    ModifyCall,
)
from actors.identity.decide import decide
from actors.identity.keys import IdentityName
from actors.identity.matching import is_known
from actors.identity.modify import modify
from actors.identity.registry import STRATEGIES
from actors.identity.state import IdentityRecord, IdentityRules, IdentityState, Missing
from actors.model.profiles import Lookup
from actors.store.identities import Holder

AnswerT = TypeVar("AnswerT")

NOW = 1_767_225_600_000
TYPES = {
    "cid": "customerid",
    "em": "email",
    "oth": "other",
    "idfv": "ios_idfv",
    "rk": "roku_aid",
    "das": "device_application_stamp",
}
PRIORITY = tuple(TYPES.values())

_CID = frozenset({"customerid"})
_CID_EM = frozenset({"customerid", "email"})
_NONE: frozenset[str] = frozenset()
DEFAULT = IdentityRules("default", PRIORITY, _CID, _CID, _CID)
CONVERSION = IdentityRules("profile_conversion", PRIORITY, _CID_EM, _CID_EM, _NONE)
IMMUTABLE = IdentityRules("profile_conversion", PRIORITY, _CID_EM, _CID_EM, _CID)
LINK = IdentityRules("profile_link", PRIORITY, _CID_EM, _CID_EM, _NONE)
ISOLATION = IdentityRules("profile_isolation", PRIORITY, _CID_EM, _CID_EM, _NONE)
BEST_MATCH = IdentityRules("best_match", PRIORITY, _NONE, _NONE, _NONE)


def name(text: str) -> IdentityName:
    """Read an identity such as `cid:c1`."""
    short, _, value = text.partition(":")
    return IdentityName(TYPES[short], value)


def request(text: str) -> list[IdentityName]:
    """Read the identities of a call, `cid:c1 das:d1`, and bring them into priority order."""
    names = [name(each) for each in re.split(r"[ ,]+", text) if each]
    return sorted(names, key=lambda each: PRIORITY.index(each.type))


def call_of(
    kind: CallKind,
    sent: list[IdentityName],
    previous_mpid: int | None = None,
    *,
    is_read_only: bool = False,
    is_batch: bool = False,
) -> IdentityCall:
    """Make a call that sends some identities."""
    return IdentityCall(
        kind,
        "production",
        {each.type: each.value for each in sent},
        NOW,
        previous_mpid,
        is_read_only=is_read_only,
        is_batch=is_batch,
    )


class Pool:
    """Everything that is stored of one scope and environment, each record under a letter.

    `rules` say who of the records that it is made of is known.
    """

    def __init__(self, records: str = "", rules: IdentityRules = BEST_MATCH) -> None:
        self.letters: dict[str, int] = {}
        self.holders: dict[IdentityName, list[Holder]] = {}
        self.records: dict[int, IdentityRecord] = {}
        for letter, lookups in re.findall(r"(\w+)\{([^}]*)\}", records):
            mpid = self.letters[letter] = len(self.letters) + 1
            state = self.state()
            state.create(mpid, 0)
            names = request(lookups)
            has_login = any(each.type in rules.login_ids for each in names)
            for each in names:
                state.link(mpid, each, is_known=has_login)
            self._keep(state)

    def state(self) -> IdentityState:
        """Return a state that has read everything, also of identities that nobody holds."""
        return _AllRead(self)

    def call(
        self, call: IdentityCall, rules: IdentityRules, new_mpid: int
    ) -> tuple[IdentityAnswer | IdentityProblem, IdentityState]:
        """Answer a call as the coordinator does; return also what was read and changed for it."""
        strategy = STRATEGIES[rules.strategy]
        return self.decided(lambda state: decide(state, call, rules, strategy, new_mpid))

    def identify(
        self, sent: list[IdentityName], rules: IdentityRules, new_mpid: int = 99
    ) -> tuple[int, IdentityState]:
        """Resolve a batch; return its MPID and what was read and changed for it."""
        answer, state = self.call(call_of("identify", sent, is_batch=True), rules, new_mpid)
        assert isinstance(answer, IdentityAnswer)
        return answer.mpid, state

    def modify(
        self, mpid: int, changes: list[ChangeRequest], rules: IdentityRules
    ) -> tuple[ModifyAnswer | IdentityProblem, IdentityState]:
        """Change the identities of a record; return also what was read and changed for it."""
        call = ModifyCall("production", mpid, tuple(changes), NOW)
        return self.decided(lambda state: modify(state, call, rules))

    def check(self, rules: IdentityRules) -> None:
        """Check what holds at any time: spec/identity.md, V1, V2 and V10."""
        by_record = {
            (name, mpid, link)
            for mpid, lookups in self.lookups().items()
            for name, link in lookups.items()
        }
        by_entry = {
            (name, each.mpid, each.link)
            for name, holders in self.holders.items()
            for each in holders
        }
        assert by_record == by_entry, "V10: entries and records name each other"
        for name, holders in self.holders.items():
            assert name.type not in rules.unique_ids or len(holders) <= 1, "V1"
            assert [each.link for each in holders] == sorted({each.link for each in holders})
            for each in holders:
                assert each.is_known == is_known(self.records[each.mpid], rules)
        for record in self.records.values():
            for unique in rules.unique_ids:
                assert len(record.values(unique)) <= 1, "V2"

    def decided(
        self, decision: Callable[[IdentityState], AnswerT]
    ) -> tuple[AnswerT, IdentityState]:
        """Decide on what is read when it is found to be missing, and keep the changes."""
        state = IdentityState(1, "production")
        while True:
            try:
                fork = state.fork()
                answer = decision(fork)
            except Missing as missing:
                for each in missing.names:
                    state.learn_holders(each, self.holders.get(each, []))
                for number in missing.mpids:
                    state.learn_record(number, self.records.get(number))
                continue
            state.merge(fork)
            self._keep(state)
            return answer, state

    def lookups(self) -> dict[int, dict[IdentityName, int]]:
        """Return what each record holds, with the links."""
        return {
            mpid: {IdentityName(each.type, each.value): each.link for each in record.lookups}
            for mpid, record in self.records.items()
        }

    def named_lookups(self) -> dict[str, set[IdentityName]]:
        """Return what each record holds, by the letters that the records were given."""
        held = self.lookups()
        return {letter: set(held[mpid]) for letter, mpid in self.letters.items()}

    def _keep(self, state: IdentityState) -> None:
        for each in state.changed_names:
            self.holders[each] = state.holders(each)
        for mpid in state.changed_mpids:
            self.records[mpid] = state.existing(mpid)


class _AllRead(IdentityState):
    """A state in front of a pool."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(1, "production")
        for mpid, record in pool.records.items():
            self.learn_record(mpid, record)
        for each, holders in pool.holders.items():
            self.learn_holders(each, holders)

    def knows_holders(self, name: IdentityName) -> bool:
        """Say that every entry was read."""
        return True

    def knows_record(self, mpid: int) -> bool:
        """Say that every record was read."""
        return True

    def holders(self, name: IdentityName) -> list[Holder]:
        """Return the holders, none if the pool has no entry."""
        self.learn_holders(name, [])
        return super().holders(name)

    def record(self, mpid: int) -> IdentityRecord | None:
        """Return a record, `None` if the pool has none."""
        self.learn_record(mpid, None)
        return super().record(mpid)


def record(*lookups: str) -> IdentityRecord:
    """Make a record that was read."""
    names = [name(each) for each in lookups]
    return IdentityRecord([Lookup(each.type, each.value, 1) for each in names])
