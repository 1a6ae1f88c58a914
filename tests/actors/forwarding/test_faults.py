"""Faulted connections of inputs (spec/connections.md, 1.3)."""

import logging
from pathlib import Path

import pytest

from actors.clock import ManualClock
from actors.forwarding.faults import Fault, FaultFile
from actors.model import Delivery
from actors.outputs.contract import Delivered, Fatal, Outcome, Retry
from tests.actors.forwarding.support import (
    MemoryOutbox,
    ScriptedOutput,
    Simulation,
    connection,
    delivery,
)


def refuse(each: Delivery) -> Outcome:
    return Fatal("fatal_response", "who are you?", 401)


async def test_a_fault_outlives_the_process_until_it_is_resumed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    shard = MemoryOutbox([delivery(n) for n in range(1, 31)])
    faults = FaultFile(tmp_path / "spool" / "faults.json")

    first = Simulation(clock)
    first.start(ScriptedOutput(clock, refuse), [shard], faults=faults)
    await first.run(1)
    await first.kill()
    [line] = [each for each in caplog.records if each.__dict__["event"] == "connection_faulted"]
    assert (line.levelno, line.__dict__["alert"]) == (logging.ERROR, "Connection Faulted")

    output = ScriptedOutput(clock)
    second = Simulation(clock)
    forwarder = second.start(output, [shard], [connection(1), connection(2)], faults=faults)
    shard.add(delivery(40, connection=2))
    forwarder.wake(0)
    await second.run(3600)
    assert output.sequences == [40]  # the other connection of the output goes on
    state = forwarder.state()["connections"]["c1"]
    assert state["status"] == "faulted"
    assert state["fault"] == {
        "faulted_on": "2026-01-01T00:00:00+00:00",
        "reason_code": "401-Unauthorized",
        "message": "who are you?",
        "first_job_id": delivery(20).delivery_id,
    }
    assert forwarder.resume_faulted(1)
    await second.run(1)
    assert output.sequences == [40, *range(21, 31)]
    await second.stop()
    assert faults.read() == {}


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


def test_faults_are_read_as_they_were_written(tmp_path: Path) -> None:
    file = FaultFile(tmp_path / "faults.json")
    assert file.read() == {}
    fault = Fault("2026-01-01T00:00:00+00:00", "403-Forbidden", "no", "dl_1")
    file.write({7: fault, 8: fault})
    file.write({7: fault})
    assert FaultFile(tmp_path / "faults.json").read() == {7: fault}
    assert [each.name for each in tmp_path.iterdir()] == ["faults.json"]


def test_a_damaged_file_stops_no_output(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = FaultFile(tmp_path / "faults.json")
    (tmp_path / "faults.json").write_bytes(b'{"7": {')
    assert file.read() == {}
    assert [each.__dict__["event"] for each in caplog.records] == ["faults_damaged"]


async def test_a_disk_without_room_stops_no_output(caplog: pytest.LogCaptureFixture) -> None:
    class Full:
        def read(self) -> dict[int, Fault]:
            return {}

        def write(self, faults: object) -> None:
            raise OSError(28, "No space left on device")

    clock = ManualClock()
    simulation = Simulation(clock)
    shard = MemoryOutbox([delivery(n) for n in range(1, 31)])
    forwarder = simulation.start(ScriptedOutput(clock, refuse), [shard], faults=Full())
    await simulation.run(1)
    assert forwarder.state()["connections"]["c1"]["status"] == "faulted"
    assert "faults_not_kept" in {each.__dict__["event"] for each in caplog.records}
    await simulation.stop()
