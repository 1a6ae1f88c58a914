"""Which data points a shard knows, for outputs that do not get new ones by default.

Source: spec/connections.md, 2.4. A connection gets what was received before it was first active;
what comes later, it gets once it is switched on. As long as all outputs get new points anyway,
nothing of this is done.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

from actors.model.batches import StoredBatch
from actors.pipeline.connection import ConnectionInfo
from actors.pipeline.data_filter import Filter
from actors.pipeline.points import DataPoint, points_of
from actors.store import data_points, log
from actors.store.environment import Store, Transaction

MAX_POINTS = 20_000  # of a workspace; what is above counts as new for good
# What is looked at of the past when a connection begins to choose: a second or two.
SCANNED_BATCHES = 20_000


class KnownPoints:
    """The points that a shard knows, and since when connections choose among new ones.

    Memory follows disk: `see` stages, `published` and `abandon` say what became of it.
    """

    def __init__(self, store: Store, txn: Transaction) -> None:
        self._store = store
        self._first_ms = data_points.read_points(txn)
        self._started_ms = data_points.read_starts(txn)
        self._staged: list[DataPoint] = []
        self._connections: Sequence[ConnectionInfo] = ()
        self.is_tracking = False

    def begin(self, connections: Sequence[ConnectionInfo], now_ms: int) -> None:
        """Take over which connections there are; those that are new get what is known by now.

        Raises:
            StoreFull: nothing was taken over.
        """
        choosing = {
            each.number
            for each in connections
            if each.is_active and not each.pipeline.filter.sends_new
        }
        new = choosing - self._started_ms.keys()
        if new:
            with self._store.write() as txn:
                # Also where there are others: what came to inputs that no connection had, or while
                # none chose, is in the log alone. Times that are known stay: some chose by them.
                found = _scan(txn, self._first_ms)
                for point, first_ms in found.items():
                    data_points.write_point(txn, point, first_ms)
                for connection in new:
                    data_points.write_start(txn, connection, now_ms)
            self._first_ms |= found
            self._started_ms |= dict.fromkeys(new, now_ms)
        self._connections = connections
        self.is_tracking = bool(choosing)

    def see(self, stored: StoredBatch, outgoing: dict[str, Any]) -> None:
        """Note the points of a batch, as far as there is room for more."""
        known = self._first_ms
        for point in points_of(stored.batch.events, outgoing):
            if point not in known and len(known) < MAX_POINTS:
                known[point] = stored.received_ms
                self._staged.append(point)

    def write(self, txn: Transaction) -> None:
        """Write what is new. Raises StoreFull."""
        for point in self._staged:
            data_points.write_point(txn, point, self._first_ms[point])

    def published(self) -> None:
        """What is new is on disk."""
        self._staged.clear()

    def abandon(self) -> None:
        """What is new is not on disk: forget it."""
        for point in self._staged:
            del self._first_ms[point]
        self._staged.clear()

    def is_known_to(self, connection: int, point: DataPoint) -> bool:
        """Whether a point was there when a connection was first active."""
        first_ms, started_ms = self._first_ms.get(point), self._started_ms.get(connection)
        return first_ms is not None and started_ms is not None and first_ms < started_ms

    def learn_points(self, points: Mapping[DataPoint, int]) -> None:
        """Take in points of other shards, with the times of their first receipt.

        Raises:
            StoreFull: nothing was taken in.
        """
        known = self._first_ms
        with self._store.write() as txn:
            earlier = {
                point: first_ms
                for point, first_ms in points.items()
                if first_ms < known.get(point, first_ms + 1)
            }
            for point, first_ms in earlier.items():
                data_points.write_point(txn, point, first_ms)
        known |= earlier

    def point_count(self) -> int:
        """Return how many points there are; 0 if nobody needs them."""
        return len(self._first_ms) if self.is_tracking else 0

    def data_points(self) -> dict[DataPoint, int]:
        """Return all points, with the times of their first receipt; none if nobody needs them."""
        return dict(self._first_ms) if self.is_tracking else {}

    def listed_points(self, output: str) -> dict[DataPoint, bool]:
        """Return the points that are known, and whether all connections of an output get them.

        They get them if neither filter switches them off, and they are not new to them.
        """
        filters = [
            Filter(each.pipeline.filter, partial(self.is_known_to, each.number))
            for each in self._connections
            if each.output == output
        ]
        return {point: all(each.shows(point) for each in filters) for point in self.data_points()}


def _scan(txn: Transaction, known: Collection[DataPoint]) -> dict[DataPoint, int]:
    """Return further points of the newest stored batches, with the times of their first receipt.

    They are as many as there is room for beside the known ones.
    """
    found: dict[DataPoint, int] = {}
    skipped = max(txn.entries("log") - SCANNED_BATCHES, 0)
    for _, encoded in islice(txn.scan("log"), skipped, None):
        stored = log.decode(encoded)
        batch = stored.batch
        as_outgoing = {
            "user_attributes": batch.user_attributes,
            "user_identities": [{"identity_type": name} for name in batch.user_identities],
        }
        for point in points_of(batch.events, as_outgoing):
            if point not in known and len(known) + len(found) < MAX_POINTS:
                found.setdefault(point, stored.received_ms)
    return found
