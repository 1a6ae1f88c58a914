"""Removes what is past its retention, bit by bit (spec/profiles.md, 6; connections.md, 3.7)."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from actors.clock import Clock
from actors.profiles.record_retention import KeptProfile, decode_kept, is_record_overdue
from actors.profiles.retention import DAY_MS, age_out, is_overdue
from actors.shard import Shard
from actors.shard_state import ShardState
from actors.store import trail
from actors.store.dead_retention import DEAD_LETTER_BYTES, DeadRetention
from actors.store.duplicates import Duplicates
from actors.store.environment import Transaction
from actors.store.ids import time_of_id
from actors.store.keys import copy_key_parts, profile_key_parts

# Entries of each table that a step looks at. It takes some milliseconds if all are past their time.
STEP = 250
# Of one call, which ingestion has to wait for. If nothing is removed there is one every five
# seconds: a shard of some million profiles is gone round in an hour.
STEPS = 40
SLICE_S = 0.02


class _LastStored(Struct, array_like=True):
    """The beginning of an encoded `Profile`: all that has to be looked at of most of them."""

    created_timestamp_ms: int
    last_stored_timestamp_ms: int


_last_stored = msgspec.msgpack.Decoder(_LastStored).decode


class Sweeper:
    """Goes round the tables of one shard for ever."""

    def __init__(self, state: ShardState, shards: Sequence[Shard], clock: Clock) -> None:
        """Args: `shards`, of `state`: the part of each workspace."""
        self._state = state
        self._clock = clock
        self._shards = shards
        self._parts = [_WorkspaceSweeper(each) for each in shards]
        self._next_profile = b""
        self._next_trail = b""

    def sweep(self) -> bool:
        """Do steps until there were `STEPS` or `SLICE_S` is over, at least one.

        Returns:
            Whether they removed something: there may be more that is past its time already.

        Raises:
            StoreFull: there is no room even to delete; what was not swept is swept next time.
        """
        deadline_s = self._clock.monotonic() + SLICE_S
        removed = 0
        for _ in range(STEPS):
            removed += self.step(STEP)
            if self._clock.monotonic() >= deadline_s:
                break
        return removed > 0

    def step(self, limit: int) -> int:
        """Look at the next `limit` entries of each table; return how many were past their time.

        Raises:
            StoreFull: there is no room even to delete; what was not swept is swept next time.
        """
        now_ms = self._clock.now_ms()
        return self._sweep_users(now_ms, limit) + sum(
            part.step(now_ms, limit) for part in self._parts
        )

    def _sweep_users(self, now_ms: int, limit: int) -> int:
        profiles = self._state.profiles
        try:
            with self._state.store.write() as txn:
                forgotten, next_trail = trail.sweep(txn, self._next_trail, now_ms, limit)
                aged_out, next_profile = self._sweep_profiles(txn, now_ms, limit)
                profiles.flush(txn)
        except BaseException:
            profiles.abandon()
            raise
        profiles.published()
        self._next_profile, self._next_trail = next_profile, next_trail
        return forgotten + aged_out

    def _sweep_profiles(self, txn: Transaction, now_ms: int, limit: int) -> tuple[int, bytes]:
        """Age out what is overdue; return how many, and where to go on, empty at the end.

        Those whose identity record is overdue are noted for the coordinator.
        """
        workspaces = [each.options.workspace for each in self._shards]
        oldest_ms = now_ms - min(each.profile_idle_days for each in workspaces) * DAY_MS
        idle: list[tuple[bytes, KeptProfile]] = []
        following = b""
        for seen, (packed, encoded) in enumerate(txn.scan("profiles", start=self._next_profile)):
            if seen == limit:
                following = packed
                break
            if _last_stored(encoded).last_stored_timestamp_ms < oldest_ms:
                idle.append((packed, decode_kept(encoded)))
        profiles = self._state.profiles
        retained_ms = now_ms - min(each.events_days for each in workspaces) * DAY_MS
        aged_out = 0
        for packed, kept in idle:
            overdue = [each for each in workspaces if is_overdue(kept, each, now_ms)]
            profile = profiles.open(txn, packed) if overdue else None
            if profile is not None:
                for workspace in overdue:
                    age_out(profile, workspace.number)
                profiles.write(txn, packed, profile)
                aged_out += 1
            elif kept.is_expired or kept.last_stored_timestamp_ms < retained_ms:
                key = profile_key_parts(packed)
                if is_record_overdue(kept, self._state.retention(key.scope), now_ms):
                    self._state.overdue.add(key)
        return aged_out, following


class _WorkspaceSweeper:
    """Goes round what one workspace has for itself."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._duplicates = Duplicates(shard.options.workspace.dedup_days)
        self._dead = DeadRetention(DEAD_LETTER_BYTES // shard.state.of)
        self._next_copy = b""

    def step(self, now_ms: int, limit: int) -> int:
        """See `Sweeper.step`."""
        with self._shard.store.write() as txn:
            removed = self._duplicates.sweep(txn, now_ms, limit)
            removed += self._sweep_log(txn, now_ms, limit)
            overdue_copies, next_copy = self._sweep_copies(txn, now_ms, limit)
            dead = self._dead.sweep(txn, now_ms, limit)
        self._shard.outbox.queues.forgotten(dead)
        self._next_copy = next_copy
        removed += self._shard.outbox.clear_dropped(limit)
        removed += self._shard.outbox.flush_due(now_ms, limit)
        return removed + overdue_copies + len(dead)

    def _sweep_log(self, txn: Transaction, now_ms: int, limit: int) -> int:
        oldest_ms = now_ms - self._shard.options.workspace.events_days * DAY_MS
        overdue: list[bytes] = []
        for key, _ in txn.scan("log"):
            if len(overdue) == limit or time_of_id(int.from_bytes(key, "big")) >= oldest_ms:
                break
            overdue.append(key)
        for key in overdue:
            txn.delete("log", key)
        return len(overdue)

    def _sweep_copies(self, txn: Transaction, now_ms: int, limit: int) -> tuple[int, bytes]:
        """Remove copies when their originals go; return how many, and where to go on.

        They are in the order of their users, so that all have to be looked at in turn.
        """
        oldest_ms = now_ms - self._shard.options.workspace.events_days * DAY_MS
        overdue: list[bytes] = []
        following = b""
        for seen, (key, _) in enumerate(txn.scan("copies", start=self._next_copy)):
            if seen == limit:
                following = key
                break
            _, log_id = copy_key_parts(key)
            if time_of_id(log_id) < oldest_ms:
                overdue.append(key)
        for key in overdue:
            txn.delete("copies", key)
        return len(overdue), following
