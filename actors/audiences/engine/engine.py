"""The face of the engine: what a shard calls."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np

from actors.audiences.criteria import Node
from actors.audiences.engine.arrays import FAR, Bools, Ints, Places, unpack
from actors.audiences.engine.entries import Entry, EntryStore
from actors.audiences.engine.expirations import expirations_ms
from actors.audiences.engine.holdings import Holdings
from actors.audiences.engine.memberships import Memberships
from actors.audiences.engine.mirror import Mirror
from actors.audiences.engine.packing import (
    pack_entries,
    trim_entries,
    unpack_entries,
    unpack_many,
)
from actors.audiences.engine.plan import Defined, Evaluation, Plan, leaves_of
from actors.audiences.engine.records import Change, Kept, Loaded
from actors.audiences.engine.rows import Rows
from actors.audiences.engine.sources import NO_DERIVED, Derived, Subject
from actors.audiences.engine.terms import node_term
from actors.audiences.engine.verdicts import changes_of, members_of, settable
from actors.model.batches import StoredBatch
from actors.model.profiles import Profile, ProfileKey
from actors.model.workspaces import Environment, WorkspaceInfo
from actors.profiles.retention import DAY_MS, last_active_ms

_PLANS_KEPT = 8
_NO_GROUPS: Mapping[int, str] = {}

__all__ = ["Change", "Engine", "Kept", "Loaded"]


class Engine:
    """All real-time audiences of one workspace over the profiles of one shard.

    One thread. Nothing here is on disk: whoever commits what `observe` and `evaluate` return can,
    if that fails, `load` the profiles concerned from their records (or `forget` those that have
    none), and it is as if nothing had been.

    Args:
        workspace: tiers, number and profile lifetime count.
        lookback_ms: events older than this are seen by no audience.
        groups: number to id of the group definitions that exist.
    """

    def __init__(
        self,
        workspace: WorkspaceInfo,
        lookback_ms: int,
        groups: Mapping[int, str] = _NO_GROUPS,
    ) -> None:
        self.lookback_ms = lookback_ms
        self.groups = groups
        self._workspace = workspace
        self._lifetime_ms = workspace.profile_idle_days * DAY_MS
        self._rows = Rows()
        self._mirror = Mirror()
        self._entries = EntryStore()
        self._memberships = Memberships()
        self._holdings = Holdings(workspace, self._mirror, self._entries)
        self._audiences: dict[int, Defined] = {}
        self._revisions: dict[int, int] = {}
        self._plans: dict[tuple[int, ...], Plan] = {}
        self._known = 0  # rows that all parts have room for

    # -- Definitions ------------------------------------------------------------------------------

    def activate(
        self, audience: int, environment: Environment, node: Node, revision: int = 0
    ) -> None:
        """Evaluate an audience from now on, or from now on by another definition.

        Rows whose `revision` is lower keep the membership that they have; so the caller walks all
        profiles with `load` or `refresh`, `rebuild_events` and `evaluate`.

        Args:
            audience: its number.
            environment: whose users.
            node: its definition.
            revision: greater than those of all definitions before.
        """
        self.define(audience, Defined(environment, node_term(node)), revision)

    def define(self, audience: int, defined: Defined, revision: int) -> None:
        """Evaluate an audience by a term; see `activate`."""
        for leaf in leaves_of(defined.term):
            self._holdings.hold(leaf)
        former = self._audiences.get(audience)
        self._audiences[audience] = defined
        self._revisions[audience] = revision
        self._memberships.add(audience)
        if former is not None:
            self._release(former)
        self._plans.clear()

    def deactivate(self, audience: int) -> None:
        """Evaluate an audience no longer; it has no members any more."""
        self._release(self._audiences.pop(audience))
        del self._revisions[audience]
        self._memberships.remove(audience)
        self._plans.clear()

    def keep(self, audience: int) -> None:
        """Keep the members of an audience that is not evaluated here; see `set_member`."""
        self._memberships.add(audience)

    def keep_no_more(self, audience: int) -> None:
        """Let go of the members of an audience that was kept."""
        self._memberships.remove(audience)

    @property
    def audiences(self) -> list[int]:
        """The numbers of the audiences that are evaluated."""
        return list(self._audiences)

    def revision(self, audience: int) -> int | None:
        """Return the revision of an audience's definition; `None` if it is not evaluated."""
        return self._revisions.get(audience)

    # -- Data -------------------------------------------------------------------------------------

    def load(
        self,
        key: ProfileKey,
        profile: Profile,
        kept: Kept,
        derived: Derived = NO_DERIVED,
    ) -> None:
        """Take a profile as its record is; what the engine had of it is replaced.

        Raises:
            struct.error: `kept.entries` is damaged.
        """
        row = self._row(key)
        found = unpack_entries(kept.entries, self._holdings.number_of_identity)
        self._entries.replace(row, found)
        self._memberships.put(row, kept.audiences)
        self._rows.revision[row] = kept.revision
        self._fill(row, key, profile, derived)

    def load_new(self, users: Sequence[Loaded], now_ms: int) -> None:
        """Take many profiles that have no row, as `load` takes one, for a fraction of the time.

        They are evaluated as well: due at once are only those of whom something has changed.

        Raises:
            struct.error: `kept.entries` of one is damaged.
        """
        if not users:
            return
        since_ms = now_ms - self.lookback_ms
        rows = np.array([self._row(each.key) for each in users], np.int64)
        packed = [each.kept.entries for each in users]
        columns, special = unpack_many(packed, self._holdings.number_of_identity)
        self._entries.add_columns(rows, columns, since_ms)
        for place in special:
            found = unpack_entries(packed[place], self._holdings.number_of_identity)
            self._entries.add(int(rows[place]), found)
        self._memberships.put_new(rows, [each.kept.audiences for each in users])
        self._rows.revision[rows] = [each.kept.revision for each in users]
        for row, each in zip(rows.tolist(), users, strict=True):
            self._fill(row, each.key, each.profile, each.derived)
        plan = self.plan(self._audiences)
        found_now, alive = self.look(plan, rows, now_ms)
        self._set_due(rows, found_now, alive, is_whole=True)
        members = members_of(found_now, self._rows, alive)
        ready = settable(found_now, self._rows, alive)
        differs = self._memberships.differing(rows, plan.wanted, members, ready)
        self._rows.due_ms[rows[differs]] = 0

    def knows(self, key: ProfileKey) -> bool:
        """Tell whether a profile has a row."""
        return self._rows.find(key) is not None

    def refresh(self, key: ProfileKey, profile: Profile, derived: Derived = NO_DERIVED) -> None:
        """Take a profile that changed otherwise than by a batch; its entries stay."""
        known = self._rows.find(key)
        row = self._row(key)
        if known is None:
            self._begin(row)
        self._fill(row, key, profile, derived)

    def observe(
        self,
        key: ProfileKey,
        profile: Profile,
        stored: StoredBatch,
        derived: Derived = NO_DERIVED,
    ) -> bytes:
        """Take a batch that was applied to a profile.

        Args:
            key: whose batch it is.
            profile: as it is afterwards.
            stored: the batch; those of one user come in the order of the store.
            derived: what others make of the user, as it is afterwards.

        Returns:
            Packed entries, to be appended to those of the record.
        """
        row = self._rows.find(key)
        if row is None:
            row = self._row(key)
            self._begin(row)
            self._fill(row, key, profile, derived)
        elif self._rows.alive_until_ms[row] < stored.received_ms:
            # Its lifetime was over: the batch found an empty section, and left it with little.
            self._fill(row, key, profile, derived)
        else:
            subject = self._subject(key, profile, derived)
            if subject is not None:
                self._set_alive(row, profile)
                self._mirror.update(row, subject, stored)
        since_ms = stored.received_ms - self.lookback_ms
        matcher, first_event = self._holdings.matcher, self._entries.next_event(row)
        happened, entries = matcher.found(stored, first_event, since_ms)
        packed = b""
        if happened:
            self._entries.add_happened(row, happened)
            packed = self._holdings.packer.pack(happened)
        if entries:
            self._entries.add(row, entries)
            packed += pack_entries(entries, self._holdings.identity)
        return packed

    def rebuild_events(
        self,
        key: ProfileKey,
        batches: Iterable[StoredBatch],
        revision: int,
        now_ms: int,
        until_ms: int = FAR,
    ) -> bytes:
        """Make all entries of a profile anew; return them packed, in place of all before.

        Args:
            key: of a profile that was loaded.
            batches: all that are stored of it and may have events inside the lookback.
            revision: of the definitions, for the row.
            now_ms: what is older than the lookback before it makes no entries.
            until_ms: nor does what is later than this.
        """
        row = self._row(key)
        found: list[Entry] = []
        matcher, first = self._holdings.matcher, 0
        for stored in sorted(batches, key=lambda each: each.log_id):
            entries = matcher.entries(stored, first, now_ms - self.lookback_ms)
            found.extend(entry for entry in entries if entry.t_ms <= until_ms)
            first += len(stored.batch.events)
        self._entries.replace(row, found)
        self._rows.revision[row] = revision
        self._rows.due_ms[row] = 0
        return pack_entries(found, self._holdings.identity)

    def note_ready(self, key: ProfileKey, revision: int) -> None:
        """Note that the entries of a profile are those of a revision: nothing of it is stored.

        One without a row gets its revision with the row.
        """
        row = self._rows.find(key)
        if row is not None:
            self._rows.revision[row] = revision
            self._rows.due_ms[row] = 0

    def wake(self, key: ProfileKey, at_ms: int | None) -> None:
        """Let a profile be due at an instant for a reason of the caller's; `None`: for none."""
        row = self._rows.find(key)
        if row is not None:
            self._rows.wake_ms[row] = FAR if at_ms is None else at_ms

    def trim(self, packed: bytes, now_ms: int) -> bytes:
        """Return packed entries without those that are past the lookback."""
        return trim_entries(packed, now_ms - self.lookback_ms)

    def forget(self, key: ProfileKey) -> None:
        """Let go of a profile, its memberships too."""
        row = self._rows.drop(key)
        if row is not None:
            self._entries.clear(row)
            self._memberships.put(row, ())

    # -- Evaluation -------------------------------------------------------------------------------

    def rows_of(self, keys: Iterable[ProfileKey]) -> Places:
        """Return the rows of profiles that have one, each once."""
        found = {row for key in keys if (row := self._rows.find(key)) is not None}
        return np.array(sorted(found), np.int64)

    def keys_of(self, rows: Places) -> list[ProfileKey]:
        """Return whose rows these are."""
        return [self._rows.key(row) for row in rows.tolist()]

    def slices(self, size: int) -> Iterator[Places]:
        """Return all rows, so many at a time, for `evaluate`."""
        return self._rows.slices(size)

    def due(self, now_ms: int) -> Places:
        """Return the rows on which something can have changed by the passing of time."""
        return self._rows.due(now_ms)

    def next_due_ms(self) -> int | None:
        """Return when the first row is due; `None`: none ever."""
        first = int(self._rows.due_ms.min(initial=FAR))
        return None if first >= FAR else first

    def evaluate(
        self,
        rows: Places,
        now_ms: int,
        only: Iterable[int] | None = None,
        expiring: Collection[int] | None = None,
    ) -> list[Change]:
        """Evaluate audiences for some rows, and keep the memberships that come of it.

        Args:
            rows: each once.
            now_ms: the instant.
            only: these audiences; all by default.
            expiring: audiences whose entries are to have an expiration; all by default. It costs
                as much as the rest, so leave out those that nobody is told of.

        Returns:
            What changed, by row and audience.
        """
        if not len(rows):
            return []
        self._entries.merge(now_ms - self.lookback_ms)
        plan = self.plan(self._audiences if only is None else only)
        found = plan.evaluate(self._entries, rows, np.array([2 * now_ms], np.int64))
        alive = self._rows.is_alive(rows, now_ms)
        self._set_due(rows, found, alive, is_whole=only is None)
        changed = self._memberships.change(
            rows,
            plan.wanted,
            members_of(found, self._rows, alive),
            settable(found, self._rows, alive),
        )
        expirations = self._expirations(found, *changed, expiring)
        return changes_of(found, self._rows, *changed, expirations)

    def plan(self, audiences: Iterable[int]) -> Plan:
        """Return the joint evaluation of audiences; the last few are kept."""
        wanted = tuple(audiences)
        plan = self._plans.get(wanted)
        if plan is None:
            if len(self._plans) >= _PLANS_KEPT:
                self._plans.clear()
            plan = Plan(
                self._audiences,
                self._revisions,
                wanted,
                self._holdings,
                self._rows,
                self.lookback_ms,
            )
            self._plans[wanted] = plan
        return plan

    def look(self, plan: Plan, rows: Places, now_ms: int) -> tuple[Evaluation, Bools]:
        """Evaluate without keeping anything; return also which rows belong to the population."""
        self._entries.merge(now_ms - self.lookback_ms)
        found = plan.evaluate(self._entries, rows, np.array([2 * now_ms], np.int64))
        return found, self._rows.is_alive(rows, now_ms)

    def satisfied_by(self, key: ProfileKey, now_ms: int) -> set[int]:
        """Return the audiences whose definition holds for a profile; nothing is kept of it."""
        rows = self.rows_of([key])
        if not len(rows) or not self._audiences:
            return set()
        found, alive = self.look(self.plan(self._audiences), rows, now_ms)
        places = unpack(members_of(found, self._rows, alive), 1)[:, 0]
        return {found.plan.wanted[index] for index in places.nonzero()[0].tolist()}

    def expirations_ms(self, found: Evaluation, wanted: Ints, places: Ints) -> Ints:
        """Return when definitions cease to hold; see `expirations.expirations_ms`."""
        return expirations_ms(found, self._entries, wanted, places)

    def expirations_of(self, key: ProfileKey, now_ms: int) -> dict[int, int]:
        """Return when a user's memberships lapse without new data.

        Left out are those that never do, and those that are not, or not any more, by the present
        definition.
        """
        row = self._rows.find(key)
        if row is None or not self._audiences:
            return {}
        plan = self.plan(self._audiences)
        found, _ = self.look(plan, np.array([row]), now_ms)
        revision = int(self._rows.revision[row])
        members = set(self._memberships.of(row))
        wanted = np.array(
            [
                index
                for index, audience in enumerate(plan.wanted)
                if audience in members and plan.revisions[index] <= revision
            ],
            np.int64,
        )
        places = np.zeros(len(wanted), np.int64)
        wanted = wanted[found.satisfies(wanted, places)]
        ends_ms = self.expirations_ms(found, wanted, places[: len(wanted)])
        return {
            plan.wanted[index]: at_ms
            for index, at_ms in zip(wanted.tolist(), ends_ms.tolist(), strict=True)
            if at_ms < FAR
        }

    # -- Memberships ------------------------------------------------------------------------------

    def set_member(self, key: ProfileKey, audience: int, *, is_member: bool) -> None:
        """Let a profile that has a row be in an audience that is kept, or not."""
        row = self._rows.find(key)
        if row is not None:
            self._memberships.set(row, audience, is_member=is_member)

    def first_members(self, audience: int, after: int | None, limit: int) -> list[int]:
        """Return the least MPIDs above `after` of an audience's members, ascending."""
        mpids = self._rows.mpid[self._memberships.rows_of(audience)]
        if after is not None:
            mpids = mpids[mpids > after]
        if len(mpids) > limit:
            mpids = np.partition(mpids, limit)[:limit]
        found: list[int] = np.sort(mpids).tolist()
        return found

    def members(self, audience: int) -> list[ProfileKey]:
        """Return the members of an audience."""
        return self.keys_of(self._memberships.rows_of(audience))

    def size(self, audience: int) -> int:
        """Return how many members an audience has."""
        return self._memberships.count(audience)

    def audiences_of(self, key: ProfileKey) -> list[int]:
        """Return the audiences that a profile is in, ascending."""
        row = self._rows.find(key)
        return [] if row is None else self._memberships.of(row)

    # -- Size -------------------------------------------------------------------------------------

    @property
    def parts(self) -> tuple[Rows, Mirror, EntryStore, Memberships, Holdings]:
        """What takes memory, for accounts of it."""
        return self._rows, self._mirror, self._entries, self._memberships, self._holdings

    @property
    def reads_events(self) -> bool:
        """Tell whether any criterion is about events."""
        return bool(self._holdings.streams)

    # -- Inside -----------------------------------------------------------------------------------

    def _release(self, defined: Defined) -> None:
        for leaf in leaves_of(defined.term):
            self._holdings.release(leaf)

    def _row(self, key: ProfileKey) -> int:
        row = self._rows.take(key)
        capacity = self._rows.capacity
        if capacity != self._known:
            self._mirror.know(capacity)
            self._entries.know(capacity)
            self._memberships.know(capacity)
            self._known = capacity
        return row

    def _begin(self, row: int) -> None:
        """A profile that is new: nothing of it was stored before."""
        self._entries.clear(row)
        self._memberships.put(row, ())
        self._rows.revision[row] = max(self._revisions.values(), default=0)

    def _fill(self, row: int, key: ProfileKey, profile: Profile, derived: Derived) -> None:
        self._set_alive(row, profile)
        self._rows.due_ms[row] = 0
        subject = self._subject(key, profile, derived)
        if subject is not None:
            self._mirror.fill(row, subject)

    def _subject(self, key: ProfileKey, profile: Profile, derived: Derived) -> Subject | None:
        """Return a user as sources read it; `None` without a section."""
        section = profile.workspaces.get(self._workspace.number)
        return None if section is None else Subject(key, profile, section, derived, self.groups)

    def _set_alive(self, row: int, profile: Profile) -> None:
        """Note until when a profile belongs to the population (spec/audiences.md, 5, rule 10)."""
        section = profile.workspaces.get(self._workspace.number)
        is_in = section is not None and not section.is_aged_out and not profile.is_opted_out
        until_ms = last_active_ms(profile) + self._lifetime_ms if is_in else -1
        self._rows.alive_until_ms[row] = until_ms

    def _set_due(self, rows: Places, found: Evaluation, alive: Bools, *, is_whole: bool) -> None:
        ticks = found.next_tick()
        due_ms = np.where(ticks < FAR, (ticks + 1) >> 1, FAR)
        due_ms = np.where(alive, due_ms, FAR)
        if not is_whole:
            due_ms = np.minimum(due_ms, self._rows.due_ms[rows])
        self._rows.due_ms[rows] = due_ms

    def _expirations(
        self,
        found: Evaluation,
        audience: Ints,
        place: Ints,
        entered: Bools,
        expiring: Collection[int] | None,
    ) -> Ints:
        """Return the expiration of every change; `FAR` where none is to be found."""
        expirations = np.full(len(audience), FAR, np.int64)
        wanted = entered
        if expiring is not None:
            told = np.array([number in expiring for number in found.plan.wanted], np.bool_)
            wanted = entered & told[audience]
        came = wanted.nonzero()[0]
        if len(came):
            expirations[came] = self.expirations_ms(found, audience[came], place[came])
        return expirations
