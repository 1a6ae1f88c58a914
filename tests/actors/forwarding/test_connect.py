"""Connections that come, stop and go while their forwarder runs (spec/connections.md, 1.3)."""

from typing import Any

import pytest
from msgspec.structs import replace

from actors.clock import ManualClock
from actors.forwarder import Forwarder
from actors.forwarding.desk import OutputInfo
from actors.forwarding.plan import OutputPlan
from actors.metric_groups import ForwarderMetrics
from tests.actors.forwarding.support import (
    STREAM,
    MemoryOutbox,
    ScriptedOutput,
    Simulation,
    connection,
    delivery,
)

HOUR_S = 3600


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def simulation(clock: ManualClock) -> Simulation:
    return Simulation(clock)


async def test_a_new_connection_is_served_and_one_that_is_gone_is_left_alone(
    clock: ManualClock, simulation: Simulation
) -> None:
    shard = MemoryOutbox([delivery(1), delivery(2, connection=2)])
    output = ScriptedOutput(clock)
    forwarder = simulation.start(output, [shard])
    await simulation.run(1)
    assert output.sequences == [1]
    forwarder.connect([connection(), connection(2)])
    await simulation.run(1)
    assert output.sequences == [1, 2]
    forwarder.connect([connection(2)])
    shard.add(delivery(3), delivery(4, connection=2))
    forwarder.wake(0)
    await simulation.run(1)
    assert output.sequences == [1, 2, 4]
    assert [sequence for _, sequence in shard.waiting] == [3]
    forwarder.connect([connection(), connection(2)])
    forwarder.wake(0)
    await simulation.run(1)
    assert output.sequences == [1, 2, 4, 3]
    await simulation.stop()


async def test_what_has_ended_is_dropped_once_nothing_of_it_waits(
    clock: ManualClock, simulation: Simulation
) -> None:
    """It is looked for once an hour; a connection that comes back gets what came meanwhile."""
    shards = [MemoryOutbox([delivery(1)]), MemoryOutbox([delivery(2, connection=2)])]
    output, metrics = ScriptedOutput(clock), ForwarderMetrics("test")
    forwarder = simulation.start(
        output, shards, [connection(), connection(2), connection(3)], metrics=metrics
    )
    await simulation.run(1)
    assert sorted(output.sequences) == [1, 2]
    forwarder.connect([connection()])
    shards[0].add(delivery(3, connection=2, created_ms=clock.now_ms()))
    await simulation.run(2 * HOUR_S)
    assert shown(forwarder, metrics) == ({"c1", "c2"}, {"c1", "c2"})  # not c3
    await simulation.run(7 * 24 * HOUR_S)  # then what waits becomes a dead letter
    assert [each.delivery.sequence for each in shards[0].dead] == [3]
    await simulation.run(2 * HOUR_S)
    assert shown(forwarder, metrics) == ({"c1"}, {"c1"})
    shards[0].add(delivery(4, connection=2), delivery(5))
    forwarder.connect([connection(), connection(2)])
    forwarder.wake(0)
    await simulation.run(1)
    assert sorted(output.sequences) == [1, 2, 4, 5]
    assert shown(forwarder, metrics) == ({"c1", "c2"}, {"c1", "c2"})
    await simulation.stop()


def shown(forwarder: Forwarder, metrics: ForwarderMetrics) -> tuple[set[str], set[str]]:
    """Return the ids of the connections that the status page and the metrics show."""
    families = metrics.registry.collect()
    [statuses] = [each for each in families if each.name == "headwater_connection_status"]
    return set(forwarder.state()["connections"]), {
        sample.labels["connection"] for sample in statuses.samples
    }


async def test_what_waits_for_a_connection_that_is_switched_off_is_held(
    clock: ManualClock, simulation: Simulation
) -> None:
    shard = MemoryOutbox()
    output = ScriptedOutput(clock)
    forwarder = simulation.start(output, [shard])
    forwarder.connect([connection(is_active=False)])
    shard.add(delivery(1), delivery(2))
    forwarder.wake(0)
    await simulation.run(60)
    assert output.sequences == []
    forwarder.connect([connection()])
    await simulation.run(1)
    assert output.sequences == [1, 2]
    await simulation.stop()


async def test_only_a_faulted_connection_is_resumed(
    clock: ManualClock, simulation: Simulation
) -> None:
    forwarder = simulation.start(
        ScriptedOutput(clock), [MemoryOutbox()], [connection(is_faulted=True), connection(2)]
    )
    assert not forwarder.resume_faulted(2)
    assert not forwarder.resume_faulted(3)
    assert forwarder.resume_faulted(1)
    assert not forwarder.resume_faulted(1)
    await simulation.stop()


def plan(**changes: Any) -> OutputPlan:
    values: dict[str, Any] = {
        "info": OutputInfo("hook", STREAM),
        "module": "webhook",
        "settings": {},
        "is_audience": False,
        "connections": (connection(),),
    }
    return OutputPlan(**values | changes)


def test_a_forwarder_goes_on_with_other_connections_and_is_made_anew_for_all_else() -> None:
    before = plan()
    for connections in ((), (connection(is_active=False),), (connection(), connection(2))):
        assert before.differs_in_connections_alone(plan(connections=connections))
    for changes in (
        {"info": replace(before.info, max_in_flight=1)},
        {"module": "file"},
        {"connections": (connection(input=2, input_id="ios"),)},
    ):
        assert not before.differs_in_connections_alone(plan(**changes))
