"""Removes what is past its retention, bit by bit (spec/profiles.md, 6; connections.md, 3.7)."""

import msgspec
from msgspec import Struct

from actors.clock import Clock
from actors.profiles.retention import DAY_MS, age_out, is_overdue
from actors.shard import Shard
from actors.store import trail
from actors.store.dead_retention import DEAD_LETTER_BYTES, DeadRetention
from actors.store.duplicates import Duplicates
from actors.store.environment import Transaction
from actors.store.ids import time_of_id
from actors.store.keys import copy_key_parts, profile_key_parts

# Entries of each table looked at per step: some milliseconds, which ingestion has to wait. With a
# call every five seconds a shard of seven million profiles is gone round in an hour.
STEP = 10_000
# After a step that removed something another one follows for so long: under load more than one
# step's worth of log entries is past its retention every five seconds.
BUDGET_S = 0.1


class _LastStored(Struct, array_like=True):
    """The beginning of an encoded `Profile`: all that has to be looked at of most of them."""

    created_timestamp_ms: int
    last_stored_timestamp_ms: int


_last_stored = msgspec.msgpack.Decoder(_LastStored).decode


class Sweeper:
    """Goes round what one shard has of a workspace for ever."""

    def __init__(self, shard: Shard, clock: Clock) -> None:
        self._shard = shard
        self._clock = clock
        self._workspace = shard.options.workspace
        self._duplicates = Duplicates(self._workspace.dedup_days)
        self._dead = DeadRetention(DEAD_LETTER_BYTES // shard.state.of)
        self._next_profile = b""
        self._next_copy = b""
        self._next_trail = b""

    def sweep(self) -> bool:
        """Do steps as long as they remove something and there is time, at least one.

        Returns:
            Whether the last one reached the end of the profiles.

        Raises:
            StoreFull: there is no room even to delete; nothing was changed by the last step.
        """
        deadline_s = self._clock.monotonic() + BUDGET_S
        while self.step(STEP) and self._clock.monotonic() < deadline_s:
            pass
        return not self._next_profile

    def step(self, limit: int) -> int:
        """Look at the next `limit` entries of each table; return how many were past their time.

        Raises:
            StoreFull: there is no room even to delete; nothing was changed.
        """
        profiles = self._shard.profiles
        now_ms = self._clock.now_ms()
        try:
            with self._shard.store.write() as txn:
                removed = self._duplicates.sweep(txn, now_ms, limit)
                removed += self._sweep_log(txn, now_ms, limit)
                overdue_copies, next_copy = self._sweep_copies(txn, now_ms, limit)
                forgotten, next_trail = trail.sweep(txn, self._next_trail, now_ms, limit)
                dead = self._dead.sweep(txn, now_ms, limit)
                aged_out, next_profile = self._sweep_profiles(txn, now_ms, limit)
                profiles.flush(txn)
        except BaseException:
            profiles.abandon()
            raise
        profiles.published()
        self._shard.outbox.queues.forgotten(dead)
        self._next_profile, self._next_copy = next_profile, next_copy
        self._next_trail = next_trail
        return removed + overdue_copies + forgotten + len(dead) + aged_out

    def _sweep_log(self, txn: Transaction, now_ms: int, limit: int) -> int:
        oldest_ms = now_ms - self._workspace.events_days * DAY_MS
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
        oldest_ms = now_ms - self._workspace.events_days * DAY_MS
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

    def _sweep_profiles(self, txn: Transaction, now_ms: int, limit: int) -> tuple[int, bytes]:
        """Age out what is overdue; return how many, and where to go on, empty at the end."""
        oldest_ms = now_ms - self._workspace.profile_idle_days * DAY_MS
        idle: list[bytes] = []
        last = b""
        for seen, (key, encoded) in enumerate(txn.scan("profiles", start=self._next_profile)):
            if seen == limit:
                last = key
                break
            if _last_stored(encoded).last_stored_timestamp_ms < oldest_ms:
                idle.append(key)
        profiles = self._shard.profiles
        aged_out = 0
        for packed in idle:
            key_of = profile_key_parts(packed)
            profile = profiles.get(txn, key_of)
            if profile is not None and is_overdue(profile, self._workspace, now_ms):
                age_out(profiles.stage(txn, key_of, now_ms), self._workspace)
                aged_out += 1
        return aged_out, last
