"""An identity pool in memory, written as in the tables of spec/identity.md.

`K{cid:c1,das:d1}, A{das:d1}` are two records; the later one has the later links. `N` is the one
that a call makes.
"""

import re

from actors.identity.keys import IdentityName
from actors.identity.matching import attach
from actors.identity.registry import STRATEGIES
from actors.identity.state import IdentityRecord, IdentityRules, IdentityState, Missing
from actors.model import Lookup
from actors.store.identities import Holder

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
ALL_ANONYMOUS = IdentityRules("best_match", PRIORITY, _NONE, _NONE, _NONE)


def name(text: str) -> IdentityName:
    """Read an identity such as `cid:c1`."""
    short, _, value = text.partition(":")
    return IdentityName(TYPES[short], value)


def request(text: str) -> list[IdentityName]:
    """Read the identities of a call, `cid:c1 das:d1`, and bring them into priority order."""
    names = [name(each) for each in re.split(r"[ ,]+", text) if each]
    return sorted(names, key=lambda each: PRIORITY.index(each.type))


class Pool:
    """Everything that is stored of one scope and environment, each record under a letter."""

    def __init__(self, records: str = "") -> None:
        self.letters: dict[str, int] = {}
        self.holders: dict[IdentityName, list[Holder]] = {}
        self.records: dict[int, IdentityRecord] = {}
        for letter, lookups in re.findall(r"(\w+)\{([^}]*)\}", records):
            mpid = self.letters[letter] = len(self.letters) + 1
            state = self.state()
            state.create(mpid, 0)
            for each in request(lookups):
                state.link(mpid, each)
            self._keep(state)

    def state(self) -> IdentityState:
        """Return a state that has read everything, also of identities that nobody holds."""
        return _AllRead(self)

    def identify(
        self, sent: list[IdentityName], rules: IdentityRules, new_mpid: int = 99
    ) -> tuple[int, IdentityState]:
        """Resolve a request as the coordinator does, reading only what is found to be missing."""
        known = IdentityState(1, "production")
        while True:
            fork = known.fork()
            try:
                mpid = STRATEGIES[rules.strategy].identify(fork, sent, rules, new_mpid, NOW)
            except Missing as missing:
                for each in missing.names:
                    known.learn_holders(each, self.holders.get(each, []))
                for number in missing.mpids:
                    known.learn_record(number, self.records.get(number))
                continue
            known.merge(fork)
            self._keep(known)
            return mpid, known

    def log_out(self, sent: list[IdentityName], rules: IdentityRules, new_mpid: int) -> None:
        """Make a record of what is no login ID, as every logout does (spec/identity.md, 7.4)."""
        state = self.state()
        state.create(new_mpid, NOW)
        rest = [each for each in sent if each.type not in rules.login_ids]
        attach(state, new_mpid, rest, rules)
        self._keep(state)

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

    def holders(self, name: IdentityName) -> list[Holder]:
        """Return the holders, none if the pool has no entry."""
        self.learn_holders(name, [])
        return super().holders(name)


def record(*lookups: str) -> IdentityRecord:
    """Make a record that was read."""
    names = [name(each) for each in lookups]
    return IdentityRecord([Lookup(each.type, each.value, 1) for each in names])
