"""What an engine has of profiles, as batches and records fill it, and who is in which audience."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from actors.audiences.engine.arrays import FAR, Places
from actors.audiences.engine.entries import Entry, EntryStore
from actors.audiences.engine.holdings import Holdings
from actors.audiences.engine.memberships import Memberships
from actors.audiences.engine.mirror import Mirror
from actors.audiences.engine.packing import pack_entries, trim_entries, unpack_entries
from actors.audiences.engine.records import Kept
from actors.audiences.engine.rows import Rows
from actors.audiences.engine.sources import NO_DERIVED, Derived, Subject
from actors.model.batches import StoredBatch
from actors.model.profiles import Profile, ProfileKey
from actors.model.workspaces import WorkspaceInfo
from actors.profiles.retention import DAY_MS, last_active_ms


class EngineProfiles:
    """What an engine has of the profiles of one shard.

    Args:
        workspace: tiers, number and profile lifetime count.
        lookback_ms: events older than this are seen by no audience.
        groups: number to id of the group definitions that exist.
    """

    def __init__(
        self, workspace: WorkspaceInfo, lookback_ms: int, groups: Mapping[int, str]
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
        self._newest_revision = 0  # of the definitions
        self._known = 0  # rows that all parts have room for

    def knows(self, key: ProfileKey) -> bool:
        """Tell whether a profile has a row."""
        return self._rows.find(key) is not None

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
        self._rows.revision.array[row] = kept.revision
        self._fill(row, key, profile, derived)

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
        elif self._rows.alive_until_ms.array[row] < stored.received_ms:
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
        self._rows.revision.array[row] = revision
        self._rows.due_ms.array[row] = 0
        return pack_entries(found, self._holdings.identity)

    def note_ready(self, key: ProfileKey, revision: int) -> None:
        """Note that the entries of a profile are those of a revision: nothing of it is stored.

        One without a row gets its revision with the row.
        """
        row = self._rows.find(key)
        if row is not None:
            self._rows.revision.array[row] = revision
            self._rows.due_ms.array[row] = 0

    def wake(self, key: ProfileKey, at_ms: int | None) -> None:
        """Let a profile be due at an instant for a reason of the caller's; `None`: for none."""
        row = self._rows.find(key)
        if row is not None:
            self._rows.wake_ms.array[row] = FAR if at_ms is None else at_ms

    def trim(self, packed: bytes, now_ms: int) -> bytes:
        """Return packed entries without those that are past the lookback."""
        return trim_entries(packed, now_ms - self.lookback_ms)

    def forget(self, key: ProfileKey) -> None:
        """Let go of a profile, its memberships too."""
        row = self._rows.drop(key)
        if row is not None:
            self._entries.clear(row)
            self._memberships.put(row, ())

    # -- Rows --------------------------------------------------------------------------------------

    def rows_of(self, keys: Iterable[ProfileKey]) -> Places:
        """Return the rows of profiles that have one, each once."""
        found = {row for key in keys if (row := self._rows.find(key)) is not None}
        return np.array(sorted(found), np.int64)

    def keys_of(self, rows: Places) -> list[ProfileKey]:
        """Return whose rows these are."""
        return self._rows.keys(rows)

    def slices(self, size: int) -> Iterator[Places]:
        """Return all rows, so many at a time, for `evaluate`."""
        return self._rows.slices(size)

    def due(self, now_ms: int, without: Iterable[ProfileKey] = ()) -> Places:
        """Return the rows on which something can have changed by the passing of time.

        `without`: profiles that are left out, due or not.
        """
        due, others = self._rows.due(now_ms), self.rows_of(without)
        return np.setdiff1d(due, others, assume_unique=True) if len(others) else due

    def next_due_ms(self) -> int | None:
        """Return when the first row is due; `None`: none ever."""
        first = int(self._rows.due_ms.array.min(initial=FAR))
        return None if first >= FAR else first

    # -- Memberships -------------------------------------------------------------------------------

    def set_member(self, key: ProfileKey, audience: int, *, is_member: bool) -> None:
        """Let a profile that has a row be in an audience that is kept, or not."""
        row = self._rows.find(key)
        if row is not None:
            self._memberships.set(row, audience, is_member=is_member)

    def first_members(self, audience: int, after: int | None, limit: int) -> list[int]:
        """Return the least MPIDs above `after` of an audience's members, ascending."""
        mpids = self._rows.mpid.array[self._memberships.rows_of(audience)]
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

    # -- Inside ------------------------------------------------------------------------------------

    def _row(self, key: ProfileKey) -> int:
        self._rows.make_room()
        capacity = self._rows.capacity
        if capacity != self._known:
            self._mirror.know(capacity)
            self._entries.know(capacity)
            self._memberships.know(capacity)
            self._known = capacity
        return self._rows.take(key)  # last: without room everywhere nobody has got a row

    def _begin(self, row: int) -> None:
        """A profile that is new: nothing of it was stored before."""
        self._entries.clear(row)
        self._memberships.put(row, ())
        self._rows.revision.array[row] = self._newest_revision

    def _fill(self, row: int, key: ProfileKey, profile: Profile, derived: Derived) -> None:
        self._set_alive(row, profile)
        self._rows.due_ms.array[row] = 0
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
        self._rows.alive_until_ms.array[row] = until_ms
