"""Hands the users of one shard over whose identity record is to go (spec/profiles.md, 6).

Every call may be repeated, also after a crash. What raises StoreFull has changed nothing.
"""

from collections.abc import Sequence

from actors.clock import Clock
from actors.model.profiles import ProfileKey
from actors.model.workspaces import Environment
from actors.profiles.record_retention import decode_kept, is_record_overdue
from actors.shard import Shard
from actors.store.environment import Transaction
from actors.store.keys import profile_key


class ShardExpiry:
    """The part of one shard in the end of identity records."""

    def __init__(self, shard: Shard, clock: Clock) -> None:
        """Args: `clock` of what is overdue."""
        self._shard = shard
        self._clock = clock
        self._scope = shard.options.workspace.scope

    def overdue_records(self, limit: int) -> list[tuple[Environment, int]]:
        """Return some users, at most `limit`, whom sweeps have met; each is returned once."""
        taken = self._shard.state.overdue.take(self._scope, limit)
        return [(key.environment, key.mpid) for key in taken]

    def expire_records(self, environment: Environment, mpids: Sequence[int]) -> list[int]:
        """Decide whose identity record goes; return those users.

        All that comes to a profile comes through this shard, in one order: to those who are
        returned nothing does any more, and whoever had something before is not among them. It is
        decided for good: their records have to be erased, and then what is left of them.
        """
        keys = {mpid: profile_key(ProfileKey(self._scope, environment, mpid)) for mpid in mpids}
        with self._shard.transaction() as txn:
            return [mpid for mpid, packed in keys.items() if self._expire(txn, packed)]

    def _expire(self, txn: Transaction, packed: bytes) -> bool:
        encoded = txn.get("profiles", packed)
        if encoded is None:
            return False
        kept, retention = decode_kept(encoded), self._shard.state.retention(self._scope)
        if not is_record_overdue(kept, retention, self._clock.now_ms()):
            return False
        profile = self._shard.profiles.open(txn, packed)
        if profile is not None and not profile.is_expired:
            profile.is_expired = True
            self._shard.profiles.write(txn, packed, profile, self._shard.options.workspace.number)
        return True
