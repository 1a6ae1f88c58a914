"""Changes of membership, several to a request (spec/connections.md, 4.4 and 5)."""

import asyncio
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.clock import ManualClock
from actors.forwarder import Forwarder
from actors.forwarding.intake import READ_PAUSE_MS
from actors.forwarding.journal import Journal
from actors.forwarding.pace import RateLimit
from actors.forwarding.streams import Stream
from actors.model.deliveries import Delivery, Settlement
from actors.outputs.audience_messages import Action, decode, encode, together
from actors.outputs.contract import Delivered, Fatal, Outcome, RequestLimits, Retry, Split
from actors.outputs.http_answers import body_id
from tests.actors.forwarding.support import (
    NUMBER,
    MemoryOutbox,
    ScriptedOutput,
    Simulation,
    change,
    followed,
    until,
)

LIMITS = RequestLimits(max_changes=100)
OTHER = NUMBER + 1


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def simulation(clock: ManualClock) -> Simulation:
    return Simulation(clock)


def requests(output: ScriptedOutput) -> list[list[int]]:
    """Return the sequences of each request."""
    return [[each.sequence for each in sent] for _, sent in output.requests]


def adds(count: int, start: int = 1) -> list[Delivery]:
    """Return changes of as many users, each its own."""
    return [change(each, each, "add") for each in range(start, start + count)]


def simulate(
    simulation: Simulation, output: ScriptedOutput, outbox: MemoryOutbox, **more: Any
) -> Forwarder:
    """Start a forwarder that follows subscriptions 1 and 2."""
    forwarder = simulation.start(output, [outbox], [], **more)
    forwarder.follow([followed(), followed(number=OTHER)])
    return forwarder


async def read_while_gated(clock: ManualClock, forwarder: Forwarder, outbox: MemoryOutbox) -> None:
    """Have a forwarder read what was added, although time does not pass while it sends."""
    clock.advance(100)
    before = outbox.reads
    forwarder.wake(0)
    await until(lambda: outbox.reads > before + 1)


async def test_what_waits_goes_together_and_nothing_waits_for_more(
    clock: ManualClock, simulation: Simulation
) -> None:
    outbox = MemoryOutbox(adds(250))
    output = ScriptedOutput(clock, limits=LIMITS)
    forwarder = simulate(simulation, output, outbox)
    await simulation.run(0)
    assert requests(output) == [
        list(range(1, 101)),
        list(range(101, 201)),
        list(range(201, 251)),
    ]
    outbox.add(change(251, 251, "add"))
    forwarder.wake(0)
    await simulation.run(1)
    assert requests(output)[3:] == [[251]]
    assert outbox.waiting == {}
    await simulation.stop()


async def test_audiences_do_not_share_a_request(clock: ManualClock, simulation: Simulation) -> None:
    outbox = MemoryOutbox([*adds(2), change(3, 1, "add", number=OTHER)])
    output = ScriptedOutput(clock, limits=LIMITS)
    simulate(simulation, output, outbox)
    await simulation.run(0)
    assert sorted(requests(output)) == [[1, 2], [3]]
    await simulation.stop()


async def test_a_user_is_in_a_request_once_and_in_order(
    clock: ManualClock, simulation: Simulation
) -> None:
    outbox = MemoryOutbox(
        [change(1, 1, "add"), change(2, 2, "add"), change(3, 1, "attribute_update")]
    )
    output = ScriptedOutput(clock, limits=LIMITS)
    simulate(simulation, output, outbox)
    await simulation.run(0)
    assert requests(output) == [[1, 2], [3]]
    await simulation.stop()


async def test_while_a_request_is_under_way_the_next_one_is_gathered(
    clock: ManualClock, simulation: Simulation
) -> None:
    outbox = MemoryOutbox([change(1, 1, "add")])
    output = ScriptedOutput(clock, limits=LIMITS)
    output.gate = asyncio.Event()
    forwarder = simulate(simulation, output, outbox)
    await until(lambda: output.requests)
    for sequence in (2, 3, 4):
        outbox.add(change(sequence, sequence, "add"))
        await read_while_gated(clock, forwarder, outbox)
    assert requests(output) == [[1]]
    output.gate.set()
    await simulation.run(0)
    assert requests(output) == [[1], [2, 3, 4]]
    await simulation.stop()


