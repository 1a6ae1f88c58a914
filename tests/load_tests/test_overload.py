"""The scenario of ten times what a deployment takes."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from actors.clock import SystemClock, SystemRandomness
from load_tests.overload import Overload, OverloadOptions, OverloadResult
from load_tests.phases import Calm, Phase
from load_tests.scenarios.overload import CALM_P99_MS, problems_of
from load_tests.verify import Counts

CALM = Calm(
    offered=10.0,
    requests=200,
    acknowledged=200,
    statuses={"202": 200, "503": 10},
    without_retry_after=0,
    connections_broken=0,
    latency_ms={"p50": 1.0, "p99": 900.0},
    counts=Counts(verified=500),
)
PHASE = Phase(
    offered=10.0,
    batches_per_second=1000.0,
    events=[5000, 5000],
    statuses={"202": 100},
    without_retry_after=0,
    connections_broken=0,
    unsent=0,
    latency_ms={"p50": 1.0, "p99": 9.0},
    memory_bytes={"edge": 300, "shard": 30, "serve": 9},
    counts=Counts(verified=500),
    calm=CALM,
)
FLOOD = replace(PHASE, batches_per_second=900.0, statuses={"202": 90, "503": 900})
RESULT = OverloadResult(
    idle_bytes={"edge": 200, "shard": 20, "serve": 1},
    bound_bytes={"edge": 400, "shard": 40},
    before=PHASE,
    flood=FLOOD,
    after=PHASE,
    full_again_s=2.0,
)


def test_nothing_is_wrong_with_refusals_that_say_when_to_come_again() -> None:
    assert problems_of(RESULT) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"statuses": {"202": 90, "500": 1, "503": 9}}, "flood: answers 500"),
        ({"without_retry_after": 3}, "flood: 3 refusals without Retry-After"),
        ({"counts": Counts(verified=9, lost=1)}, "flood: lost, doubled or refused and kept"),
        ({"counts": Counts(verified=9, doubled=1)}, "flood: lost, doubled or refused and kept"),
        ({"memory_bytes": {"edge": 401, "shard": 40}}, "flood: edge took"),
        ({"memory_bytes": {"edge": 400, "shard": 41}}, "flood: shard took"),
        ({"batches_per_second": 790.0}, "flood: 79% of what was taken before"),
        ({"statuses": {"202": 90}}, "flood: it was no more than the deployment takes"),
    ],
)
def test_each_bar_is_one(changes: dict[str, Any], problem: str) -> None:
    [found] = problems_of(replace(RESULT, flood=replace(FLOOD, **changes)))
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"statuses": {"202": 200, "500": 1}}, "answers 500"),
        ({"without_retry_after": 1}, "1 refusals without Retry-After"),
        ({"counts": Counts(verified=9, lost=1)}, "lost, doubled or refused and kept"),
        ({"counts": Counts(verified=9, doubled=1)}, "lost, doubled or refused and kept"),
        ({"statuses": {"202": 200, "503": 11}}, "94.8% of attempts acknowledged"),
        ({"connections_broken": 1}, "94.8% of attempts acknowledged"),
        ({"acknowledged": 199}, "1 of 200 requests never acknowledged"),
        ({"latency_ms": {"p50": 1.0, "p99": CALM_P99_MS + 1}}, "p99"),
        ({"latency_ms": {}}, "p99"),
    ],
)
@pytest.mark.parametrize("phase", ["before", "flood", "after"])
def test_an_input_that_sends_little_does_not_suffer(
    phase: str, changes: dict[str, Any], problem: str
) -> None:
    calm = replace(CALM, **changes)
    changed = replace(getattr(RESULT, phase), calm=calm)
    [found] = problems_of(replace(RESULT, **{phase: changed}))
    assert found.startswith(f"{phase}, calm input: {problem}")


def test_what_stays_with_the_senders_is_too_much_as_well() -> None:
    flood = replace(FLOOD, statuses={"202": 90}, unsent=100)
    assert problems_of(replace(RESULT, flood=flood)) == []


@pytest.mark.parametrize("full_again_s", [None, 6.0])
def test_full_speed_is_there_again_soon(full_again_s: float | None) -> None:
    [found] = problems_of(replace(RESULT, full_again_s=full_again_s))
    assert found.startswith("after: full speed")


async def test_a_flood_loses_nothing_and_breaks_nothing(tmp_path: Path) -> None:
    """How much is taken meanwhile depends on what else the machine does."""
    options = OverloadOptions(
        mode="bulk",
        seconds=3.0,
        times=10.0,
        connections=4,
        flood_connections=200,
        received_bytes=32 * 1024 * 1024,
        attributes=2,
        audiences=3,
        users=100,
        verify_users=20,
        seed=1,
    )
    result = await Overload(options, tmp_path, SystemClock(), SystemRandomness()).run()
    for phase in (result.before, result.flood, result.after):
        assert phase.statuses.keys() <= {"202", "429", "503"}
        assert phase.without_retry_after == 0
        assert (phase.counts.lost, phase.counts.doubled, phase.counts.refused) == (0, 0, 0)
        roles = {"edge", "shard", "coordinator", "forwarder"}
        assert roles == result.bound_bytes.keys() <= phase.memory_bytes.keys()
        assert all(phase.memory_bytes[role] <= result.bound_bytes[role] for role in roles)
        assert phase.calm.acknowledged == phase.calm.requests > 0
        assert phase.calm.without_retry_after == 0
        assert phase.calm.counts.verified > 0
        assert (phase.calm.counts.lost, phase.calm.counts.doubled) == (0, 0)
    assert result.before.counts.verified > 0
    assert result.after.counts.verified > 0
