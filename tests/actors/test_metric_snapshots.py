"""Metrics of many processes on one page (spec/observability.md, 6)."""

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families

from actors.metric_groups import AdminMetrics, EdgeMetrics, ForwarderMetrics, ShardMetrics
from actors.metric_snapshots import merge, snapshot
from actors.metrics import forwarding

Key = tuple[str, frozenset[tuple[str, str]]]


def samples(snapshots: dict[tuple[str, str], bytes], max_series: int = 1000) -> dict[Key, float]:
    page, _ = merge(snapshots, None, max_series)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families(page.decode())
        for sample in family.samples
    }


def key(name: str, **labels: str) -> Key:
    return name, frozenset(labels.items())


@pytest.mark.parametrize("accept", [None, "application/openmetrics-text; version=1.0.0"])
def test_the_page_of_all_processes_parses(accept: str | None) -> None:
    """spec/observability.md, worked case 19."""
    edge, shard = EdgeMetrics("1.0"), ShardMetrics("1.0")
    edge.count_request("events", "POST", 202, 0.004, 100)
    shard.batch_duration.labels("commit").observe(0.01)
    snapshots = {
        ("edge", "1"): snapshot(edge.registry),
        ("shard", "1"): snapshot(shard.registry),
        ("forwarder", "hook"): snapshot(ForwarderMetrics("1.0").registry),
        ("admin", "1"): snapshot(AdminMetrics("1.0").registry),
    }
    page, content_type = merge(snapshots, accept, 1000)
    assert ("openmetrics" in content_type) == (accept is not None)
    parse = families if accept is None else open_families
    found = list(parse(page.decode()))
    assert {family.name for family in found} >= {"headwater_build_info"}
    for family in found:
        assert family.name.startswith("headwater_")
        assert not any(sample.name.endswith("_created") for sample in family.samples)


def test_role_and_instance_are_added() -> None:
    one, other = EdgeMetrics("1.0"), EdgeMetrics("1.0")
    one.count_request("events", "POST", 202, 0.004, 100)
    other.count_request("events", "POST", 202, 0.004, 100)
    found = samples(
        {("edge", "1"): snapshot(one.registry), ("edge", "2"): snapshot(other.registry)}
    )
    for instance in ("1", "2"):
        labels = {"api": "events", "method": "POST", "code": "202"}
        at = key("headwater_http_requests_total", role="edge", instance=instance, **labels)
        assert found[at] == 1


def test_a_metric_about_another_process_keeps_that_ones_role() -> None:
    admin = AdminMetrics("1.0")
    admin.actor_up.labels("shard", "3").set(0)
    found = samples({("admin", "1"): snapshot(admin.registry)})
    assert found[key("headwater_actor_up", role="shard", id="3", instance="1")] == 0


@pytest.mark.parametrize(("max_series", "shown"), [(5, 5), (4, 5), (3, 4), (1, 2)])
def test_series_over_the_limit_are_added_up(max_series: int, shown: int) -> None:
    registry = CollectorRegistry()
    retries = forwarding.FORWARDER_RETRIES.on(registry)
    for connection in range(5):
        retries.labels(f"c{connection}").inc(10)
    found = samples({("forwarder", "1"): snapshot(registry)}, max_series)
    assert sum(found.values()) == 50
    assert len(found) == shown
    folded = found.get(
        key(
            "headwater_forwarder_retries_total", connection="_other", role="forwarder", instance="1"
        )
    )
    assert folded == (None if max_series == 5 else 10 * (5 - max_series))


def test_a_folded_histogram_keeps_its_buckets() -> None:
    registry = CollectorRegistry()
    lag = forwarding.FORWARDER_LAG.on(registry)
    for connection in ("c1", "c2", "c3"):
        lag.labels(connection).observe(0.2)
    found = samples({("forwarder", "1"): snapshot(registry)}, 1)
    other = {"connection": "_other", "role": "forwarder", "instance": "1"}
    name = "headwater_forwarder_delivery_lag_seconds"
    assert found[key(f"{name}_bucket", le="0.1", **other)] == 0
    assert found[key(f"{name}_bucket", le="0.25", **other)] == 2
    assert found[key(f"{name}_count", **other)] == 2
