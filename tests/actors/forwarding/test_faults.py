"""Faulted connections of inputs (spec/connections.md, 1.3)."""

import asyncio
import logging
from collections.abc import Mapping

import pytest

from actors.clock import ManualClock
from actors.errors import ShardUnavailable, StoreFull
from actors.forwarding.faults import Fault, kept_faults
from actors.model.deliveries import Delivery
from actors.outputs.contract import Delivered, Fatal, Outcome, RequestLimits, Retry
from tests.actors.forwarding.support import (
    MemoryOutbox,
    ScriptedOutput,
    Simulation,
    connection,
    delivery,
)
from tests.actors.forwarding.test_bundles import OneGroupOutput


class State:
    """What a coordinator keeps of one output."""

    def __init__(self, kept: Mapping[str, bytes] = {}) -> None:
        self.kept = dict(kept)
        self.failures: list[Exception] = []
        self.was_kept = asyncio.Event()

    async def output_state(self, output: str) -> dict[str, bytes]:
        assert output == "hook"
        return dict(self.kept)

    async def keep_output_state(self, output: str, changes: Mapping[str, bytes | None]) -> None:
        assert output == "hook"
        if self.failures:
            raise self.failures.pop(0)
        for name, value in changes.items():
            self.kept.pop(name, None)
            if value is not None:
                self.kept[name] = value
        self.was_kept.set()


async def loaded(state: State) -> dict[int, Fault]:
    faults = kept_faults("hook", state)
    await faults.load()
    return faults.read()


def refuse(each: Delivery) -> Outcome:
    return Fatal("fatal_response", "who are you?", 401)


async def test_a_fault_outlives_the_process_until_it_is_resumed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """On whatever node it runs then."""
    clock = ManualClock()
    shard = MemoryOutbox([delivery(n) for n in range(1, 31)])
    state = State()
    faults = kept_faults("hook", state)

    first = Simulation(clock)
    first.start(ScriptedOutput(clock, refuse), [shard], faults=faults)
    await first.run(1)
    await first.kill()
    await faults.flush()
    [line] = [each for each in caplog.records if each.__dict__["event"] == "connection_faulted"]
    assert (line.levelno, line.__dict__["alert"]) == (logging.ERROR, "Connection Faulted")

    output = ScriptedOutput(clock)
    second = Simulation(clock)
    faults = kept_faults("hook", state)
    await faults.load()
    forwarder = second.start(output, [shard], [connection(1), connection(2)], faults=faults)
    shard.add(delivery(40, connection=2))
    forwarder.wake(0)
    await second.run(3600)
    assert output.sequences == [40]  # the other connection of the output goes on
    shown = forwarder.state()["connections"]["c1"]
    assert shown["status"] == "faulted"
    assert shown["fault"] == {
        "faulted_on": "2026-01-01T00:00:00+00:00",
        "reason_code": "401-Unauthorized",
        "message": "who are you?",
        "first_job_id": delivery(20).delivery_id,
    }
    assert forwarder.resume_faulted(1)
    await second.run(1)
    assert output.sequences == [40, *range(21, 31)]
    await second.stop()
    await faults.flush()
    assert state.kept == {}


async def test_another_answer_in_between_begins_the_count_anew() -> None:
    """Twenty in a row are a fault, not twenty of many."""
    clock = ManualClock()
    others: dict[int, Outcome] = {15: Fatal("fatal_response", "odd", 400), 30: Retry("busy", 503)}
    output = ScriptedOutput(
        clock,
        lambda each: Delivered(200) if each.attempts else others.get(each.sequence) or refuse(each),
    )
    simulation = Simulation(clock)
    shard = MemoryOutbox([delivery(n) for n in range(1, 49)])
    forwarder = simulation.start(output, [shard])
    await simulation.run(3600)
    assert forwarder.state()["connections"]["c1"]["status"] == "active"
    assert len(shard.dead) == 47
    await simulation.stop()


