"""The state that one decision works on: it notes what the decision looks at."""

from collections.abc import Container

from actors.identity.keys import IdentityName
from actors.identity.state import IdentityRecord, IdentityState
from actors.model.profiles import Lookup
from actors.model.workspaces import Environment
from actors.store.identities import Holder
from actors.store.trail import TrailEntry

Key = tuple[Environment, IdentityName | int]  # an index entry or an identity record


class Draft(IdentityState):
    """A fork that knows which entries and records its decision has read."""

    def __init__(
        self, base: IdentityState, now_ms: int, absent: Container[int] = frozenset()
    ) -> None:
        """Args: `absent`: MPIDs that are nobody's, unless the base knows whose they are."""
        super().__init__(base.scope, base.environment, base)
        self._below = base
        self._now_ms = now_ms
        self._absent = absent
        self._read_names: dict[IdentityName, None] = {}
        self._read_mpids: set[int] = set()

    def holders(self, name: IdentityName) -> list[Holder]:
        """Return the holders of an identity, oldest link first. Raises Missing."""
        self._read_names[name] = None
        found = self._holders.get(name)
        return self._below.holders(name) if found is None else found

    def record(self, mpid: int) -> IdentityRecord | None:
        """Return the record of an MPID. Raises Missing."""
        self._read_mpids.add(mpid)
        if mpid in self._records:
            return self._records[mpid]
        if mpid in self._absent and not self._below.knows_record(mpid):
            return None
        return self._below.record(mpid)

    def knows_record(self, mpid: int) -> bool:
        """Tell whether it is known what an MPID's record is, or that there is none."""
        return mpid in self._absent or super().knows_record(mpid)

    @property
    def is_changed(self) -> bool:
        """Whether there is something to be written."""
        return bool(self.changed_names or self.changed_mpids or self.profile_changes)

    @property
    def changed(self) -> list[Key]:
        """What is to be written."""
        keys: list[Key] = [(self.environment, name) for name in self.changed_names]
        mpids = self.changed_mpids.union(self.profile_changes)
        return keys + [(self.environment, mpid) for mpid in mpids]

    @property
    def touched(self) -> list[Key]:
        """What was read or changed."""
        environment = self.environment
        names = self._read_names | self.changed_names
        mpids = self._read_mpids.union(self.changed_mpids, self.profile_changes)
        keys: list[Key] = [(environment, name) for name in names]
        return keys + [(environment, mpid) for mpid in mpids]

    def trail(self, kind: str, mpid: int) -> dict[int, TrailEntry]:
        """Return what was done to each record, still without a number; to be asked before a merge.

        Args:
            kind: of the call; `mpid`: whom it was about.
        """
        entries: dict[int, TrailEntry] = {}
        records = sorted(self.changed_mpids)
        for each in self.changed_mpids:
            before, after = _lookups(self._below, each), _lookups(self, each)
            attached, removed = _additions(before, after), _additions(after, before)
            entries[each] = TrailEntry(0, self._now_ms, kind, mpid, attached, removed, records)
        return entries


def _lookups(state: IdentityState, mpid: int) -> list[Lookup]:
    record = state.record(mpid) if state.knows_record(mpid) else None
    return [] if record is None else record.lookups


def _additions(before: list[Lookup], after: list[Lookup]) -> list[Lookup]:
    if not before or not after:
        return after
    known = {(each.type, each.value): each for each in before}
    return [each for each in after if known.get((each.type, each.value)) != each]
