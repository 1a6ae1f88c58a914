"""How long dead letters are kept, and how many bytes of them (spec/connections.md, 3.7)."""

from actors.store import outbox
from actors.store.environment import Transaction

DEAD_LETTER_MS = 30 * 24 * 60 * 60 * 1000
DEAD_LETTER_BYTES = 10 * 1024 * 1024 * 1024  # per connection, over all shards
# Of what is read in one call for either reason: payloads may be large, and ingestion waits.
STEP_BYTES = 16 * 1024 * 1024


class DeadRetention:
    """Removes dead letters of one shard bit by bit: those that are old, and the oldest of many."""

    def __init__(self, max_bytes: int, step_bytes: int = STEP_BYTES) -> None:
        """`max_bytes`: what may be kept of each connection here."""
        self._max_bytes = max_bytes
        self._step_bytes = step_bytes
        self._go_on_from = b""

    def sweep(self, txn: Transaction, now_ms: int, limit: int) -> list[tuple[int, str]]:
        """Look at the next `limit` for their age, and remove as many of what is too much.

        Returns:
            (connection, reason) of each that was removed.
        """
        removed = [outbox.unbury(txn, key) for key in self._old(txn, now_ms, limit)]
        removed += [outbox.unbury(txn, key) for key in self._too_many(txn, limit)]
        return [(each.delivery.connection, each.reason) for each in removed if each is not None]

    def _old(self, txn: Transaction, now_ms: int, limit: int) -> list[bytes]:
        """Return those that died too long ago; they do not lie in the order of their deaths."""
        keys: list[bytes] = []
        size = 0
        go_on_from = b""
        entries = txn.scan("dead_letters", start=self._go_on_from)
        for seen, (key, encoded) in enumerate(entries):
            if seen == limit or size >= self._step_bytes:
                go_on_from = key
                break
            size += len(encoded)
            if now_ms - outbox.decode_dead_letter(encoded).dead_ms > DEAD_LETTER_MS:
                keys.append(key)
        self._go_on_from = go_on_from
        return keys

    def _too_many(self, txn: Transaction, limit: int) -> list[bytes]:
        """Return the oldest of each connection that has too many bytes, until the rest fits."""
        keys: list[bytes] = []
        read = 0
        for connection, size in outbox.dead_bytes(txn).items():
            prefix = connection.to_bytes(4, "big")
            for key, encoded in txn.scan("dead_letters", prefix=prefix):
                if size <= self._max_bytes or len(keys) == limit or read >= self._step_bytes:
                    break
                size -= len(encoded)
                read += len(encoded)
                keys.append(key)
        return keys
