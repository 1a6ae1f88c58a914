"""What the phases of the group job do to profiles and groups of one shard, slice by slice."""

from actors.groups.aggregates import AGGREGATIONS
from actors.groups.membership import group_value, own_attribute
from actors.groups.merging import merged
from actors.groups.runs import GroupRun, Phase
from actors.groups.stored import StoredProfile, StoredSection, decode, decode_attribute
from actors.model.profiles import GroupMembership, Profile, ProfileKey
from actors.profiles.retention import DAY_MS, last_active_ms
from actors.shard import Shard
from actors.store import groups
from actors.store.environment import Table, Transaction
from actors.store.groups import Partial, Values
from actors.store.keys import profile_key, profile_key_parts

# What one call reads and writes of groups; unions of long texts can be large.
SLICE_BYTES = 4 * 1024 * 1024


class Slice:
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


class GroupPhases:
    """Works in the transaction of whoever calls."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._workspace = shard.options.workspace

    def do(
        self, phase: Phase, run: GroupRun, cursor: bytes, slice_: Slice, txn: Transaction
    ) -> None:
        """Do a slice of a phase from a cursor on. Raises StoreFull."""
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

    def _collect(self, run: GroupRun, cursor: bytes, slice_: Slice, txn: Transaction) -> None:
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
        section: StoredSection,
        run: GroupRun,
        partials: dict[bytes, Partial],
        slice_: Slice,
        txn: Transaction,
    ) -> None:
        """Note one user's groups, and add what it has to their aggregates."""
        user = profile_key_parts(key)
        for number, definition in ((each.number, each.definition) for each in run.definitions):
            own = own_attribute(section.user_attributes, definition.source_user_attribute)
            value = None if own is None else group_value(decode_attribute(own).value)
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
                    states[attribute.id] = aggregation.start(decode_attribute(own), user.mpid)
            partials[group] = merged(partial, Partial(1, states), definition.attributes)

    def _apply(self, run: GroupRun, cursor: bytes, slice_: Slice, txn: Transaction) -> None:
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

    def _leave(self, run: GroupRun, cursor: bytes, slice_: Slice, txn: Transaction) -> None:
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

    def _clear(self, run: GroupRun, slice_: Slice, txn: Transaction) -> None:
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

    def _active(self, key: bytes, encoded: bytes, run: GroupRun) -> StoredSection | None:
        """Return the workspace's section of a profile, `None` if the user is as good as gone."""
        if profile_key_parts(key).scope != self._workspace.scope:
            return None
        profile = decode(encoded)
        idle_ms = run.started_ms - last_active_ms(profile)
        if idle_ms > self._workspace.profile_idle_days * DAY_MS:
            return None
        return self._section(profile)

    def _section(self, profile: StoredProfile) -> StoredSection | None:
        section = profile.workspaces.get(self._workspace.number)
        return None if section is None or section.is_aged_out else section

    def _set_membership(
        self,
        packed: bytes,
        number: int,
        membership: GroupMembership | None,
        slice_: Slice,
        txn: Transaction,
    ) -> None:
        """Write a user's membership of one definition, if it is another one."""
        encoded = txn.get("profiles", packed)
        section = None if encoded is None else self._section(decode(encoded))
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
