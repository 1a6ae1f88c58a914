"""What a resolution knows: index entries and identity records, with the changes made so far."""

from collections.abc import Collection, Iterable, Sequence

from msgspec import Struct

from actors.batches.identities import BATCH_NAMES
from actors.identity.keys import IdentityName, canonical
from actors.model.profiles import Lookup
from actors.model.workspaces import Environment, WorkspaceInfo
from actors.store.identities import Holder, ProfileChange


class IdentityRules(Struct, frozen=True):
    """The identity settings of a scope (spec/identity.md, 3)."""

    strategy: str
    priority: tuple[str, ...]
    login_ids: frozenset[str]
    unique_ids: frozenset[str]
    immutable_ids: frozenset[str]
    search_requires_immutable: bool = False


def identity_rules(workspace: WorkspaceInfo) -> IdentityRules:
    """Return the identity settings of a workspace's scope."""
    return IdentityRules(
        workspace.strategy,
        workspace.priority,
        workspace.login_ids,
        workspace.unique_ids,
        workspace.immutable_ids,
        workspace.search_requires_immutable,
    )


class IdentityRecord(Struct):
    """The identities by which one MPID is found, in the order in which they were linked to it.

    `source_mpid` is who the user was before, as far as the strategy keeps it.
    """

    lookups: list[Lookup]
    created_ms: int = 0
    source_mpid: int | None = None

    def holds(self, name: IdentityName) -> bool:
        """Tell whether the record has this lookup."""
        return any(each.type == name.type and each.value == name.value for each in self.lookups)

    def values(self, identity_type: str) -> list[Lookup]:
        """Return the lookups of one type, oldest link first."""
        return [each for each in self.lookups if each.type == identity_type]

    def has_any(self, identity_types: frozenset[str]) -> bool:
        """Tell whether the record has a lookup of one of these types."""
        return any(each.type in identity_types for each in self.lookups)


class Tally(Struct):
    """What has happened to records, for the metrics of spec/identity.md, 12.

    Attributes:
        created: reason of a new record to how many there are.
        conversions: anonymous records that a call has made known.
        takeovers: values that a modify has taken from another record.
        orphans: records that have lost their last lookup.
        erased: records that are gone for good.
    """

    created: dict[str, int] = {}
    conversions: int = 0
    takeovers: int = 0
    orphans: int = 0
    erased: int = 0

    @property
    def more_records(self) -> int:
        """By how many records there are more."""
        return sum(self.created.values()) - self.erased

    def add(self, other: "Tally") -> None:
        """Count what another one has counted."""
        for reason, count in other.created.items():
            self.created[reason] = self.created.get(reason, 0) + count
        self.conversions += other.conversions
        self.takeovers += other.takeovers
        self.orphans += other.orphans
        self.erased += other.erased


class Missing(Exception):
    """A decision needs something that was not read yet: read it and decide again."""

    def __init__(self, names: set[IdentityName], mpids: set[int]) -> None:
        super().__init__(names, mpids)
        self.names = names
        self.mpids = mpids


