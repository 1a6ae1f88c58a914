"""What a run measures while it goes: latencies, statuses, retries, amounts over time."""

from array import array
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99.9": 99.9, "max": 100.0}


def percentiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    """Return `PERCENTILES` of some times, in milliseconds; empty without any."""
    if not seconds:
        return {}
    values = np.percentile(np.array(seconds) * 1000, list(PERCENTILES.values()))
    return dict(zip(PERCENTILES, values.tolist(), strict=True))


class Measurements:
    """One row per request that is over, and counters.

    Attributes:
        statuses: answers by HTTP status, those before a retry included.
        retries: requests sent again, by reason (`429`, `503`, `connection`).
        acknowledged_batches, acknowledged_events: so far.
        without_retry_after: answers 429 and 503 that did not say when to come again.
        unsent: requests whose time had come but that no connection was free for until the end.
    """

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.retries: Counter[str] = Counter()
        self.acknowledged_batches = 0
        self.acknowledged_events = 0
        self.without_retry_after = 0
        self.unsent = 0
        self._finished_s = array("d")
        self._latency_s = array("d")
        self._batches = array("I")
        self._events = array("I")

    def record(self, finished_s: float, latency_s: float, batches: int, events: int) -> None:
        """Note a request that is over: seconds since the start, and what was acknowledged."""
        self._finished_s.append(finished_s)
        self._latency_s.append(latency_s)
        self._batches.append(batches)
        self._events.append(events)
        self.acknowledged_batches += batches
        self.acknowledged_events += events

    @property
    def requests(self) -> int:
        """How many are over."""
        return len(self._batches)

    @property
    def acknowledged_requests(self) -> int:
        """How many of them had at least one batch acknowledged."""
        return sum(batches > 0 for batches in self._batches)

    def latency_ms(self) -> dict[str, float]:
        """Return the percentiles of the latency of all requests; empty without requests."""
        return percentiles_ms(self._latency_s)

    def throughput(self, seconds: float) -> dict[str, float]:
        """Return what was acknowledged within the first `seconds`, per second."""
        inside = np.array(self._finished_s) <= seconds
        batches, events = np.array(self._batches)[inside], np.array(self._events)[inside]
        return {
            "requests_per_second": float((batches > 0).sum()) / seconds,
            "batches_per_second": float(batches.sum()) / seconds,
            "events_per_second": float(events.sum()) / seconds,
        }

    def by_second(self, seconds: float) -> dict[str, list[Any]]:
        """Return events acknowledged and latency percentiles (ms) in each second of the run.

        A second in which nothing was answered has 0 events and no latency (`None`).
        """
        second = np.array(self._finished_s).astype(np.int64)
        latencies, events = np.array(self._latency_s) * 1000, np.array(self._events)
        rows: dict[str, list[Any]] = {"second": [], "events": [], "p50_ms": [], "p99_ms": []}
        for number in range(int(np.ceil(seconds))):
            inside: NDArray[np.bool_] = second == number
            rows["second"].append(number)
            rows["events"].append(int(events[inside].sum()))
            for name, percent in (("p50_ms", 50), ("p99_ms", 99)):
                some = latencies[inside]
                rows[name].append(float(np.percentile(some, percent)) if some.size else None)
        return rows
