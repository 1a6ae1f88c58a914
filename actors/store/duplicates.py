"""Uploads that were applied, remembered for the deduplication window (spec/events-api.md, 5.4)."""

from collections.abc import Sequence

from actors.store.environment import Transaction

DAY_MS = 24 * 60 * 60 * 1000


class Duplicates:
    """Answers whether an upload was applied before, and forgets old ones bit by bit."""

    def __init__(self, window_days: int) -> None:
        self._window_ms = window_days * DAY_MS
        self._sweep_from = b""

    def is_known(self, txn: Transaction, key: bytes, now_ms: int) -> bool:
        """Tell whether an upload of this key was accepted within the window."""
        accepted = txn.get("duplicates", key)
        return accepted is not None and now_ms - _milliseconds(accepted) <= self._window_ms

    def find(self, txn: Transaction, keys: Sequence[bytes], now_ms: int) -> int | None:
        """Return the place of the first of several keys of an upload that is known."""
        known = (place for place, key in enumerate(keys) if self.is_known(txn, key, now_ms))
        return next(known, None)

    def remember(self, txn: Transaction, keys: Sequence[bytes], now_ms: int) -> int | None:
        """Note under each key that an upload is accepted now, unless it was before.

        Returns the place of a key under which it was: then nothing is noted. Nearly always it was
        under none, so each key is looked for and written in one go.
        """
        accepted = now_ms.to_bytes(8, "big")
        for place, key in enumerate(keys):
            if txn.put_new("duplicates", key, accepted):
                continue
            if self.is_known(txn, key, now_ms):
                for written in keys[:place]:
                    txn.delete("duplicates", written)
                return place
            txn.put("duplicates", key, accepted)
        return None

    def sweep(self, txn: Transaction, now_ms: int, limit: int) -> int:
        """Look at the next `limit` keys and forget those past the window; return how many."""
        old: list[bytes] = []
        go_on_from = b""
        entries = txn.scan("duplicates", start=self._sweep_from)
        for seen, (key, accepted) in enumerate(entries):
            if seen == limit:
                go_on_from = key
                break
            if now_ms - _milliseconds(accepted) > self._window_ms:
                old.append(key)
        self._sweep_from = go_on_from
        for key in old:
            txn.delete("duplicates", key)
        return len(old)


def _milliseconds(value: bytes) -> int:
    return int.from_bytes(value, "big")