async def test_a_change_that_waits_is_undone_by_one_that_comes_later(
    clock: ManualClock, simulation: Simulation
) -> None:
    """Worked case 30 of the connections, the second change read later than the first."""
    outbox = MemoryOutbox([change(1, 1, "add")])
    output = ScriptedOutput(clock, limits=LIMITS)
    output.gate = asyncio.Event()
    forwarder = simulate(simulation, output, outbox)
    await until(lambda: output.requests)
    actions: list[Action] = ["delete", "add", "delete", "add"]
    for sequence, action in enumerate(actions, 2):
        outbox.add(change(sequence, 1, action))
        await read_while_gated(clock, forwarder, outbox)
    output.gate.set()
    await simulation.run(0)
    assert requests(output) == [[1]]
    assert outbox.waiting == {}
    await simulation.stop()


async def test_a_repeat_keeps_its_parts_and_others_pass(
    clock: ManualClock, simulation: Simulation
) -> None:
    fails = [True]
    outbox = MemoryOutbox(adds(3))
    output = ScriptedOutput(
        clock,
        lambda each: Retry("busy", 503) if fails and each.sequence <= 3 else Delivered(200),
        limits=LIMITS,
    )
    forwarder = simulate(simulation, output, outbox)
    await simulation.run(1)
    outbox.add(change(4, 2, "delete"), change(5, 5, "add"))
    forwarder.wake(0)
    await simulation.run(1)
    assert requests(output) == [[1, 2, 3], [5]]
    assert forwarder.state()["connections"]["subscription-1-1"]["blocked_users"] == 1
    fails.clear()
    await simulation.run(10)
    assert requests(output) == [[1, 2, 3], [5], [1, 2, 3], [4]]
    assert outbox.waiting == {}
    await simulation.stop()


async def test_a_rate_limit_spreads_requests(clock: ManualClock, simulation: Simulation) -> None:
    """A first load is throttled by the output's limit (spec/connections.md, 5)."""
    outbox = MemoryOutbox(adds(1000))
    output = ScriptedOutput(clock, limits=LIMITS)
    simulate(simulation, output, outbox, rate_limit=RateLimit(requests_per_second=1, burst=1))
    await simulation.run(4.5)
    assert [len(each) for each in requests(output)] == [100] * 5
    await simulation.run(20)
    assert outbox.waiting == {}
    assert len(output.requests) == 10
    await simulation.stop()


async def test_a_request_that_is_too_large_is_parted(
    clock: ManualClock, simulation: Simulation
) -> None:
    outbox = MemoryOutbox(adds(5))
    output = ScriptedOutput(clock, limits=LIMITS)
    most = 2

    async def send(deliveries: Any) -> list[Outcome]:
        await ScriptedOutput.send(output, deliveries)
        outcome = Split("large", 413) if len(deliveries) > most else Delivered(200)
        return [outcome] * len(deliveries)

    output.send = send  # type: ignore[method-assign]
    simulate(simulation, output, outbox)
    await simulation.run(1)
    assert [len(each) for each in requests(output)] == [5, 2, 2, 1]
    assert outbox.waiting == {}
    assert outbox.dead == []
    await simulation.stop()


async def test_a_request_stays_below_its_size(clock: ManualClock, simulation: Simulation) -> None:
    size = len(change(1, 1, "add").payload)
    outbox = MemoryOutbox(adds(5))
    output = ScriptedOutput(clock, limits=RequestLimits(max_bytes=2 * size, max_changes=100))
    simulate(simulation, output, outbox)
    await simulation.run(1)
    assert requests(output) == [[1, 2], [3, 4], [5]]
    await simulation.stop()


