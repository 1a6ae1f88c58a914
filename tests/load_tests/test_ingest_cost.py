"""The command that compares ingestion with and without anything to keep current, in small."""

from itertools import count
from pathlib import Path

import msgspec
import pytest

from actors.clock import SystemClock
from load_tests.in_process import InProcess, document
from load_tests.ingest_cost import CostOptions, definitions, keep_current
from load_tests.scenarios.ingest_cost import compare

SMALL = CostOptions(
    users=5, rounds=2, batches=20, events_per_batch=5, attributes=20, audiences=30, seed=1
)


async def test_both_ways_are_charged_what_the_clock_says(tmp_path: Path) -> None:
    """The processor clock moves by one whenever it is read: each way costs one per request."""
    readings = count()
    report = await compare(SMALL, 1.0, tmp_path, SystemClock(), lambda: float(next(readings)))
    result = report.result
    assert result.events == 20 * 5 * 2
    assert result.without_us == result.with_us == pytest.approx(2 / result.events * 1e6)
    assert (result.ratios, report.is_within) == ([1.0, 1.0], True)


def test_definitions_are_the_same_for_a_seed() -> None:
    assert definitions(10, 1) == definitions(10, 1) != definitions(10, 2)


async def test_something_is_really_kept_current(tmp_path: Path) -> None:
    """People get values and memberships of what they send."""
    clock = SystemClock()
    full = InProcess(tmp_path, document(priority=["customerid"]), 1, clock)
    keep_current(full, SMALL, clock)
    events = [
        {"event_type": "custom_event", "data": {"event_name": "Searched"}},
        {"event_type": "session_start", "data": {}},
    ]
    body = {"environment": "production", "mpid": 7, "events": events}
    body["user_attributes"] = {"tier": "gold", "$age": "70"}
    await full.apply([msgspec.json.encode(body)])
    engine = full.shards[0].audiences.engine
    [key] = engine.keys_of(next(engine.slices(10)))
    assert engine.audiences_of(key)
    with full.shards[0].store.read() as txn:
        profile = full.shards[0].profiles.get(txn, key)
    assert profile is not None
    assert profile.workspaces[1].calculated
    full.close()