class IdentityState:
    """The part of one pool (scope and environment) that was read, and what was decided on it.

    A decision works on a `fork`, which sees everything known before and is `merge`d when the
    decision is complete; so one that ends in `Missing` leaves nothing behind. `changed_names`,
    `changed_mpids` and `profile_changes` (by MPID) say what has to be written, `tally` what has
    happened. A record that does not exist is `None`. Names are kept in the order of their change,
    not of their hashes, so that the same calls do the same things in every process.
    """

    def __init__(
        self, scope: int, environment: Environment, base: "IdentityState | None" = None
    ) -> None:
        self.scope = scope
        self.environment = environment
        self.changed_names: dict[IdentityName, None] = {}
        self.changed_mpids: set[int] = set()
        self.profile_changes: dict[int, ProfileChange] = {}
        self.tally = Tally()
        self._base = base
        self._holders: dict[IdentityName, list[Holder]] = {}
        self._records: dict[int, IdentityRecord | None] = {}
        # What was known of what has been merged, to be reverted to.
        self._before_holders: dict[IdentityName, list[Holder]] = {}
        self._before_records: dict[int, IdentityRecord | None] = {}

    def fork(self) -> "IdentityState":
        """Return a state that starts from this one and keeps its changes to itself."""
        return IdentityState(self.scope, self.environment, base=self)

    def merge(self, fork: "IdentityState") -> None:
        """Take over the changes of a fork."""
        if self._base is None:  # what is merged into a fork goes with the fork
            for name in fork._holders:
                if name in self._holders and name not in self._before_holders:
                    self._before_holders[name] = self._holders[name]
            for mpid in fork._records:
                if mpid in self._records and mpid not in self._before_records:
                    self._before_records[mpid] = self._records[mpid]
        self._holders.update(fork._holders)
        self._records.update(fork._records)
        self.changed_names |= fork.changed_names
        self.changed_mpids |= fork.changed_mpids
        self.tally.add(fork.tally)
        for mpid, change in fork.profile_changes.items():
            for identity_type, value in change.removed:
                self.hide(mpid, IdentityName(identity_type, value), change.time_ms)
            for identity_type, value in change.shown.items():
                self.show(mpid, identity_type, value, change.time_ms)
            if change.new_in:
                self.open_profile(mpid, change.new_in, change.time_ms)

    def settle(self) -> None:
        """Take what was changed as what is: it is going to be written."""
        self.changed_names = {}
        self.changed_mpids = set()
        self.profile_changes = {}
        self.tally = Tally()
        self._before_holders = {}
        self._before_records = {}

    def revert(self) -> None:
        """Take back what was merged since it was last settled."""
        self.forget(self.changed_names, self.changed_mpids)
        self._holders.update(self._before_holders)
        self._records.update(self._before_records)
        self.settle()

    def forget(self, names: Iterable[IdentityName], mpids: Iterable[int]) -> None:
        """Know some entries and records no longer."""
        for name in names:
            self._holders.pop(name, None)
        for mpid in mpids:
            self._records.pop(mpid, None)

    @property
    def size(self) -> int:
        """How many entries and records it holds itself."""
        return len(self._holders) + len(self._records)

    def learn_holders(self, name: IdentityName, holders: list[Holder]) -> None:
        """Take in an index entry; what is known already stays, for it may be changed."""
        self._holders.setdefault(name, holders)

    def learn_record(self, mpid: int, record: IdentityRecord | None) -> None:
        """Take in an identity record, `None` if it was erased."""
        self._records.setdefault(mpid, record)

    def knows_holders(self, name: IdentityName) -> bool:
        """Tell whether an index entry was read."""
        return name in self._holders or (self._base is not None and self._base.knows_holders(name))

    def knows_record(self, mpid: int) -> bool:
        """Tell whether an identity record was read."""
        return mpid in self._records or (self._base is not None and self._base.knows_record(mpid))

    def holders(self, name: IdentityName) -> list[Holder]:
        """Return the holders of an identity, oldest link first. Raises Missing."""
        found = self._holders.get(name)
        if found is not None:
            return found
        if self._base is None:
            raise Missing({name}, set())
        return self._base.holders(name)

    def record(self, mpid: int) -> IdentityRecord | None:
        """Return the record of an MPID. Raises Missing."""
        if mpid in self._records:
            return self._records[mpid]
        if self._base is None:
            raise Missing(set(), {mpid})
        return self._base.record(mpid)

    def existing(self, mpid: int) -> IdentityRecord:
        """Return the record of an MPID that a holder names. Raises Missing."""
        return self.record(mpid) or IdentityRecord(lookups=[])

    def require(
        self,
        names: Collection[IdentityName],
        mpids: Collection[int] = (),
        *,
        with_holders: bool = True,
    ) -> None:
        """Raise Missing, for all at once, unless these entries and records are known.

        `with_holders`: the records of those who hold the names as well.
        """
        unknown = {name for name in names if not self.knows_holders(name)}
        wanted = set(mpids)
        if with_holders:
            known = [name for name in names if name not in unknown]
            wanted.update(holder.mpid for name in known for holder in self.holders(name))
        unread = {mpid for mpid in wanted if not self.knows_record(mpid)}
        if unknown or unread:
            raise Missing(unknown, unread)

    def create(self, mpid: int, created_ms: int, source_mpid: int | None = None) -> None:
        """Make a new record."""
        self._records[mpid] = IdentityRecord([], created_ms, source_mpid)
        self.changed_mpids.add(mpid)

    def erase(self, mpid: int) -> None:
        """Take all lookups from a record, and the record away. Raises Missing."""
        for each in self.existing(mpid).lookups:
            self.unlink(mpid, IdentityName(each.type, each.value))
        self._records[mpid] = None
        self.changed_mpids.add(mpid)
        self.tally.erased += 1

    def link(
        self, mpid: int, name: IdentityName, *, is_known: bool = False, linked_ms: int = 0
    ) -> None:
        """Make an identity a lookup of a record: its newest link. Raises Missing."""
        self.link_all(mpid, [name], is_known=is_known, linked_ms=linked_ms)

    def link_all(
        self, mpid: int, names: Sequence[IdentityName], *, is_known: bool, linked_ms: int
    ) -> None:
        """Make identities lookups of a record, in order, as `link` does. Raises Missing."""
        record = self.existing(mpid)
        before = [self.holders(name) for name in names]
        lookups = record.lookups.copy()
        for name, holders in zip(names, before, strict=True):
            link = holders[-1].link + 1 if holders else 1
            self._holders[name] = [*holders, Holder(mpid, link, is_known)]
            lookups.append(Lookup(name.type, name.value, link, linked_ms))
        self._replace(mpid, record, lookups)
        self.changed_names.update(dict.fromkeys(names))

    def mark_known(self, mpid: int, *, is_known: bool) -> None:
        """Note at all identities of a record whether it has a login ID now. Raises Missing.

        To be called when that has changed.
        """
        names = [IdentityName(each.type, each.value) for each in self.existing(mpid).lookups]
        unread = {name for name in names if not self.knows_holders(name)}
        if unread:
            raise Missing(unread, set())
        for name in names:
            self._holders[name] = [
                Holder(mpid, each.link, is_known) if each.mpid == mpid else each
                for each in self.holders(name)
            ]
            self.changed_names[name] = None

    def unlink(self, mpid: int, name: IdentityName) -> None:
        """Take a lookup from a record. Raises Missing."""
        record = self.existing(mpid)
        self._holders[name] = [each for each in self.holders(name) if each.mpid != mpid]
        self._replace(
            mpid,
            record,
            [each for each in record.lookups if (each.type, each.value) != (name.type, name.value)],
        )
        self.changed_names[name] = None

    def show(self, mpid: int, identity_type: str, value: str, now_ms: int) -> None:
        """Have a profile show a value, as sent, if it is one of a user identity."""
        if identity_type in BATCH_NAMES:
            self._profile_change(mpid, now_ms).shown[identity_type] = value

    def hide(self, mpid: int, name: IdentityName, now_ms: int) -> None:
        """Have a profile show a value no longer."""
        if name.type not in BATCH_NAMES:
            return
        change = self._profile_change(mpid, now_ms)
        shown = change.shown.get(name.type)
        if shown is not None and canonical(name.type, shown) == name.value:
            del change.shown[name.type]
        change.removed.append((name.type, name.value))

    def open_profile(self, mpid: int, workspace: int, now_ms: int) -> None:
        """Make the profile of a new record readable in a workspace."""
        self._profile_change(mpid, now_ms).new_in = workspace

    def _profile_change(self, mpid: int, now_ms: int) -> ProfileChange:
        change = self.profile_changes.setdefault(mpid, ProfileChange(mpid, now_ms))
        change.time_ms = max(change.time_ms, now_ms)
        return change

    def _replace(self, mpid: int, record: IdentityRecord, lookups: list[Lookup]) -> None:
        self._records[mpid] = IdentityRecord(lookups, record.created_ms, record.source_mpid)
        self.changed_mpids.add(mpid)
