"""What waits for its retry lets the rest of its connection go on (spec/connections.md, 3.4)."""

from collections import Counter
from collections.abc import Sequence

import pytest

from actors.clock import ManualClock
from actors.forwarder import Forwarder
from actors.forwarding import connections
from actors.forwarding.connections import MIN_SHARE, MIN_SHARE_BYTES
from actors.forwarding.pace import BreakerLimits
from actors.model.deliveries import Delivery
from actors.outputs.contract import Delivered, Outcome, RequestLimits, Retry
from tests.actors.forwarding.support import (
    MemoryOutbox,
    ScriptedOutput,
    Simulation,
    connection,
    delivery,
)

CONNECTIONS = 40  # of which each may have the least that there is
LAST = 10_000
NEVER_OPEN = BreakerLimits(failures=10**9)


class Ill:
    """Takes nothing of some users, until they are well."""

    def __init__(self, *users: int | None) -> None:
        self.users = set(users)

    def __call__(self, each: Delivery) -> Outcome:
        """Answer a delivery."""
        return Retry("no", 503) if each.mpid in self.users else Delivered(200)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def simulation(clock: ManualClock) -> Simulation:
    return Simulation(clock)


def of_users(count: int, *users: int | None, size: int = 10) -> MemoryOutbox:
    """Return an outbox with so many deliveries of each of some users in turn, and one of user 9."""
    made = [
        delivery(turn * len(users) + place + 1, user, payload=b"x" * size)
        for turn in range(count)
        for place, user in enumerate(users)
    ]
    return MemoryOutbox([*made, delivery(LAST, 9)])


def start(simulation: Simulation, output: ScriptedOutput, shard: MemoryOutbox) -> Forwarder:
    infos = [connection(number) for number in range(1, CONNECTIONS + 1)]
    return simulation.start(output, [shard], infos, breaker=NEVER_OPEN)


def in_memory(forwarder: Forwarder) -> tuple[int, int]:
    state = forwarder.state()["connections"]["c1"]
    return state["in_memory"], state["in_memory_bytes"]


