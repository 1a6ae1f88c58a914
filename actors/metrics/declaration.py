"""What a declaration of a metric says, and how it comes onto a process's registry."""

from typing import Any, Generic, Literal, TypeVar

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.metrics import MetricWrapperBase

Unit = Literal["1", "seconds", "bytes", "batches", "events", "profiles", "requests", "deliveries"]
MetricT = TypeVar("MetricT", bound=MetricWrapperBase)

LATENCY_BUCKETS_S = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)


class Metric(Generic[MetricT]):
    """One declaration.

    Attributes:
        kind: the class of prometheus-client.
        name: as exported; counters end in `_total`.
        unit: of the value.
        labels: names of its labels.
        meaning: what it counts; the help text of the exposition.
        remedy: what an operator does when it moves.
        buckets: upper bounds of a histogram.
    """

    def __init__(
        self,
        kind: type[MetricT],
        name: str,
        unit: Unit,
        labels: tuple[str, ...],
        *,
        meaning: str,
        remedy: str,
        buckets: tuple[float, ...] = LATENCY_BUCKETS_S,
    ) -> None:
        self.kind = kind
        self.name = name
        self.unit = unit
        self.labels = labels
        self.meaning = meaning
        self.remedy = remedy
        self.buckets = buckets

    def on(self, registry: CollectorRegistry) -> MetricT:
        """Make the metric on a process's registry."""
        options: dict[str, Any] = {"buckets": self.buckets} if self.kind is Histogram else {}
        return self.kind(self.name, self.meaning, self.labels, registry=registry, **options)
