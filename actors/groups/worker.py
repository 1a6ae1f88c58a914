"""The group job on one shard, slice by slice (spec/identity.md, 13; `actors.groups.runs`).

Each slice is one short call and one transaction that also holds how far it came, so ingestion goes
on between slices, and after a crash the next call goes on where the last commit was. A call too
many, or one that comes late, does nothing that is not wanted.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct, field

from actors.errors import StaleGroupRun
from actors.groups.aggregates import AGGREGATIONS
from actors.groups.live import KnownGroups, LiveGroups, write_live
from actors.groups.membership import group_value, own_attribute
from actors.groups.merging import merged
from actors.groups.runs import GroupRun, Phase, Progress
from actors.model import AttributeValue, GroupMembership, Profile, ProfileKey
from actors.profiles.retention import DAY_MS
from actors.shard import Shard
from actors.store import groups
from actors.store.environment import Table, Transaction
from actors.store.groups import Partial, Values
from actors.store.keys import profile_key, profile_key_parts

SLICE = 250  # profiles or keys per call: less than 10 ms, which ingestion has to wait
# What one call reads and writes of groups; unions of long texts can be large.
SLICE_BYTES = 4 * 1024 * 1024
# What one call hands over to be merged.
PAGE_BYTES = 1024 * 1024


class _StoredSection(Struct, array_like=True):
    """A `Section` of which only what groups depend on is decoded: several times faster."""

    first_seen_ms: int
    last_seen_ms: int
    inputs: Raw
    user_attributes: dict[str, Raw]
    consent_state: Raw = Raw()
    devices: Raw = Raw()
    attribution: Raw = Raw()
    location: Raw = Raw()
    location_updated_ms: Raw = Raw()
    newest_log_id: Raw = Raw()
    open_sessions: Raw = Raw()
    newest_historical_id: Raw = Raw()
    is_aged_out: bool = False
    groups: dict[int, GroupMembership] = field(default_factory=dict)


class _StoredProfile(Struct, array_like=True):
    """The beginning of a `Profile`, likewise."""

    created_timestamp_ms: int
    last_stored_timestamp_ms: int
    is_opted_out: Raw
    limit_ad_tracking: Raw
    lookups: Raw
    user_identities: Raw
    partner_identities: Raw
    workspaces: dict[int, _StoredSection]


_profile = msgspec.msgpack.Decoder(_StoredProfile).decode
_attribute = msgspec.msgpack.Decoder(AttributeValue).decode


class _Slice:
    """What a slice may still do, and where the next one begins; empty if there is none."""

    def __init__(self, limit: int) -> None:
        self.left = limit
        self.left_bytes = SLICE_BYTES
        self.next = b""

    def is_over(self, key: bytes) -> bool:
        """Count a key; tell whether it is left to the next slice."""
        if self.left <= 0 or self.left_bytes <= 0:
            self.next = key
            return True
        self.left -= 1
        return False


class GroupWorker:
    """Does the shard's part of runs. Methods raise StoreFull, having changed nothing."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._workspace = shard.options.workspace

    def set_groups(self, live: LiveGroups) -> tuple[int, int]:
        """Take over which definitions exist, unless a newer version is known.

        Returns:
            The version that is known now, and the number of the last run.
        """
        if live.version > self._shard.groups.version:
            with self._shard.store.write() as txn:
                write_live(txn, live)
            self._shard.groups = KnownGroups(live)
            self._shard.audiences.engine.groups = self._shard.groups.ids
        with self._shard.store.read() as txn:
            return self._shard.groups.version, groups.read_progress(txn).run

    def group_slice(self, run: GroupRun, phase: Phase, limit: int = SLICE) -> bool:
        """Do the next slice of a phase; return whether the phase is done here.

        Args:
            run: the same in every call of a run.
            phase: `merge` is none of a shard's.
            limit: the most profiles or keys to look at.

        Raises:
            StaleGroupRun: this shard knows nothing of the run's beginning, or has seen a later run;
                nothing was changed.
        """
        profiles = self._shard.profiles
        progress = Progress(run.number, phase, is_done=False)
        try:
            with self._shard.store.write() as txn:
                known = groups.read_progress(txn)
                is_lost = known.run < run.number and phase != run.first_phase
                if is_lost or known.run > run.number:
                    raise StaleGroupRun(known.run)
                if known.order() > progress.order():
                    return True
                if known.order() == progress.order():
                    progress = known
                if progress.is_done:
                    return True
                slice_ = _Slice(limit)
                self._do(phase, run, progress.cursor, slice_, txn)
                progress.cursor, progress.is_done = slice_.next, not slice_.next
                groups.write_progress(txn, progress)
                profiles.flush(txn, self._workspace.number)
        except BaseException:
            profiles.abandon()
            raise
        profiles.published()
        return progress.is_done

    def group_partials(
        self, run: int, definition: int, after: bytes, limit: int
    ) -> list[tuple[bytes, bytes]]:
        """Return (key, encoded `Partial`) of the next groups after a key, none after the last."""
        page: list[tuple[bytes, bytes]] = []
        size = 0
        prefix = groups.run_prefix(definition, run)
        with self._shard.store.read() as txn:
            for key, encoded in txn.scan("group_partials", start=after, prefix=prefix):
                if key == after:
                    continue
                if len(page) == limit or size >= PAGE_BYTES:
                    break
                page.append((key, encoded))
                size += len(encoded)
        return page

    def write_group_values(self, run: int, values: Sequence[tuple[bytes, bytes]]) -> None:
        """Write what was merged, by the keys of the partials. Repeatable.

        Raises:
            StaleGroupRun: the run has gone on without this; nothing was written.
        """
        with self._shard.store.write() as txn:
            known = groups.read_progress(txn)
            if known.order() != Progress(run, "collect").order():
                raise StaleGroupRun(known.run)
            for key, encoded in values:
                txn.put("group_values", key, encoded)

    # -- Phases -----------------------------------------------------------------------------------

    def _do(
        self, phase: Phase, run: GroupRun, cursor: bytes, slice_: _Slice, txn: Transaction
    ) -> None:
        match phase:
            case "collect":
                self._collect(run, cursor, slice_, txn)
            case "apply":
                self._apply(run, cursor, slice_, txn)
            case "leave":
                self._leave(run, cursor, slice_, txn)
            case "clear":
                self._clear(run, slice_, txn)
            case "merge":
                raise ValueError("shards do not merge")

    def _collect(self, run: GroupRun, cursor: bytes, slice_: _Slice, txn: Transaction) -> None:
        names = frozenset[str]().union(*(each.definition.names for each in run.definitions))
        partials: dict[bytes, Partial] = {}
        overwritten: list[bytes] = []
        for key, encoded in txn.scan("profiles", start=cursor):
            if slice_.is_over(key):
                break
            section = self._active(key, encoded, run)
            if section is None:
                continue
            if not names.isdisjoint(section.user_attributes):
                overwritten.append(key)
            self._collect_one(key, section, run, partials, slice_, txn)
        for key, partial in partials.items():
            groups.put_partial(txn, key, partial)
        for key in overwritten:
            self._shard.profiles.edit(
                txn, key, lambda profile: self._delete_own(profile, names), self._workspace.number
            )

    def _collect_one(
        self,
        key: bytes,
        section: _StoredSection,
        run: GroupRun,
        partials: dict[bytes, Partial],
        slice_: _Slice,
        txn: Transaction,
    ) -> None:
        """Note one user's groups, and add what it has to their aggregates."""
        user = profile_key_parts(key)
        for number, definition in ((each.number, each.definition) for each in run.definitions):
            own = own_attribute(section.user_attributes, definition.source_user_attribute)
            value = None if own is None else group_value(_attribute(own).value)
            if value is None:
                continue
            candidate = groups.run_prefix(number, run.number) + key
            txn.put("group_candidates", candidate, value.encode())
            group = groups.group_key(number, run.number, user.environment, value)
            partial = partials.get(group)
            if partial is None:
                stored = txn.get("group_partials", group)
                partial = Partial(0, {}) if stored is None else groups.decode_partial(stored)
                slice_.left_bytes -= len(stored or b"")
                partials[group] = partial
            states = {}
            for attribute in definition.attributes:
                own = own_attribute(section.user_attributes, attribute.id)
                if own is not None:
                    slice_.left_bytes -= len(bytes(own))
                    aggregation = AGGREGATIONS[attribute.type]
                    states[attribute.id] = aggregation.start(_attribute(own), user.mpid)
            partials[group] = merged(partial, Partial(1, states), definition.attributes)

    def _apply(self, run: GroupRun, cursor: bytes, slice_: _Slice, txn: Transaction) -> None:
        inherited: dict[bytes, Values | None] = {}
        for each in run.definitions:
            prefix = groups.run_prefix(each.number, run.number)
            for key, value in txn.scan("group_candidates", start=cursor, prefix=prefix):
                if slice_.is_over(key):
                    return
                packed = key[len(prefix) :]
                user = profile_key_parts(packed)
                group = groups.group_key(each.number, run.number, user.environment, value.decode())
                if group not in inherited:
                    encoded = txn.get("group_values", group)
                    inherited[group] = None if encoded is None else groups.decode_values(encoded)
                    slice_.left_bytes -= len(encoded or b"")
                values = inherited[group]
                membership = None if values is None else GroupMembership(value.decode(), values)
                if membership is not None:
                    txn.put("group_members", groups.member_key(group, user.mpid), b"")
                self._set_membership(packed, each.number, membership, slice_, txn)

    def _leave(self, run: GroupRun, cursor: bytes, slice_: _Slice, txn: Transaction) -> None:
        scope = self._workspace.scope
        for key in groups.scan_runs(txn, "group_members", run.former(), cursor):
            if slice_.is_over(key):
                return
            number = groups.definition_of(key)
            member = groups.member_of(key)
            packed = profile_key(ProfileKey(scope, member.environment, member.mpid))
            candidate = groups.run_prefix(number, run.number) + packed
            if txn.get("group_candidates", candidate) is None:
                self._set_membership(packed, number, None, slice_, txn)

    def _clear(self, run: GroupRun, slice_: _Slice, txn: Transaction) -> None:
        """Delete; the next slice begins anew, because what it could go on from is gone."""
        numbers = sorted({each for each, _ in run.former()})
        finished = [(number, run.number + 1) for number in numbers]
        tables: list[tuple[Table, list[tuple[int, int]]]] = [
            ("group_candidates", finished),
            ("group_partials", finished),
            ("group_members", run.former()),
            ("group_values", run.former()),
        ]
        for table, bounds in tables:
            past: list[bytes] = []
            for key in groups.scan_runs(txn, table, bounds):
                if slice_.is_over(key):
                    break
                past.append(key)
            for key in past:
                txn.delete(table, key)

    # -- Profiles ---------------------------------------------------------------------------------

    def _active(self, key: bytes, encoded: bytes, run: GroupRun) -> _StoredSection | None:
        """Return the workspace's section of a profile, `None` if the user is as good as gone."""
        if profile_key_parts(key).scope != self._workspace.scope:
            return None
        profile = _profile(encoded)
        idle_ms = run.started_ms - profile.last_stored_timestamp_ms
        if idle_ms > self._workspace.profile_idle_days * DAY_MS:
            return None
        return self._section(profile)

    def _section(self, profile: _StoredProfile) -> _StoredSection | None:
        section = profile.workspaces.get(self._workspace.number)
        return None if section is None or section.is_aged_out else section

    def _set_membership(
        self,
        packed: bytes,
        number: int,
        membership: GroupMembership | None,
        slice_: _Slice,
        txn: Transaction,
    ) -> None:
        """Write a user's membership of one definition, if it is another one."""
        encoded = txn.get("profiles", packed)
        section = None if encoded is None else self._section(_profile(encoded))
        if encoded is None or section is None or section.groups.get(number) == membership:
            return
        slice_.left_bytes -= len(encoded)

        def change(profile: Profile) -> None:
            kept = profile.workspaces[self._workspace.number].groups
            if membership is None:
                kept.pop(number, None)
            else:
                kept[number] = membership

        self._shard.profiles.edit(txn, packed, change, self._workspace.number)

    def _delete_own(self, profile: Profile, names: frozenset[str]) -> None:
        """Delete what was written under a group attribute's name before the definition was."""
        attributes = profile.workspaces[self._workspace.number].user_attributes
        for name in names & attributes.keys():
            del attributes[name]