async def test_a_refusal_is_noted_as_a_fault_and_nothing_of_the_request_is_lost(
    clock: ManualClock, simulation: Simulation
) -> None:
    """Case 32 of the connections: what is sent after a resume is the net difference."""
    answers: list[Outcome] = [Fatal("fatal_response", "no", 401)]
    outbox = MemoryOutbox(adds(3))
    output = ScriptedOutput(
        clock, lambda _: answers[0] if answers else Delivered(200), limits=LIMITS
    )
    forwarder = simulate(simulation, output, outbox)
    await simulation.run(1)
    outbox.add(change(4, 2, "delete"))
    forwarder.wake(0)
    await simulation.run(3600)
    assert requests(output) == [[1, 2, 3]]
    answers.clear()
    forwarder.follow([followed(resumed=1)])
    await simulation.run(1)
    assert requests(output) == [[1, 2, 3], [1, 3]]
    assert outbox.waiting == {}
    await simulation.stop()


class SilentOutbox(MemoryOutbox):
    """Does not answer settlements, nor apply them, while it `is_silent`."""

    is_silent = True
    is_asked = False

    async def settle(self, settlement: Settlement) -> None:
        self.is_asked = True
        if self.is_silent:
            await asyncio.Event().wait()
        await super().settle(settlement)


async def test_a_kill_between_answer_and_acknowledgement_repeats_the_same_requests(
    clock: ManualClock, tmp_path: Path
) -> None:
    """Worked case 20, of requests with several changes; more has come in the meantime."""
    journal = tmp_path / "spool" / "requests.journal"
    outbox = SilentOutbox(adds(3))
    output = ScriptedOutput(clock, limits=LIMITS)
    killed = Simulation(clock)
    forwarder = simulate(killed, output, outbox, journal=journal)
    await until(lambda: outbox.is_asked)
    outbox.add(*adds(2, 4), change(6, 1, "delete"))
    clock.advance(READ_PAUSE_MS)
    forwarder.wake(0)
    await until(lambda: len(output.requests) == 2)
    await killed.kill()
    before = [body_id(sent) for _, sent in output.requests]
    assert requests(output) == [[1, 2, 3], [4, 5, 6]]

    outbox.is_silent = False
    outbox.add(change(7, 3, "delete"), change(8, 8, "add"))
    output.requests.clear()
    simulation = Simulation(clock)
    simulate(simulation, output, outbox, journal=journal)
    await simulation.run(5)
    assert [body_id(sent) for _, sent in output.requests][:2] == before
    assert sorted(requests(output)[2]) == [7, 8]
    assert outbox.waiting == {}
    await simulation.stop()


async def test_parts_that_are_gone_are_waited_for_a_second(
    clock: ManualClock, simulation: Simulation, tmp_path: Path
) -> None:
    """Erasure takes a user's changes out of the outbox while nobody delivers."""
    journal = Journal(tmp_path / "journal")
    journal.begin(Stream(MemoryOutbox(), 0, followed().info, lambda: None), [1, 2, 3])
    journal.close()
    outbox = MemoryOutbox([change(1, 1, "add"), change(3, 3, "add")])
    output = ScriptedOutput(clock, limits=LIMITS)
    simulate(simulation, output, outbox, journal=tmp_path / "journal")
    await simulation.run(0.9)
    assert requests(output) == []
    await simulation.run(0.2)
    assert requests(output) == [[1, 3]]
    await simulation.stop()


def test_a_journal_is_written_anew_with_what_may_still_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.forwarding.journal.REWRITE_BYTES", 200)
    path = tmp_path / "journal"
    journal = Journal(path)
    outbox = MemoryOutbox([change(1, 1, "add")])
    stream = Stream(outbox, 0, followed().info, lambda: None)
    asyncio.run(stream.read(10, 1000))  # the first is known, the others are settled
    for sequence in range(1, 100):
        journal.begin(stream, [sequence])
    journal.dissolve(stream, [99])
    journal.close()
    assert path.stat().st_size < 400
    path.write_bytes(path.read_bytes() + b"[12,3,[4")  # torn
    read = Journal(path)
    assert read.parts(stream, 1) == (1,)
    assert read.parts(stream, 2) is None
    assert read.parts(stream, 99) is None


