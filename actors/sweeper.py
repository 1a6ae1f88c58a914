"""Removes what is past its retention, a little at a time (spec/profiles.md, 6)."""

import msgspec
from msgspec import Struct

from actors.clock import Clock
from actors.profiles.retention import DAY_MS, age_out, is_overdue
from actors.shard import Shard
from actors.store.duplicates import Duplicates
from actors.store.environment import Transaction
from actors.store.ids import time_of_id
from actors.store.keys import profile_key_parts

# Entries of each table looked at per call: some milliseconds, which ingestion has to wait. With a
# call every five seconds a shard of seven million profiles is gone round in an hour.
STEP = 10_000


class _LastStored(Struct, array_like=True):
    """The beginning of an encoded `Profile`: all that has to be looked at of most of them."""

    created_timestamp_ms: int
    last_stored_timestamp_ms: int


_last_stored = msgspec.msgpack.Decoder(_LastStored).decode


class Sweeper:
    """Goes round the tables of one shard for ever, `STEP` entries of each at a call."""

    def __init__(self, shard: Shard, clock: Clock) -> None:
        self._shard = shard
        self._clock = clock
        self._workspace = shard.options.workspace
        self._duplicates = Duplicates(self._workspace.dedup_days)
        self._next_profile = b""

    def sweep(self, step: int = STEP) -> bool:
        """Do one step; return whether the end of the profiles was reached.

        Raises:
            StoreFull: there is no room even to delete; nothing was changed.
        """
        profiles = self._shard.profiles
        now_ms = self._clock.now_ms()
        try:
            with self._shard.store.write() as txn:
                self._duplicates.sweep(txn, now_ms, step)
                self._sweep_log(txn, now_ms, step)
                next_profile = self._sweep_profiles(txn, now_ms, step)
                profiles.flush(txn)
        except BaseException:
            profiles.abandon()
            raise
        profiles.published()
        self._next_profile = next_profile
        return not next_profile

    def _sweep_log(self, txn: Transaction, now_ms: int, step: int) -> None:
        oldest_ms = now_ms - self._workspace.events_days * DAY_MS
        overdue: list[bytes] = []
        for key, _ in txn.scan("log"):
            if len(overdue) == step or time_of_id(int.from_bytes(key, "big")) >= oldest_ms:
                break
            overdue.append(key)
        for key in overdue:
            txn.delete("log", key)

    def _sweep_profiles(self, txn: Transaction, now_ms: int, step: int) -> bytes:
        """Age out what is overdue; return where to go on, empty at the end."""
        idle_days = self._workspace.profile_idle_days
        oldest_ms = now_ms - idle_days * DAY_MS
        idle: list[bytes] = []
        last = b""
        for seen, (key, encoded) in enumerate(txn.scan("profiles", start=self._next_profile)):
            if seen == step:
                last = key
                break
            if _last_stored(encoded).last_stored_timestamp_ms < oldest_ms:
                idle.append(key)
        profiles = self._shard.profiles
        for packed in idle:
            key_of = profile_key_parts(packed)
            profile = profiles.get(txn, key_of)
            if profile is not None and is_overdue(profile, idle_days, now_ms):
                age_out(profiles.stage(txn, key_of, now_ms))
        return last
