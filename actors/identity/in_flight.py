"""What is being written, and who has to wait until it is."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable

from actors.errors import HotIdentity
from actors.identity.clusters import Cluster, Pending
from actors.identity.draft import Key
from actors.metric_groups import CoordinatorMetrics

MAX_WAITING = 100  # spec/identity.md, 4.3: on one identity
MAX_WAIT_S = 2.0


class InFlight:
    """Intents that some shard does not have yet.

    Attributes:
        keys: of the entries and records that they change.
        intents: by number.
    """

    def __init__(self, is_away: Callable[[int], bool], metrics: CoordinatorMetrics) -> None:
        """Args: `is_away` tells whether a shard does not answer now."""
        self.keys: dict[Key, Cluster] = {}
        self.intents: dict[int, Cluster] = {}
        self._is_away = is_away
        self._metrics = metrics
        self._queues: Counter[Key] = Counter()

    def add(self, number: int, cluster: Cluster) -> None:
        """Let everybody wait who looks at what an intent changes."""
        self.intents[number] = cluster
        self.keys.update(dict.fromkeys(cluster.keys, cluster))

    def remove(self, number: int) -> Cluster:
        """An intent is written everywhere, or dropped; return it, with those who waited."""
        cluster = self.intents.pop(number)
        for key in cluster.keys:
            del self.keys[key]
        for pending in cluster.waiting:
            self.release(pending)
        return cluster

    def holds(self, pending: Pending, keys: Iterable[Key]) -> bool:
        """Let a decision wait if something that it looks at is being written.

        It is refused instead, and done, if too many wait already.
        """
        in_flight = self.keys
        if not in_flight:
            return False
        for key in keys:
            if key in in_flight:
                break
        else:
            return False
        self._metrics.identity_conflict_retries.inc()
        if pending.decision.is_limited and not self._has_queued(pending):
            return True
        pending.blocked_by = in_flight[key]
        pending.blocked_by.waiting[pending] = None
        return True

    def release(self, pending: Pending) -> None:
        """Let a decision wait no longer."""
        pending.blocked_by = None
        for key in pending.queued:
            self._queues[key] -= 1
            if not self._queues[key]:
                del self._queues[key]
        pending.queued = []

    def _has_queued(self, pending: Pending) -> bool:
        """Count a call as one that waits for its identities, or refuse it."""
        if any(self._queues[key] >= MAX_WAITING for key in pending.keys):
            pending.fail(HotIdentity("too many calls wait for one identity"))
            return False
        self._queues.update(pending.keys)
        pending.queued = pending.keys
        if pending.timer is None:
            loop = asyncio.get_running_loop()
            pending.timer = loop.call_later(MAX_WAIT_S, self._has_waited, pending)
        return True

    def _has_waited(self, pending: Pending) -> None:
        """Refuse a call that still waits for others; for a shard that is away it may wait on."""
        cluster = pending.blocked_by
        if cluster is None or pending.is_done:
            return
        if not any(map(self._is_away, cluster.shards)):
            pending.fail(HotIdentity("a call has waited too long for others"))