def test_a_journal_that_is_not_written_is_bounded() -> None:
    journal = Journal(None)
    stream = Stream(MemoryOutbox(), 0, followed().info, lambda: None)
    for number in range(10_000):
        journal.begin(stream, [number])
    assert len(journal._written) <= 1000


async def test_changes_that_come_to_nothing_leave_nothing_behind(
    clock: ManualClock, simulation: Simulation
) -> None:
    """While nothing may be sent somebody comes and goes; then the age of what waits is shown."""
    outbox = MemoryOutbox([change(1, 1, "add")])
    output = ScriptedOutput(clock, limits=LIMITS)
    limit = RateLimit(requests_per_second=0.01, burst=1)
    forwarder = simulate(simulation, output, outbox, rate_limit=limit, poll_ms=1000)
    await simulation.run(1)
    for added in (change(2, 2, "add"), change(3, 2, "delete")):
        outbox.add(added)
        forwarder.wake(0)
        await simulation.run(1)
    await simulation.run(30)
    assert requests(output) == [[1]]
    assert outbox.waiting == {}
    await simulation.stop()


def test_a_journal_that_cannot_be_written_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    journal = Journal(tmp_path / "file" / "journal")
    stream = Stream(MemoryOutbox(), 0, followed().info, lambda: None)
    journal.begin(stream, [1])
    journal.begin(stream, [2])
    assert len(caplog.records) == 1


def test_several_changes_are_one_message_with_an_id_of_its_parts() -> None:
    parts = [change(1, 1, "add"), change(2, 2, "delete")]
    message = decode(together(parts, body_id(parts)))
    assert message.id == body_id(parts) != body_id(parts[:1])
    assert [(each.mpid, each.action) for each in message.changes] == [(1, "add"), (2, "delete")]
    assert together(parts[:1], body_id(parts[:1])) == parts[0].payload
    assert encode(message).startswith(b'{"type":"audience_membership_change","id":"dl_')


USERS = 5


@settings(max_examples=60, deadline=None)
@given(st.data())
async def test_whatever_happens_the_receiver_has_the_members_and_repeats_are_equal(
    data: st.DataObject,
) -> None:
    """Changes of few users, failures and kills at any time."""
    clock = ManualClock()
    members: set[int] = set()
    outbox, sequence, fails = MemoryOutbox(), 0, [False]
    output = ScriptedOutput(
        clock, lambda _: Retry("busy", 503) if fails[0] else Delivered(200), limits=LIMITS
    )
    with TemporaryDirectory() as folder:
        journal = Path(folder) / "journal"
        simulation = Simulation(clock)
        forwarder = simulate(simulation, output, outbox, journal=journal)
        for _ in range(data.draw(st.integers(1, 12))):
            match data.draw(st.sampled_from(["change", "change", "fail", "lose", "kill", "time"])):
                case "change":
                    for user in data.draw(st.lists(st.integers(1, USERS), max_size=6)):
                        sequence += 1
                        outbox.add(change(sequence, user, "delete" if user in members else "add"))
                        members ^= {user}
                    forwarder.wake(0)
                case "fail":
                    fails[0] = not fails[0]
                case "lose":
                    outbox.loses_settlements = not outbox.loses_settlements
                case "kill":
                    await simulation.kill()
                    simulation = Simulation(clock)
                    forwarder = simulate(simulation, output, outbox, journal=journal)
                case "time":
                    pass
            await simulation.run(data.draw(st.sampled_from([0, 0.1, 15])))
        fails[0] = outbox.loses_settlements = False
        await simulation.run(3600)
        assert outbox.waiting == {}
        await simulation.stop()
    told: set[int] = set()
    for each in output.delivered:
        [made] = decode(each.payload).changes
        told = told | {made.mpid} if made.action == "add" else told - {made.mpid}
    assert told == members
    for _, sent in output.requests:
        assert max(Counter(each.mpid for each in sent).values()) == 1