async def test_one_answer_for_many_deliveries_is_one_refusal() -> None:
    clock = ManualClock()
    output = ScriptedOutput(
        clock,
        lambda each: refuse(each) if each.sequence <= 30 else Delivered(200),
        RequestLimits(max_deliveries=30),
    )
    simulation = Simulation(clock)
    shard = MemoryOutbox([delivery(n, n) for n in range(1, 61)])
    forwarder = simulation.start(output, [shard])
    await simulation.run(60)
    assert [len(sent) for _, sent in output.requests] == [30, 30]
    assert forwarder.state()["connections"]["c1"]["status"] == "active"
    assert (len(shard.dead), len(output.delivered)) == (30, 30)
    await simulation.stop()


@pytest.mark.parametrize(
    ("requests", "status"),
    [pytest.param(19, "active", id="19"), pytest.param(20, "faulted", id="20")],
)
async def test_twenty_refused_requests_in_a_row_are_a_fault(requests: int, status: str) -> None:
    clock = ManualClock()
    output = ScriptedOutput(clock, refuse, RequestLimits(max_deliveries=30))
    simulation = Simulation(clock)
    shard = MemoryOutbox([delivery(n, n) for n in range(1, requests * 30 + 1)])
    forwarder = simulation.start(output, [shard], max_in_flight=1)
    await simulation.run(60)
    assert len(shard.dead) == requests * 30
    shown = forwarder.state()["connections"]["c1"]
    assert shown["status"] == status
    if status == "faulted":
        assert shown["fault"]["first_job_id"] == delivery(571).delivery_id
    await simulation.stop()


async def test_an_upload_of_many_deliveries_is_one_refusal() -> None:
    clock = ManualClock()
    output = OneGroupOutput(Fatal("fatal_response", "who are you?", 401))
    output.max_rows = 30
    simulation = Simulation(clock)
    shard = MemoryOutbox([delivery(n) for n in range(1, 30 * 19 + 1)])
    forwarder = simulation.start(output, [shard])
    await simulation.run(60)
    assert len(shard.dead) == 30 * 19
    assert forwarder.state()["connections"]["c1"]["status"] == "active"
    shard.add(*(delivery(n) for n in range(1000, 1060)))
    forwarder.wake(0)
    await simulation.run(60)
    assert len(shard.dead) == 30 * 20
    assert forwarder.state()["connections"]["c1"]["status"] == "faulted"
    await simulation.stop()


async def test_faults_are_read_as_they_were_written() -> None:
    state = State()
    faults = kept_faults("hook", state)
    await faults.load()
    assert faults.read() == {}
    fault = Fault("2026-01-01T00:00:00+00:00", "403-Forbidden", "no", "dl_1")
    faults.write({7: fault, 8: fault})
    faults.write({7: fault})
    await faults.flush()
    assert await loaded(state) == {7: fault}
    faults.write({})
    await faults.flush()
    assert state.kept == {}


async def test_damaged_faults_stop_no_output(caplog: pytest.LogCaptureFixture) -> None:
    assert await loaded(State({"faults": b'{"7": {'})) == {}
    assert [each.__dict__["event"] for each in caplog.records] == ["faults_damaged"]


async def test_a_coordinator_that_does_not_answer_is_told_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("actors.forwarding.kept.RETRY_S", 0.01)
    state = State()
    state.failures = [ShardUnavailable("coordinator"), StoreFull("no room")]
    faults = kept_faults("hook", state)
    running = asyncio.create_task(faults.run())
    fault = Fault("2026-01-01T00:00:00+00:00", "403-Forbidden", "no", "dl_1")
    faults.write({7: fault})
    async with asyncio.timeout(10):
        await state.was_kept.wait()
    running.cancel()
    assert await loaded(state) == {7: fault}
    assert [each.__dict__["event"] for each in caplog.records] == ["faults_not_kept"] * 2
