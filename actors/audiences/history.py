"""What is stored of one user, for whoever computes something of all of it anew."""

from collections.abc import Callable, Iterator

from msgspec import Struct

from actors.model.batches import StoredBatch
from actors.model.profiles import ProfileKey, Section
from actors.store import copies, log
from actors.store.environment import Transaction

# Reads the history of a user's section from a time on, in ms.
ReadHistory = Callable[[Transaction, ProfileKey, Section, int], "History"]
CLOCK_SKEW_MS = 60_000  # what the receipt times of two edges may differ by


class History(Struct, frozen=True):
    """A user's stored batches of some time, in the order in which they came.

    Attributes:
        own: those that were sent for the user.
        copied: those that aliases have copied; audiences see their events, calculated attributes
            do not (spec/identity.md, 10.2).
    """

    own: list[StoredBatch]
    copied: list[StoredBatch]

    def counted(self, section: Section, begun_id: int) -> list[StoredBatch]:
        """Return those that a calculated attribute counts.

        Args:
            section: of the user; what came before it aged out is forgotten.
            begun_id: historical batches with a greater log id came after the activation.
        """
        return [
            each
            for each in self.own
            if each.received_ms >= section.first_seen_ms - CLOCK_SKEW_MS
            and (not each.is_historical or each.log_id <= begun_id)
        ]


def read_history(txn: Transaction, key: ProfileKey, section: Section, since_ms: int) -> History:
    """Return what may have events at or after `since_ms`: no event is later than its receipt."""
    return _read(txn, key, section, since_ms, 0)


def read_recent(txn: Transaction, key: ProfileKey, section: Section, since_ms: int) -> History:
    """Return what `read_history` does, as far as real-time evaluation sees it."""
    return _read(txn, key, section, since_ms, section.recent_from_id)


def _read(
    txn: Transaction, key: ProfileKey, section: Section, since_ms: int, after_id: int
) -> History:
    own = [
        *_since(log.chain(txn, section.newest_log_id), since_ms, after_id),
        *_since(log.chain(txn, section.newest_historical_id), since_ms, after_id),
    ]
    own.sort(key=lambda stored: stored.log_id)
    copied = [
        copies.decode(copy.encoded).stored
        for copy in copies.read(txn, key)
        if copy.newest_ms >= since_ms
    ]
    return History(own, copied)


def _since(chain: Iterator[StoredBatch], since_ms: int, after_id: int) -> Iterator[StoredBatch]:
    """Yield the batches of a chain down to the first that is certainly too old."""
    for stored in chain:
        if stored.log_id <= after_id or stored.received_ms < since_ms - CLOCK_SKEW_MS:
            return
        yield stored
