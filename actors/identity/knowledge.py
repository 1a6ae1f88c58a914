"""What the sequencer knows: entries and records that were read or decided lately."""

from collections.abc import Collection, Iterable

from actors.identity.draft import Key
from actors.identity.index import record_of
from actors.identity.keys import IdentityName
from actors.identity.state import IdentityState
from actors.model.workspaces import ENVIRONMENTS, Environment
from actors.store.identities import IdentityChange

MAX_KNOWN = 100_000  # entries and records kept in memory, about 100 MB


class Knowledge:
    """Entries and records as they are or will be on the shards: right, for nobody else writes.

    But a batch makes a profile under any MPID that it names (spec/identity.md, 9). So what a shard
    has no record of is not known here: it is told to those who have asked (`reading`). Of a record
    it is known that there is none only if it was erased, which is for good.

    Attributes:
        states: by environment. What was decided since the last commit can be taken back.
        trims: how often what is known was dropped.
    """

    def __init__(self, scope: int) -> None:
        self.states = {each: IdentityState(scope, each) for each in ENVIRONMENTS}
        self.trims = 0

    def knows_record(self, mpid: int) -> bool:
        """Tell whether an MPID is known to be somebody's, or to have been, anywhere."""
        return any(state.knows_record(mpid) for state in self.states.values())

    def more_records(self) -> dict[Environment, int]:
        """Return by how many records there are more since the last commit."""
        return {each: state.tally.more_records for each, state in self.states.items()}

    def revert(self) -> None:
        """Take back what was decided since the last commit."""
        for state in self.states.values():
            state.revert()

    def learn(self, change: IdentityChange) -> None:
        """Take in what an intent is going to make of entries and records."""
        state = self.states[change.environment]
        for entry in change.entries:
            state.learn_holders(IdentityName(entry.type, entry.value), entry.holders)
        for record in change.records:
            state.learn_record(record.mpid, record_of(record))

    def forget(self, keys: Iterable[Key]) -> None:
        """Know some entries and records no longer."""
        for environment, what in keys:
            names, mpids = ((), [what]) if isinstance(what, int) else ([what], ())
            self.states[environment].forget(names, mpids)

    def trim(self, kept: Collection[Key]) -> None:
        """Forget what is known, but for what the shards do not have yet, if it is too much."""
        if sum(state.size for state in self.states.values()) <= MAX_KNOWN:
            return
        left = {each: IdentityState(state.scope, each) for each, state in self.states.items()}
        for environment, what in kept:
            state = self.states[environment]
            if not isinstance(what, int):
                left[environment].learn_holders(what, state.holders(what))
            elif state.knows_record(what):  # not if what is replayed changes its profile alone
                left[environment].learn_record(what, state.record(what))
        self.states.update(left)
        self.trims += 1
