"""What is erased from an outbox is let go of by its forwarder (spec/privacy.md, 5.2, row 6)."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.clock import ManualClock
from actors.forwarder import Forwarder
from actors.forwarding.holding import HOLD_SWEEP_MS
from actors.model.deliveries import Delivery
from actors.outputs.contract import Delivered, Outcome, RequestLimits, Retry
from actors.outputs.retry import RetrySchedule
from tests.actors.forwarding.support import (
    NUMBER,
    MemoryOutbox,
    ScriptedOutput,
    Simulation,
    change,
    connection,
    delivery,
    followed,
    until,
)
from tests.actors.forwarding.test_bundles import ListBundle, ListOutput

LATER = 3600.0
ONCE = RetrySchedule(base_s=10, cap_s=900, jitter=0, max_age_s=0, min_attempts=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def simulation(clock: ManualClock) -> Simulation:
    return Simulation(clock)


class SlowOutbox(MemoryOutbox):
    """Its answers are under way for as long as a gate is closed."""

    def __init__(self, deliveries: Sequence[Delivery] = ()) -> None:
        super().__init__(deliveries)
        self.gate = asyncio.Event()
        self.gate.set()
        self.is_answering = False

    async def read(self, *arguments: Any) -> list[Delivery]:
        """Return what was there before the gate opened."""
        found = await super().read(*arguments)
        self.is_answering = True
        await self.gate.wait()
        self.is_answering = False
        return found


async def erase(forwarder: Forwarder, outbox: MemoryOutbox, *sequences: int) -> None:
    """Erase deliveries, as the stage of an erasure does, and have the forwarder told."""
    for key in [each for each in outbox.waiting if each[1] in sequences]:
        del outbox.waiting[key]
    await forwarder.reread()
    await asyncio.sleep(0)  # what was being begun


# -- Requests -------------------------------------------------------------------------------------


async def test_what_was_under_way_is_not_sent_once_more(
    clock: ManualClock, simulation: Simulation
) -> None:
    """And what waits behind one that is still there does not overtake it."""
    outbox = MemoryOutbox([delivery(1), delivery(2), delivery(3, mpid=2), delivery(4, mpid=2)])
    failing = {1, 3}

    def answer(each: Delivery) -> Outcome:
        if each.sequence not in failing:
            return Delivered(200)
        failing.remove(each.sequence)
        return Retry("no", 503)

    output = ScriptedOutput(clock, answer)
    output.gate = asyncio.Event()
    forwarder = simulation.start(output, [outbox])
    await until(lambda: sorted(output.sequences) == [1, 3])
    await erase(forwarder, outbox, 1, 2)
    output.gate.set()
    await simulation.run(LATER)
    await simulation.stop()
    assert sorted(output.sequences[:2]) == [1, 3]
    assert output.sequences[2:] == [3, 4]
    assert outbox.waiting == {}


async def test_what_waits_for_its_retry_is_let_go_of(
    clock: ManualClock, simulation: Simulation
) -> None:
    outbox = MemoryOutbox([delivery(1), delivery(2, mpid=2)])
    output = ScriptedOutput(clock, lambda each: Retry("no", 503))
    forwarder = simulation.start(output, [outbox])
    await simulation.run(1)
    assert sorted(output.sequences) == [1, 2]
    await erase(forwarder, outbox, 1)
    await simulation.run(15)
    assert output.sequences[2:] == [2]
    assert [each.attempts for each in outbox.waiting.values()] == [2]
    await simulation.stop()


async def test_a_request_that_waits_for_more_is_taken_apart(
    clock: ManualClock, simulation: Simulation
) -> None:
    outbox = MemoryOutbox([delivery(1), delivery(2, mpid=2)])
    output = ScriptedOutput(clock, limits=RequestLimits(10, max_wait_ms=60_000))
    forwarder = simulation.start(output, [outbox])
    await simulation.run(1)
    assert output.requests == []
    await erase(forwarder, outbox, 1)
    await simulation.run(120)
    assert output.sequences == [2]
    await simulation.stop()


async def test_a_connection_that_is_switched_off_sends_nothing_of_a_request_that_waits_for_more(
    clock: ManualClock, simulation: Simulation
) -> None:
    """spec/connections.md, 1.3: what is queued is held."""
    outbox = MemoryOutbox([delivery(1), delivery(2)])
    output = ScriptedOutput(clock, limits=RequestLimits(10, max_wait_ms=60_000))
    forwarder = simulation.start(output, [outbox])
    await simulation.run(1)
    forwarder.connect([])
    await simulation.run(120)
    assert output.requests == []
    assert len(outbox.waiting) == 2
    assert forwarder.state()["connections"]["c1"]["in_memory"] == 0
    await simulation.stop()


async def test_what_a_shard_answered_before_is_not_taken(
    clock: ManualClock, simulation: Simulation
) -> None:
    outbox = SlowOutbox([delivery(1), delivery(2, mpid=2)])
    outbox.gate.clear()
    output = ScriptedOutput(clock)
    forwarder = simulation.start(output, [outbox])
    await until(lambda: outbox.is_answering)
    await erase(forwarder, outbox, 1)
    outbox.gate.set()
    await simulation.run(60)
    assert output.sequences == [2]
    await simulation.stop()


async def test_a_request_about_an_audience_keeps_the_parts_that_are_left(
    clock: ManualClock, simulation: Simulation
) -> None:
    """One of which nothing is gone keeps its id (spec/connections.md, case 20)."""
    outbox = MemoryOutbox([change(n, n, "add") for n in (1, 2, 3)])
    outbox.add(*(change(n, n, "add", number=NUMBER + 1) for n in (11, 12)))
    output = ScriptedOutput(clock, lambda each: Retry("no", 503), RequestLimits(max_changes=10))
    forwarder = simulation.start(output, [outbox], [])
    forwarder.follow([followed(), followed(number=NUMBER + 1)])
    await simulation.run(0)
    outbox.add(*(change(n, n, "add", number=NUMBER + 1) for n in (13,)))
    await erase(forwarder, outbox, 2)
    await simulation.run(10)
    sent = [[each.sequence for each in request] for _, request in output.requests]
    assert sorted(sent[:2]) == [[1, 2, 3], [11, 12]]
    assert sorted(sent[2:]) == [[1, 3], [11, 12], [13]]
    await simulation.stop()


# -- What is read again --------------------------------------------------------------------------


async def test_what_is_settled_while_it_is_read_again_is_not_taken_for_new(
    clock: ManualClock, simulation: Simulation
) -> None:
    """A dead letter would be sent once more."""
    outbox = SlowOutbox([delivery(1)])
    output = ScriptedOutput(clock, lambda each: Retry("no", 503))
    output.gate = asyncio.Event()
    forwarder = simulation.start(output, [outbox], schedule=ONCE)
    await until(lambda: output.sequences == [1])
    outbox.gate.clear()
    await forwarder.reread()
    clock.advance(60)
    forwarder.wake(0)
    await until(lambda: outbox.is_answering)
    output.gate.set()
    await until(lambda: outbox.dead)
    outbox.gate.set()
    await simulation.run(60)
    assert output.sequences == [1]
    await simulation.stop()


async def test_what_is_being_read_does_not_overtake_what_is_let_go_of(
    clock: ManualClock, simulation: Simulation
) -> None:
    """A connection is switched off and on again before a shard answers."""
    outbox = SlowOutbox([delivery(1)])
    answers = iter([Retry("no", 503)])
    output = ScriptedOutput(clock, lambda each: next(answers, Delivered(200)))
    output.gate = asyncio.Event()
    forwarder = simulation.start(output, [outbox])
    await until(lambda: output.sequences == [1])
    outbox.gate.clear()
    outbox.add(delivery(2))
    clock.advance(60)
    forwarder.wake(0)
    await until(lambda: outbox.is_answering)
    forwarder.connect([])
    output.gate.set()
    await until(lambda: forwarder.state()["in_flight"] == 0)
    forwarder.connect([connection()])
    outbox.gate.set()
    await simulation.run(60)
    assert output.sequences == [1, 1, 2]
    await simulation.stop()


# -- Uploads --------------------------------------------------------------------------------------


class GatedBundle(ListBundle):
    """Waits in `add` and `send` where its output has it wait."""

    def __init__(self, output: "GatedOutput") -> None:
        super().__init__(output)
        self._gated = output
        self.is_lost = False

    async def add(self, deliveries: Sequence[Delivery]) -> int:
        self._gated.adding += 1
        await self._gated.add_gate.wait()
        return await super().add(deliveries)

    async def send(self) -> Outcome:
        sequences = [each.sequence for each in self._taken]
        self._gated.begun.append(sequences)
        for _ in range(self._gated.chance.randrange(4)):
            await asyncio.sleep(0)
        await self._gated.send_gate.wait()
        if self._gated.failures:
            self._gated.failures -= 1
            self.is_lost = self._gated.chance.random() < self._gated.lost_share
            return Retry("no", 503, is_lost=self.is_lost)
        assert not self.is_lost, "what is lost is not sent"
        return await super().send()

    async def discard(self) -> None:
        for _ in range(self._gated.chance.randrange(4)):
            await asyncio.sleep(0)


class GatedOutput(ListOutput):
    """A bulk output that can be made to wait, and to fail some times."""

    def __init__(
        self, failures: int = 0, max_rows: int = 2, seed: int = 0, lost_share: float = 0
    ) -> None:
        """`lost_share`: how many of the failures lose what the bundle had."""
        super().__init__(max_rows=max_rows)
        self.failures = failures
        self.lost_share = lost_share
        self.begun: list[list[int]] = []
        self.adding = 0
        self.chance = random.Random(seed)
        self.add_gate, self.send_gate = asyncio.Event(), asyncio.Event()
        self.add_gate.set()
        self.send_gate.set()

    def open_bundle(self, input_id: str, group: str, first: Delivery) -> GatedBundle:
        return GatedBundle(self)


class GatedOutbox(MemoryOutbox):
    """An outbox whose reads can be made to wait."""

    def __init__(self, deliveries: Sequence[Delivery]) -> None:
        super().__init__(deliveries)
        self.gate = asyncio.Event()
        self.gate.set()

    async def read(self, *place: int) -> list[Delivery]:
        await self.gate.wait()
        return await super().read(*place)


async def test_bundles_that_wait_are_filled_anew(
    clock: ManualClock, simulation: Simulation
) -> None:
    outbox = MemoryOutbox([delivery(n) for n in (1, 2, 3)])
    output = GatedOutput(max_rows=10)
    forwarder = simulation.start(output, [outbox])
    await simulation.run(0.1)
    await erase(forwarder, outbox, 2)
    await simulation.run(60)
    assert output.begun == [[1, 3]]
    await simulation.stop()


async def test_an_upload_that_has_to_be_repeated_is_filled_anew(
    clock: ManualClock, simulation: Simulation
) -> None:
    """And so is all that waits behind it, so that the order is kept."""
    outbox = MemoryOutbox([delivery(n) for n in range(1, 6)])
    output = GatedOutput(failures=1)
    output.send_gate.clear()
    forwarder = simulation.start(output, [outbox])
    await until(lambda: output.begun == [[1, 2]])
    await erase(forwarder, outbox, 2, 4)
    output.send_gate.set()
    await simulation.run(LATER)
    assert output.begun[1:] == [[1, 3], [5]]
    assert outbox.waiting == {}
    await simulation.stop()


async def test_an_upload_that_lost_what_it_had_is_filled_anew_and_tried_on_its_schedule(
    clock: ManualClock, simulation: Simulation
) -> None:
    """It begins with the same delivery, so that it gets the same name; others are left alone."""
    outbox = MemoryOutbox([delivery(n, mpid=1 if n < 6 else 2) for n in range(1, 8)])
    output = GatedOutput(failures=1, lost_share=1)
    output.send_gate.clear()
    simulation.start(output, [outbox], max_in_flight=1)
    await until(lambda: output.begun == [[1, 2]])
    output.send_gate.set()
    await simulation.run(9)
    assert output.begun == [[1, 2], [6, 7]]
    assert outbox.waiting[1, 1].attempts == 1
    await simulation.run(LATER)
    assert output.begun[2:] == [[1, 2], [3, 4], [5]]
    assert outbox.waiting == {}
    await simulation.stop()


async def test_what_is_being_read_does_not_overtake_an_upload_that_lost_what_it_had(
    clock: ManualClock, simulation: Simulation
) -> None:
    outbox = SlowOutbox([delivery(n) for n in (1, 2)])
    output = GatedOutput(failures=1, lost_share=1)
    output.send_gate.clear()
    forwarder = simulation.start(output, [outbox])
    await until(lambda: output.begun == [[1, 2]])
    outbox.gate.clear()
    outbox.add(delivery(3), delivery(4))
    clock.advance(100)
    forwarder.wake(0)
    await until(lambda: outbox.is_answering)
    output.send_gate.set()
    await until(lambda: forwarder.state()["in_flight"] == 0)
    outbox.gate.set()
    await simulation.run(LATER)
    assert output.begun == [[1, 2], [1, 2], [3, 4]]
    assert outbox.waiting == {}
    await simulation.stop()


async def test_what_is_being_put_into_bundles_is_let_go_of(
    clock: ManualClock, simulation: Simulation
) -> None:
    outbox = MemoryOutbox([delivery(n, mpid=n % 2) for n in range(1, 9)])
    output = GatedOutput()
    output.add_gate.clear()
    forwarder = simulation.start(output, [outbox])
    await until(lambda: output.adding)
    await erase(forwarder, outbox, 1, 3, 6)
    output.add_gate.set()
    await simulation.run(60)
    assert sorted(output.begun) == [[2, 4], [5, 7], [8]]
    assert outbox.waiting == {}
    await simulation.stop()


async def test_bundles_are_filled_anew_although_it_was_just_looked_for_what_is_overdue(
    clock: ManualClock, simulation: Simulation
) -> None:
    """Which is done where an environment is off."""

    outbox = GatedOutbox([delivery(n) for n in (1, 2, 3)])
    output = GatedOutput(max_rows=10)
    output.max_wait_ms = 2 * HOLD_SWEEP_MS
    forwarder = simulation.start({"production": output}, [outbox])
    await simulation.run(HOLD_SWEEP_MS / 1000 - 1)
    outbox.gate.clear()
    clock.advance(1000)
    forwarder.wake(0)
    for _ in range(10):
        await asyncio.sleep(0)
    await erase(forwarder, outbox, 2)
    outbox.gate.set()
    await simulation.run(4 * HOLD_SWEEP_MS / 1000)
    assert output.begun == [[1, 3]]
    assert outbox.waiting == {}
    await simulation.stop()


async def test_an_upload_that_fails_while_it_is_looked_for_what_is_overdue_is_filled_anew(
    clock: ManualClock, simulation: Simulation
) -> None:
    """Also if the erasure was before both."""
    outbox = GatedOutbox([delivery(n) for n in (1, 2, 3)])
    output = GatedOutput(failures=1, max_rows=10)
    output.max_wait_ms = HOLD_SWEEP_MS - 5000
    forwarder = simulation.start({"production": output}, [outbox])
    await simulation.run((HOLD_SWEEP_MS - 6000) / 1000)
    output.send_gate.clear()
    clock.advance(2000)
    forwarder.wake(0)
    await until(lambda: output.begun == [[1, 2, 3]])
    await erase(forwarder, outbox, 2)
    outbox.gate.clear()
    clock.advance(4000)
    forwarder.wake(0)
    for _ in range(10):
        await asyncio.sleep(0)
    output.send_gate.set()
    for _ in range(10):
        await asyncio.sleep(0)
    outbox.gate.set()
    await simulation.run(2 * HOLD_SWEEP_MS / 1000)
    assert output.begun[1:] == [[1, 3]]
    assert outbox.waiting == {}
    await simulation.stop()


# -- Whatever happens -----------------------------------------------------------------------------


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    users=st.lists(st.integers(1, 4), min_size=1, max_size=40),
    erasures=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 4)), max_size=3),
    seed=st.integers(0, 2**32),
    is_bulk=st.booleans(),
)
async def test_nothing_of_an_erased_user_is_sent_later_and_of_others_everything_in_order(
    users: list[int], erasures: list[tuple[int, int]], seed: int, is_bulk: bool
) -> None:
    clock = ManualClock()
    chance = random.Random(seed)

    def answer(each: Delivery) -> Outcome:
        return Retry("no", 503) if chance.random() < 0.3 else Delivered(200)

    outbox = MemoryOutbox([delivery(n, mpid=user) for n, user in enumerate(users, 1)])
    output: GatedOutput | ScriptedOutput
    if is_bulk:
        failures = chance.randrange(6)
        output = GatedOutput(failures, max_rows=3, seed=seed, lost_share=0.5)
        begun: list[list[int]] = output.begun
    else:
        limits = RequestLimits(chance.choice((1, 3)), max_wait_ms=chance.choice((0, 500)))
        output = ScriptedOutput(clock, answer, limits, turns=lambda: chance.randrange(5))
        begun = []
        single = output.send

        async def send(deliveries: Any) -> list[Outcome]:
            begun.append([each.sequence for each in deliveries])
            return await single(deliveries)

        output.send = send  # type: ignore[method-assign]
    simulation = Simulation(clock)
    forwarder = simulation.start(output, [outbox])
    gone: set[int] = set()
    for turns, user in erasures:
        if turns % 2:
            await simulation.run(turns / 10)
        for _ in range(turns):
            await asyncio.sleep(0)
        erased = {n for n, whose in enumerate(users, 1) if whose == user}
        await erase(forwarder, outbox, *erased)
        gone |= erased
        before = len(begun)
        for _ in range(5):
            await asyncio.sleep(0)
        assert gone.isdisjoint(each for request in begun[before:] for each in request)
    before = len(begun)
    await simulation.run(86_400)
    assert gone.isdisjoint(each for request in begun[before:] for each in request)
    await simulation.stop()
    assert outbox.waiting == {}
    assert outbox.dead == []
    sent = [each for request in begun for each in request]
    assert {*sent, *gone} == set(range(1, len(users) + 1))
    for user in set(users):
        mine = list(dict.fromkeys(each for each in sent if users[each - 1] == user))
        assert mine == sorted(mine)
    for state in forwarder.state()["connections"].values():
        assert (state["in_memory"], state["in_memory_bytes"]) == (0, 0)
