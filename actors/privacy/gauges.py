"""Shows how many requests are open, and says so when one is late (spec/privacy.md, 4.1)."""

import logging
from collections import Counter

from actors.metric_groups import CoordinatorMetrics
from actors.store import subject_requests
from actors.store.environment import Store

SHOW_MS = 60 * 1000
ALERT_MS = 24 * 3600 * 1000  # past the time at which a request was to be completed

logger = logging.getLogger("headwater.privacy")


class Gauges:
    """The gauges of one workspace's requests."""

    def __init__(self, metrics: CoordinatorMetrics, workspace: str) -> None:
        self._metrics = metrics
        self._workspace = workspace
        self._shown: set[tuple[str, str]] = set()
        self._late: set[str] = set()
        self._next_ms = 0

    def show(self, store: Store, now_ms: int) -> None:
        """Bring the gauges up to date, once in a while: it looks at all that is open."""
        if now_ms < self._next_ms:
            return
        self._next_ms = now_ms + SHOW_MS
        counts: Counter[tuple[str, str]] = Counter()
        oldest_ms: dict[tuple[str, str], int] = {}
        with store.read() as txn:
            for request_id, each in subject_requests.unfinished(txn):
                labels: tuple[str, str] = each.type, each.status
                counts[labels] += 1
                oldest_ms[labels] = min(oldest_ms.get(labels, now_ms), each.received_ms)
                if now_ms - each.expected_ms > ALERT_MS:
                    self._say_late(request_id)
        self._shown |= counts.keys()
        for labels in self._shown:
            age_s = (now_ms - oldest_ms.get(labels, now_ms)) / 1000
            self._metrics.dsr_requests.labels(self._workspace, *labels).set(counts[labels])
            self._metrics.dsr_oldest.labels(self._workspace, *labels).set(age_s)

    def _say_late(self, request_id: str) -> None:
        if request_id not in self._late:
            self._late.add(request_id)
            logger.error(
                "a data subject request is overdue",
                extra={"event": "dsr_overdue", "subject_request_id": request_id},
            )
