"""What metrics say of deliveries, held against what became of them."""

from collections import Counter
from collections.abc import Sequence

from actors.metric_groups import ForwarderMetrics, ShardMetrics
from actors.model.deliveries import DeadLetter, Delivery
from actors.queues import Queues
from tests.actors.forwarding.ledger import Ledger


def check_depths(
    queues: Queues,
    names: dict[int, str],
    waiting: Sequence[Delivery],
    letters: Sequence[DeadLetter],
) -> None:
    """Check that a shard shows what it holds; `names`: connection to its id."""
    metrics = ShardMetrics("test")
    queues.show(metrics)
    for number, name in names.items():
        depth = total(metrics, "headwater_forwarder_queue_depth", connection=name)
        assert depth == sum(each.connection == number for each in waiting)
        reasons = Counter(each.reason for each in letters if each.delivery.connection == number)
        for reason, count in reasons.items():
            assert count == total(
                metrics, "headwater_forwarder_dlq_depth", connection=name, reason=reason
            )
        assert reasons.total() == total(metrics, "headwater_forwarder_dlq_depth", connection=name)


def check_counters(metrics: ForwarderMetrics, names: dict[int, str], ledger: Ledger) -> None:
    """Check what a life of a forwarder has counted that has settled everything."""
    for number, name in names.items():
        sent = total(metrics, "headwater_forwarder_events_total", connection=name, result="sent")
        assert sent == ledger.sent_events[number]
        asked = total(metrics, "headwater_forwarder_requests_total", connection=name)
        assert asked == ledger.asked[number]
        buried = Counter(
            reason
            for sequence, reason in ledger.buried.items()
            if ledger.jobs[sequence].delivery.connection == number
        )
        for reason, count in buried.items():
            dead = total(metrics, "headwater_forwarder_dlq_total", connection=name, reason=reason)
            assert dead == count, f"{dead} letters were counted, {count} were made"
        assert total(metrics, "headwater_forwarder_dlq_total", connection=name) == buried.total()
    assert total(metrics, "headwater_forwarder_in_flight") == 0


def total(metrics: ForwarderMetrics | ShardMetrics, sample_name: str, **labels: str) -> float:
    """Sum up a metric over all labels that are not given."""
    return sum(
        sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == sample_name and labels.items() <= sample.labels.items()
    )
