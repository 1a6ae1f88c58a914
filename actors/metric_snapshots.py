"""The registries of many processes on one page (spec/observability.md, 6).

A process hands over a snapshot of its registry as bytes; whoever answers `/metrics` merges the
latest ones and adds the labels `role` and `instance`.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec import Struct
from prometheus_client import CollectorRegistry, exposition
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

OVERFLOW = "_other"  # label value of what is over the limit of series
CREATED = "_created"  # prometheus-client's sample with the time of a series' birth: not exported
# A bucket's bound is part of the value, not of the series, and so are the reporter's labels.
KEPT_LABELS = ("le", "role", "instance")

_Labels = tuple[tuple[str, str], ...]


class Series(Struct, array_like=True):
    """One sample: its name, its labels, its value."""

    name: str
    labels: dict[str, str]
    value: float


class Family(Struct, array_like=True):
    """One metric with its samples."""

    name: str
    meaning: str
    kind: str
    samples: list[Series]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Family])


def snapshot(registry: CollectorRegistry) -> bytes:
    """Write down all that a registry holds now, for `merge`."""
    return _encoder.encode(
        [
            Family(
                metric.name,
                metric.documentation,
                metric.type,
                [
                    Series(sample.name, sample.labels, sample.value)
                    for sample in metric.samples
                    if not sample.name.endswith(CREATED)
                ],
            )
            for metric in registry.collect()
        ]
    )


def series(snapshots: Mapping[tuple[str, str], bytes]) -> Iterator[Series]:
    """Yield every sample of many processes, with the labels `role` and `instance` of each."""
    for family in _labelled(snapshots):
        yield from family.samples


def merge(
    snapshots: Mapping[tuple[str, str], bytes], accept: str | None, max_series: int
) -> tuple[bytes, str]:
    """Make one page of what many processes report.

    Args:
        snapshots: (role, instance) to what `snapshot` returned there. The two labels are added to
            every sample that has none of that name.
        accept: the request's `Accept`; chooses between OpenMetrics and the text format 0.0.4.
        max_series: label sets that one page may hold. A metric's further ones are added up under
            label values `_other`.

    Returns:
        The page and its content type.
    """
    families: dict[str, Family] = {}
    for family in _labelled(snapshots):
        whole = families.setdefault(
            family.name, Family(family.name, family.meaning, family.kind, [])
        )
        whole.samples += family.samples
    registry = CollectorRegistry()
    registry.register(_Page(_bounded(families.values(), max_series)))
    if "application/openmetrics-text" in (accept or ""):
        page: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
        return page, openmetrics.CONTENT_TYPE_LATEST
    return exposition.generate_latest(registry), exposition.CONTENT_TYPE_PLAIN_0_0_4


def _labelled(snapshots: Mapping[tuple[str, str], bytes]) -> Iterator[Family]:
    for (role, instance), data in sorted(snapshots.items()):
        for family in _decoder.decode(data):
            for sample in family.samples:
                sample.labels = {"role": role, "instance": instance} | sample.labels
            yield family


class _Page(Collector):
    """Hands finished families to prometheus-client's writers."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            metric = Metric(family.name, family.meaning, family.kind)
            for sample in family.samples:
                metric.add_sample(sample.name, sample.labels, sample.value)
            yield metric


def _bounded(families: Iterable[Family], max_series: int) -> list[Family]:
    room = max_series
    bounded = []
    for family in families:
        known: set[_Labels] = set()
        sums: dict[tuple[str, _Labels], Series] = {}
        for sample in family.samples:
            series = _series_of(sample)
            if series not in known and room > 0:
                known.add(series)
                room -= 1
            labels = sample.labels if series in known else _folded(sample.labels)
            key = (sample.name, tuple(sorted(labels.items())))
            if key in sums:
                sums[key].value += sample.value
            else:
                sums[key] = Series(sample.name, labels, sample.value)
        bounded.append(Family(family.name, family.meaning, family.kind, list(sums.values())))
    return bounded


def _series_of(sample: Series) -> _Labels:
    return tuple(sorted(item for item in sample.labels.items() if item[0] != "le"))


def _folded(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value if name in KEPT_LABELS else OVERFLOW for name, value in labels.items()}
