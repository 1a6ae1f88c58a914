"""Transactions of a shard that audiences begin themselves, when no batch comes.

Each is short, and also holds how far it came: ingestion goes on between them, and after a crash the
next one goes on where the last commit was.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from actors.audiences.in_force import InForce, write_in_force
from actors.clock import Clock
from actors.model.profiles import ProfileKey
from actors.shard import Shard
from actors.store.environment import Transaction
from actors.store.keys import profile_key

SLICE = 200  # profiles per call: some milliseconds, which ingestion has to wait


class AudienceChanges:
    """Methods raise StoreFull, having changed nothing."""

    def __init__(self, shard: Shard, clock: Clock, slice_size: int = SLICE) -> None:
        self._shard = shard
        self._audiences = shard.audiences
        self._number = shard.options.workspace.number
        self._clock = clock
        self.slice_size = slice_size
        self._following: InForce | None = None  # from the end of the transaction on

    @contextmanager
    def changing(self) -> Iterator[Transaction]:
        """Run a transaction that evaluates what it has touched before it ends."""
        shard, audiences = self._shard, self._audiences
        try:
            with shard.transaction() as txn:
                yield txn
                shard.outbox.take(audiences.users.finish(txn), self._clock.now_ms())
                for key, profile in audiences.users.touched.items():
                    shard.profiles.write(txn, profile_key(key), profile, self._number)
        except BaseException:
            self._following = None
            raise
        if self._following is not None:
            audiences.in_force, self._following = self._following, None

    def refresh(
        self, txn: Transaction, keys: Iterable[ProfileKey], *, is_changed: bool = False
    ) -> None:
        """Evaluate users in a transaction of `changing`.

        `is_changed`: by something that did not come here.
        """
        users = self._audiences.users
        for key in keys:
            profile = self._shard.profiles.open(txn, profile_key(key))
            if profile is None:
                users.forget(key)
            else:
                if is_changed:
                    users.note_changed(key, profile)
                users.calculate(txn, key, profile)
                users.bring_up_to_date(txn, key, profile)

    def keep(self, txn: Transaction, in_force: InForce) -> None:
        """Keep how far it has come, once the transaction is on disk."""
        write_in_force(txn, in_force)
        self._following = in_force

    def page(self, txn: Transaction, cursor: bytes) -> tuple[list[bytes], bytes | None]:
        """Return the next keys of profiles, and where to go on, `None` after the last."""
        keys: list[bytes] = []
        for key, _ in txn.scan("profiles", start=cursor):
            if len(keys) == self.slice_size:
                return keys, key
            keys.append(key)
        return keys, None