@pytest.mark.parametrize(
    ("count", "users", "size"),
    [
        pytest.param(600, [1], 10, id="one whose order was given up"),
        pytest.param(190, [1, 2, 3], 10, id="some whose order is kept"),
        pytest.param(30, [1, 2], MIN_SHARE_BYTES // 20, id="few with large payloads"),
    ],
)
async def test_users_who_keep_failing_do_not_hold_up_the_others_of_their_connection(
    clock: ManualClock, simulation: Simulation, count: int, users: list[int], size: int
) -> None:
    shard = of_users(count, *users, size=size)
    output = ScriptedOutput(clock, Ill(*users))
    forwarder = start(simulation, output, shard)
    await simulation.run(15)
    assert [each.sequence for each in output.delivered] == [LAST]
    kept, kept_bytes = in_memory(forwarder)
    assert kept <= MIN_SHARE // 2
    assert kept_bytes <= MIN_SHARE_BYTES // 2
    await simulation.stop()


async def test_what_was_parked_is_sent_whole_once_and_in_order(
    clock: ManualClock, simulation: Simulation
) -> None:
    shard = of_users(190, 1, 2, 3)
    ill = Ill(1, 2, 3)
    output = ScriptedOutput(clock, ill, RequestLimits(max_deliveries=7))
    forwarder = start(simulation, output, shard)
    await simulation.run(60)
    ill.users = set()
    await simulation.run(60)
    assert shard.waiting == {}
    assert in_memory(forwarder) == (0, 0)
    assert all(each.payload == b"x" * 10 for each in output.delivered if each.mpid != 9)
    for user in (1, 2, 3):
        of_user = [each.sequence for each in output.delivered if each.mpid == user]
        assert of_user == list(range(user, 571, 3))
    await simulation.stop()


async def test_how_much_is_parked_is_bounded(
    clock: ManualClock, simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    parked = 300
    monkeypatch.setattr(connections, "PARKED", parked)
    monkeypatch.setattr(connections, "MIN_PARKED", parked)
    most = parked + MIN_SHARE
    shard = of_users(most + 200, 1)
    output = ScriptedOutput(clock, Ill(1))
    forwarder = start(simulation, output, shard)
    await simulation.run(15)
    assert MIN_SHARE < len(set(output.sequences)) <= most
    assert in_memory(forwarder)[0] <= MIN_SHARE
    await simulation.stop()


async def test_what_was_erased_while_it_was_parked_is_not_sent(
    clock: ManualClock, simulation: Simulation
) -> None:
    """Even if nobody has told the forwarder."""
    shard = of_users(190, 1, 2, 3)
    ill = Ill(1, 2, 3)
    output = ScriptedOutput(clock, ill)
    forwarder = start(simulation, output, shard)
    await simulation.run(60)
    erased = [each for each in range(300, 310) if each % 3]  # of user 3 is in memory what is left
    for sequence in erased:
        del shard.waiting[1, sequence]
    ill.users = set()
    await simulation.run(60)
    assert Counter(each.sequence for each in output.delivered) == Counter(
        [*(each for each in range(1, 571) if each not in erased), LAST]
    )
    assert shard.waiting == {}
    assert in_memory(forwarder) == (0, 0)
    await simulation.stop()


async def test_a_shard_that_does_not_answer_when_something_is_due_is_read_again_in_order(
    clock: ManualClock, simulation: Simulation
) -> None:
    shard = of_users(190, 1, 2, 3)
    ill = Ill(1, 2, 3)
    output = ScriptedOutput(clock, ill, RequestLimits(max_deliveries=7))
    forwarder = start(simulation, output, shard)
    await simulation.run(60)
    shard.is_available = False
    ill.users = set()
    await simulation.run(60)
    assert shard.waiting
    shard.is_available = True
    await simulation.run(60)
    assert shard.waiting == {}
    assert in_memory(forwarder) == (0, 0)
    for user in (1, 2, 3):
        of_user = [each.sequence for each in output.delivered if each.mpid == user]
        assert of_user == list(range(user, 571, 3))
    await simulation.stop()


@pytest.mark.parametrize("is_full", [False, True], ids=["is written", "cannot be written"])
async def test_attempts_of_what_was_parked_are_counted_on(
    clock: ManualClock, simulation: Simulation, is_full: bool
) -> None:
    """What is read again from the outbox may be older than what it has to be told."""
    shard = of_users(MIN_SHARE, None)
    shard.is_full = is_full
    output = ScriptedOutput(clock, lambda each: Retry("no", 503))
    forwarder = start(simulation, output, shard)
    await simulation.run(35)
    assert in_memory(forwarder)[0] <= MIN_SHARE // 2
    tries: dict[int, list[int]] = {}
    for _, sent in output.requests:
        for each in sent:
            tries.setdefault(each.sequence, []).append(each.attempts)
    assert all(each == [0, 1, 2] for each in tries.values())
    assert len(tries) >= MIN_SHARE
    shard.is_full = False
    await simulation.run(60)
    await simulation.stop()


async def test_what_was_parked_is_let_go_of_with_its_connection(
    clock: ManualClock, simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Again and again: what is let go of must count no more."""
    for name in ("PARKED", "MIN_PARKED"):
        monkeypatch.setattr(connections, name, 600)
    shard = of_users(190, 1, 2, None)
    ill = Ill(1, 2, None)
    output = ScriptedOutput(clock, ill)
    forwarder = start(simulation, output, shard)
    infos = [connection(number) for number in range(2, CONNECTIONS + 1)]
    for _ in range(5):
        await simulation.run(60)
        assert 0 < in_memory(forwarder)[0] <= MIN_SHARE // 2
        forwarder.connect([connection(is_active=False), *infos])
        await simulation.run(60)
        assert in_memory(forwarder) == (0, 0)
        forwarder.connect([connection(), *infos])
    ill.users = set()
    await simulation.run(3600)
    assert shard.waiting == {}
    for user in (1, 2):
        of_user = [each.sequence for each in output.delivered if each.mpid == user]
        assert of_user == list(range(user, 571, 3))
    await simulation.stop()


async def test_one_stream_that_fails_leaves_as_much_parking_free_as_it_has(
    clock: ManualClock, simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PARKED", 600)
    monkeypatch.setattr(connections, "MIN_PARKED", 10)
    shard = of_users(3 * MIN_SHARE, None)
    output = ScriptedOutput(clock, Ill(None))
    forwarder = start(simulation, output, shard)
    await simulation.run(5)
    kept = in_memory(forwarder)[0]
    assert MIN_SHARE // 2 < kept <= MIN_SHARE
    assert len(output.sequences) - kept == pytest.approx(300, abs=2)
    shard.add(*(delivery(LAST + n, None, connection=2) for n in range(1, 400)))
    forwarder.wake(0)
    await simulation.run(5)
    others = forwarder.state()["connections"]["c2"]["in_memory"]
    assert others <= MIN_SHARE // 2  # it could park as well
    await simulation.stop()


@pytest.mark.parametrize(
    ("breaker", "settled"),
    [
        pytest.param(NEVER_OPEN, 0, id="at once, without a breaker"),
        # Half of what had not failed before fails the first time: enough in a row now and then.
        pytest.param(BreakerLimits(), 1800, id="once all have failed who do, with one"),
    ],
)
async def test_no_well_user_waits_for_one_who_always_fails(
    clock: ManualClock,
    simulation: Simulation,
    monkeypatch: pytest.MonkeyPatch,
    breaker: BreakerLimits,
    settled: int,
) -> None:
    """Every second one of 600 does, for an hour, and all of them do something every 6 minutes.

    With a fiftieth of the memory that there is.
    """
    for name in ("WINDOW", "WINDOW_BYTES", "MIN_SHARE", "PARKED", "MIN_PARKED"):
        monkeypatch.setattr(connections, name, getattr(connections, name) // 50)
    users = range(1, 601)
    shard = MemoryOutbox()
    arrived_ms: dict[int, int] = {}

    def answer(each: Delivery) -> Outcome:
        if (each.mpid or 0) % 2:
            return Retry("no", 500)
        arrived_ms[each.sequence] = clock.now_ms()
        return Delivered(200)

    output = ScriptedOutput(clock, answer)
    forwarder = simulation.start(output, [shard], breaker=breaker)
    added_ms: dict[int, int] = {}
    for sequence in range(1, 6001):
        user = users[sequence % 600]
        shard.add(delivery(sequence, user))
        if user % 2 == 0:
            added_ms[sequence] = clock.now_ms()
        if sequence % 10 == 0:
            forwarder.wake(0)
            await simulation.run(6)
    await simulation.run(60)
    assert arrived_ms.keys() == added_ms.keys()
    waited_ms = [arrived_ms[each] - at_ms for each, at_ms in added_ms.items() if each > settled]
    assert max(waited_ms) <= 60_000
    assert len(shard.waiting) == 3000
    await simulation.stop()


class Refusing:
    """Takes what has nobody of some users in it, and has one answer for all that it is sent."""

    def __init__(self, clock: ManualClock, ill: range, most: int) -> None:
        self.limits = RequestLimits(max_deliveries=most)
        self.arrived_ms: dict[int, int] = {}
        self._clock = clock
        self._ill = ill

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        """Nothing to do."""

    async def test(self) -> Outcome:
        return Delivered()

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        if any(each.mpid in self._ill for each in deliveries):
            return [Retry("no", 500)] * len(deliveries)
        self.arrived_ms.update((each.sequence, self._clock.now_ms()) for each in deliveries)
        return [Delivered(200)] * len(deliveries)


@pytest.mark.parametrize("most", [1, 10])
async def test_well_users_who_come_after_hours_of_failures_alone_are_sent_to(
    clock: ManualClock, simulation: Simulation, most: int
) -> None:
    """Twenty always fail, and do something every 6 minutes; ten well ones do every minute."""
    output = Refusing(clock, range(1, 21), most)
    shard = MemoryOutbox()
    forwarder = simulation.start(output, [shard], max_in_flight=4)
    added_ms: dict[int, int] = {}
    sequence = 0
    for minute in range(240):
        ill = range(1, 21) if minute % 6 == 0 else ()
        well = range(101, 111) if minute >= 120 else ()
        for user in (*ill, *well):
            sequence += 1
            shard.add(delivery(sequence, user))
            if user in well:
                added_ms[sequence] = clock.now_ms()
        forwarder.wake(0)
        await simulation.run(60)
    assert output.arrived_ms.keys() == added_ms.keys()
    assert max(output.arrived_ms[each] - at_ms for each, at_ms in added_ms.items()) <= 60_000
    await simulation.stop()


@pytest.mark.parametrize("ill", [range(1, 301), range(11, 311)], ids=["before", "after"])
@pytest.mark.parametrize("most", [1, 10])
async def test_well_users_wait_minutes_for_many_to_fail(
    clock: ManualClock, simulation: Simulation, ill: range, most: int
) -> None:
    """Three hundred with ten of them: one well user after whom others are sent to is enough."""
    output = Refusing(clock, ill, most)
    shard = MemoryOutbox([delivery(user, user) for user in range(1, 311)])
    simulation.start(output, [shard])
    await simulation.run(180)
    assert output.arrived_ms.keys() == set(range(1, 311)) - set(ill)
    await simulation.stop()
