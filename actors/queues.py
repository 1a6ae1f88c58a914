"""How much waits for each connection of a shard, and how much has died: counts kept in memory.

They follow the outbox, so that neither a limit nor a metric has to scan it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from actors.metric_groups import ShardMetrics
from actors.model.deliveries import DeadLetter
from actors.store import outbox
from actors.store.environment import Transaction

# A queue that was full is full anew, and said to be, only after having been emptied to this share.
ROOMY = 0.9


class Queues:
    """Depths by connection; changed only after the transaction that changed the outbox."""

    def __init__(self, txn: Transaction, limits: Mapping[int, int], ids: Mapping[int, str]) -> None:
        """Count what is there.

        Args:
            limits: connection to the bytes that may wait for it on this shard.
            ids: connection to its id, for the metrics.
        """
        self._limits = dict(limits)
        self._ids = dict(ids)
        self._gone: set[str] = set()  # whose depths are still shown
        self._full: set[int] = set()  # for which that has been said
        self._count: Counter[int] = Counter()
        self._bytes: Counter[int] = Counter()
        for connection, (count, size) in outbox.depths(txn).items():
            self._count[connection] = count
            self._bytes[connection] = size
        self._dead = outbox.dead_counts(txn)

    def know(self, connection: int, name: str, limit: int) -> None:
        """Take over a connection: its id, and the bytes that may wait for it here."""
        self._gone.discard(name)
        self._ids[connection] = name
        self._limits[connection] = limit

    def forget(self, connection: int) -> None:
        """Show a connection no more, and queue nothing else for it."""
        name = self._ids.pop(connection, None)
        self._limits.pop(connection, None)
        if name is not None:
            self._gone.add(name)

    def of(self, connection: int) -> dict[str, int]:
        """Return how much waits for a connection, and how much has died."""
        return {
            "depth": self._count[connection],
            "bytes": self._bytes[connection],
            "dead_letters": sum(
                count for (number, _), count in self._dead.items() if number == connection
            ),
        }

    def room(self) -> dict[int, int]:
        """Return the bytes that may still be added, by connection."""
        return {number: limit - self._bytes[number] for number, limit in self._limits.items()}

    def waiting(self, first: int) -> list[int]:
        """Return the connections from a number on for which something waits."""
        return [number for number, count in self._count.items() if number >= first and count]

    def dead(self) -> set[int]:
        """Return the connections that have dead letters."""
        return {number for (number, _), count in self._dead.items() if count > 0}

    def added(self, connection: int, count: int, size: int) -> None:
        """Note that deliveries were added."""
        self._count[connection] += count
        self._bytes[connection] += size

    def left(self, connection: int, count: int, size: int) -> None:
        """Note that deliveries were settled."""
        self._count[connection] -= count
        self._bytes[connection] -= size
        if self._bytes[connection] <= self._limits.get(connection, 0) * ROOMY:
            self._full.discard(connection)

    def name_of(self, connection: int) -> str:
        """Return the id of a connection."""
        return self._ids.get(connection, str(connection))

    def turned_full(self, connection: int) -> bool:
        """Note that something did not fit; tell whether that is news."""
        is_news = connection not in self._full
        self._full.add(connection)
        return is_news

    def died(self, letters: Iterable[DeadLetter]) -> None:
        """Note new dead letters."""
        self._dead.update((each.delivery.connection, each.reason) for each in letters)

    def revived(self, reasons: Iterable[tuple[int, str]]) -> None:
        """Note dead letters that were put back, as (connection, reason)."""
        self._dead.subtract(reasons)

    def forgotten(self, reasons: Iterable[tuple[int, str]]) -> None:
        """Note dead letters that were past their retention, as (connection, reason)."""
        self._dead.subtract(reasons)

    def show(self, metrics: ShardMetrics) -> None:
        """Write the depths to the metrics; connections that are configured show even at 0."""
        for name in self._gone:
            metrics.queue_depth.remove(name)
            metrics.queue_bytes.remove(name)
            for reason in {reason for _, reason in self._dead}:
                metrics.dead_letters.remove(name, reason)
        self._gone.clear()
        for number, name in self._ids.items():
            metrics.queue_depth.labels(name).set(self._count[number])
            metrics.queue_bytes.labels(name).set(self._bytes[number])
            metrics.dead.labels(name, "queue_full")  # at 0: else its first rise is not seen
        for (number, reason), count in self._dead.items():
            if count or number in self._ids:
                metrics.dead_letters.labels(self.name_of(number), reason).set(count)

    def depths(self) -> dict[str, dict[str, int]]:
        """Return counts by connection id, for a status page."""
        dead: Counter[int] = Counter()
        for (number, _), count in self._dead.items():
            dead[number] += count
        return {
            name: {
                "waiting": self._count[number],
                "waiting_bytes": self._bytes[number],
                "dead_letters": dead[number],
            }
            for number, name in self._ids.items()
        }
