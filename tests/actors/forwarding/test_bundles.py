"""Bundles take turns, and mistakes of their output cost the delivery that shows them alone."""

import asyncio
import errno
import logging
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.clock import ManualClock
from actors.forwarding.intake import READ_PAGE
from actors.forwarding.pace import BreakerLimits, RateLimit
from actors.model.deliveries import Delivery
from actors.outputs.contract import Delivered, Fatal, Outcome, Refused, Retry, Split
from actors.outputs.retry import RetrySchedule
from tests.actors.forwarding.support import (
    NUMBER,
    MemoryOutbox,
    Simulation,
    change,
    connection,
    delivery,
    followed,
    until,
)

Check = Callable[[Delivery], None]
DAY_S = 86_400


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def fine(_: Delivery) -> None:
    """No mistake."""


class ListBundle:
    """Collects deliveries; what was written before a mistake stays in it."""

    def __init__(self, output: "ListOutput") -> None:
        self._output = output
        self._taken: list[Delivery] = []

    @property
    def is_full(self) -> bool:
        return len(self._taken) >= self._output.max_rows

    async def add(self, deliveries: Sequence[Delivery]) -> int:
        for index, each in enumerate(deliveries):
            if self.is_full:
                return index
            self._taken.append(each)
            self._output.on_add(each)
        return len(deliveries)

    async def send(self) -> Outcome:
        self._output.sent.append([each.sequence for each in self._taken])
        return Delivered()

    async def discard(self) -> None:
        self._output.on_discard()


class ListOutput:
    """A bulk output with a mistake in it; groups are users."""

    max_wait_ms = 1000

    def __init__(
        self, on_group: Check = fine, on_open: Check = fine, on_add: Check = fine, max_rows: int = 5
    ) -> None:
        self.on_add = on_add
        self.max_rows = max_rows
        self.sent: list[list[int]] = []
        self._on_group = on_group
        self._on_open = on_open

    @property
    def arrived(self) -> list[int]:
        """The sequences of all that was sent, in order."""
        return [each for bundle in self.sent for each in bundle]

    def on_discard(self) -> None:
        """Nothing to do."""

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        """Nothing to do."""

    async def test(self) -> Outcome:
        return Delivered()

    def group(self, delivery: Delivery) -> str:
        self._on_group(delivery)
        return str(delivery.mpid)

    def open_bundle(self, input_id: str, group: str, first: Delivery) -> ListBundle:
        self._on_open(first)
        return ListBundle(self)


def refusing(*sequences: int) -> Check:
    """Make a mistake that shows with some deliveries only."""

    def check(each: Delivery) -> None:
        if each.sequence in sequences:
            raise KeyError("jane@example.com")

    return check


async def run(output: ListOutput, shard: MemoryOutbox) -> None:
    simulation = Simulation(ManualClock())
    simulation.start(output, [shard])
    await simulation.run(60)
    await simulation.stop()


@pytest.mark.parametrize(
    ("max_wait_ms", "pause_ms"),
    [
        pytest.param(1000, 100, id="a tenth of the time that a bundle waits"),
        pytest.param(100, 50, id="as often as another output"),
        pytest.param(600_000, 500, id="every half second"),
    ],
)
async def test_a_shard_that_has_a_little_all_the_time_is_read_now_and_then(
    max_wait_ms: int, pause_ms: int
) -> None:
    """What waits for its bundle can as well wait in the outbox."""
    shard = MemoryOutbox()
    output = ListOutput(max_rows=1000)
    output.max_wait_ms = max_wait_ms
    simulation = Simulation(ManualClock())
    forwarder = simulation.start(output, [shard])
    for number in range(1, 401):
        shard.add(delivery(number))
        forwarder.wake(0)
        await simulation.run(0.005)
    assert 2000 // pause_ms - 2 <= shard.reads <= 2000 // pause_ms + 1
    await simulation.run(max_wait_ms / 1000 + 1)
    assert output.arrived == list(range(1, 401))
    await simulation.stop()


@pytest.mark.parametrize(
    "output",
    [
        pytest.param(ListOutput(on_group=refusing(3)), id="its group"),
        pytest.param(ListOutput(on_open=refusing(3), max_rows=2), id="its bundle"),
        pytest.param(ListOutput(on_add=refusing(3)), id="its row"),
        pytest.param(ListOutput(on_add=refusing(3), max_rows=1), id="the only row"),
    ],
)
async def test_a_delivery_that_an_output_cannot_build_becomes_a_dead_letter(
    output: ListOutput, caplog: pytest.LogCaptureFixture
) -> None:
    """spec/connections.md, 3.7: `build_error`. The others of its page arrive, each once."""
    shard = MemoryOutbox([delivery(n) for n in range(1, 8)] + [delivery(8, mpid=2)])
    await run(output, shard)
    [letter] = shard.dead
    assert (letter.delivery.sequence, letter.reason) == (3, "build_error")
    assert (letter.delivery.attempts, letter.response_excerpt) == (0, "KeyError")
    assert sorted(output.arrived) == [1, 2, 4, 5, 6, 7, 8]
    assert shard.waiting == {}
    faults = [each for each in caplog.records if each.levelno == logging.ERROR]
    events = Counter(each.__dict__["event"] for each in faults)
    assert events == {"output_error": 1, "delivery_dead": 1}
    assert "jane" not in "".join(str(each.__dict__) for each in caplog.records)


async def test_an_output_that_can_build_nothing_stops_no_other_connection() -> None:
    shard = MemoryOutbox(
        [delivery(n) for n in range(1, 2001)] + [delivery(n, connection=2) for n in (1, 2)]
    )

    def refuse_first(each: Delivery) -> None:
        if each.connection == 1:
            raise KeyError

    output = ListOutput(on_add=refuse_first)
    simulation = Simulation(ManualClock())
    simulation.start(output, [shard], [connection(), connection(2)])
    await simulation.run(60)
    await simulation.stop()
    assert len(shard.dead) == 2000
    assert output.sent == [[1, 2]]
    assert shard.reads < 20  # none is read again to be refused


async def test_a_mistake_that_does_not_come_again_costs_nothing() -> None:
    """Such as one that memory was short for."""
    failures = iter([MemoryError()])

    def fail_once(_: Delivery) -> None:
        for failure in failures:
            raise failure

    shard = MemoryOutbox([delivery(n) for n in (1, 2, 3)])
    output = ListOutput(on_add=fail_once)
    await run(output, shard)
    assert output.sent == [[1, 2, 3]]
    assert shard.dead == []


async def test_a_bundle_that_cannot_be_discarded_is_left_behind() -> None:
    output = ListOutput(on_add=refusing(2))

    def fail() -> None:
        raise RuntimeError

    output.on_discard = fail  # type: ignore[method-assign]
    shard = MemoryOutbox([delivery(n) for n in (1, 2, 3)])
    await run(output, shard)
    assert output.sent == [[1, 3]]
    assert [each.delivery.sequence for each in shard.dead] == [2]


async def test_bundles_whose_time_is_up_wait_for_a_token_at_rest(clock: ManualClock) -> None:
    """However many there are: the forwarder does not look again and again until then."""
    shard = MemoryOutbox([delivery(n, mpid=n) for n in (1, 2, 3)])
    output = ListOutput()
    simulation = Simulation(clock)
    simulation.start(output, [shard], rate_limit=RateLimit(requests_per_second=0.1, burst=1))
    await simulation.run(60)
    assert output.sent == [[1], [2], [3]]
    await simulation.stop()


async def test_a_connection_that_always_has_something_starves_no_other(clock: ManualClock) -> None:
    shard = MemoryOutbox()
    output = ListOutput()
    output.max_wait_ms = 100
    simulation = Simulation(clock)
    forwarder = simulation.start(
        output,
        [shard],
        [connection(), connection(2)],
        rate_limit=RateLimit(requests_per_second=1, burst=1),
    )
    for number in range(1, 61):
        shard.add(delivery(number))
        if number == 10:
            shard.add(delivery(1000, connection=2))
        forwarder.wake(0)
        await simulation.run(0.5)
    assert [1000] in output.sent
    await simulation.stop()


async def test_a_shard_that_does_not_answer_holds_up_no_uploads_of_another(
    clock: ManualClock,
) -> None:
    shards = [MemoryOutbox([delivery(1)]), MemoryOutbox([delivery(2)])]
    output = ListOutput()
    simulation = Simulation(clock)
    simulation.start(output, shards, max_in_flight=1)
    shards[0].loses_settlements = True
    await simulation.run(60)
    assert output.sent == [[1], [2]]
    assert shards[1].waiting == {}
    shards[0].loses_settlements = False
    await simulation.run(60)
    assert shards[0].waiting == {}
    await simulation.stop()


class FailingOutput(ListOutput):
    """Sends of connection 1 fail for good, those of others once; all wait for a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.begun = 0
        self.failures = 1

    def open_bundle(self, input_id: str, group: str, first: Delivery) -> ListBundle:
        return FailingBundle(self, first)


class FailingBundle(ListBundle):
    def __init__(self, output: FailingOutput, first: Delivery) -> None:
        super().__init__(output)
        self._failing = output
        self._first = first

    async def send(self) -> Outcome:
        self._failing.begun += 1
        await self._failing.gate.wait()
        if self._first.connection == 1:
            return Fatal("fatal_response", "no", 400)
        if self._failing.failures:
            self._failing.failures -= 1
            return Retry("no", 503)
        return await super().send()


class AnsweringOutput(ListOutput):
    """Every upload has the same answer."""

    def __init__(self, answer: Outcome) -> None:
        super().__init__()
        self.answer = answer
        self.tried: list[list[int]] = []

    def open_bundle(self, input_id: str, group: str, first: Delivery) -> ListBundle:
        return AnsweringBundle(self)


class AnsweringBundle(ListBundle):
    def __init__(self, output: AnsweringOutput) -> None:
        super().__init__(output)
        self._answering = output

    async def send(self) -> Outcome:
        self._answering.tried.append([each.sequence for each in self._taken])
        return self._answering.answer


async def test_dead_letters_that_have_to_be_made_again_are_no_probe_of_the_output(
    clock: ManualClock,
) -> None:
    """Nothing is sent for them, so nothing would ever end the probe."""
    shard = MemoryOutbox([delivery(1), delivery(2, connection=2)])
    output = FailingOutput()
    output.max_rows = 1
    simulation = Simulation(clock)
    simulation.start(
        output, [shard], [connection(), connection(2)], breaker=BreakerLimits(1, 12_000)
    )
    await until(lambda: output.begun == 2)
    shard.is_available = False
    output.gate.set()
    await simulation.run(9)
    shard.is_available = True
    await simulation.run(60)
    assert [each.delivery.sequence for each in shard.dead] == [1]
    assert output.sent == [[2]]
    assert shard.waiting == {}
    await simulation.stop()


@pytest.mark.parametrize(
    ("answer", "reason", "lasts_s", "then"),
    [
        pytest.param(
            Fatal("fatal_response", "no", 401), "401-Unauthorized", 1, [[1], [3]], id="refused"
        ),
        pytest.param(
            Refused("invalid_settings", "no"), "invalid_settings", 1, [[1], [3]], id="settings"
        ),
        pytest.param(
            # That the second user entered may have arrived.
            Retry("busy", 429),
            "Retry Count Exceeded",
            2 * DAY_S,
            [[1], [3], [4]],
            id="given up",
        ),
    ],
)
async def test_changes_whose_upload_fails_wait_until_the_subscription_is_resumed(
    clock: ManualClock, answer: Outcome, reason: str, lasts_s: int, then: list[list[int]]
) -> None:
    """Case 32 of the connections, with a receiver of files; others of the output go on."""
    shard = MemoryOutbox([change(1, 1, "add"), change(2, 2, "add")])
    output = AnsweringOutput(answer)
    simulation = Simulation(clock)
    forwarder = simulation.start(output, [shard], [])
    forwarder.follow([followed()])
    await simulation.run(lasts_s + 10)
    fault = forwarder.fault(NUMBER)
    assert fault is not None
    assert (fault.reason_code, fault.first_delivery_id) == (reason, "dl_1")
    tried = len(output.tried)
    shard.add(change(3, 3, "add"), change(4, 2, "delete"))
    forwarder.wake(0)
    await simulation.run(9 * DAY_S)
    assert len(output.tried) == tried
    assert shard.dead == []
    output.answer = Delivered()
    forwarder.follow([followed(resumed=1)])
    await simulation.run(60)
    assert sorted(output.tried[tried:]) == then
    assert shard.waiting == {}
    assert forwarder.fault(NUMBER) is None
    await simulation.stop()


class OneGroupOutput(AnsweringOutput):
    """The changes of all users go up together."""

    def group(self, delivery: Delivery) -> str:
        return "all"


@pytest.mark.parametrize(
    ("answer", "then"),
    [
        pytest.param(Retry("busy", 429), [[1, 3]], id="may have arrived"),
        pytest.param(Fatal("fatal_response", "no", 401), [[1]], id="has not arrived"),
    ],
)
@pytest.mark.parametrize("is_away_for_a_while", [False, True])
async def test_all_users_of_an_upload_that_may_have_arrived_are_told_of_again(
    clock: ManualClock, answer: Outcome, then: list[list[int]], is_away_for_a_while: bool
) -> None:
    """Else the second user, who leaves while it is held, would stay in the receiver's list."""
    shard = MemoryOutbox([change(1, 1, "add"), change(2, 2, "add")])
    output = OneGroupOutput(answer)
    simulation = Simulation(clock)
    schedule = RetrySchedule(base_s=1, cap_s=1, jitter=0, max_age_s=10, min_attempts=3)
    forwarder = simulation.start(output, [shard], [], schedule=schedule)
    forwarder.follow([followed()])
    await simulation.run(5)
    shard.is_available = not is_away_for_a_while
    await simulation.run(20)
    shard.is_available = True
    await simulation.run(60)
    assert forwarder.fault(NUMBER) is not None
    shard.add(change(3, 2, "delete"))
    tried = len(output.tried)
    output.answer = Delivered()
    forwarder.follow([followed(resumed=1)])
    await simulation.run(60)
    assert output.tried[tried:] == then
    assert (shard.waiting, shard.dead) == ({}, [])
    await simulation.stop()


async def test_an_upload_of_a_subscription_that_is_too_large_is_buried_alone(
    clock: ManualClock,
) -> None:
    """The changes are at fault, and not what they are sent to."""
    shard = MemoryOutbox([change(1, 1, "add")])
    simulation = Simulation(clock)
    forwarder = simulation.start(AnsweringOutput(Split("too large", 413)), [shard], [])
    forwarder.follow([followed()])
    await simulation.run(60)
    assert [each.reason for each in shard.dead] == ["payload_too_large"]
    assert forwarder.fault(NUMBER) is None
    await simulation.stop()


async def test_what_was_erased_is_not_looked_for_in_all_that_waits(clock: ManualClock) -> None:
    """A bundle fails for good while one of its deliveries is erased."""
    shard = MemoryOutbox([delivery(n) for n in range(1, 6)])
    output = FailingOutput()
    simulation = Simulation(clock)
    forwarder = simulation.start(output, [shard])
    await until(lambda: output.begun == 1)
    del shard.waiting[1, 5]
    shard.add(*(delivery(n) for n in range(6, 20_000)))
    before = shard.reads
    await forwarder.reread()
    output.gate.set()
    await until(lambda: shard.dead and forwarder.state()["couriers"] == [{"bundles": 0}])
    assert len(shard.dead) == 4
    assert shard.reads - before <= 5
    await simulation.kill()


@settings(max_examples=60, deadline=None)
@given(
    users=st.lists(st.integers(1, 3), min_size=1, max_size=30),
    poison=st.sets(st.integers(1, 30), max_size=8),
    open_poison=st.sets(st.integers(1, 30), max_size=3),
    max_rows=st.integers(1, 6),
)
async def test_whatever_cannot_be_built_the_rest_arrives_once_and_in_order(
    users: list[int], poison: set[int], open_poison: set[int], max_rows: int
) -> None:
    shard = MemoryOutbox([delivery(n, mpid=user) for n, user in enumerate(users, 1)])
    output = ListOutput(on_open=refusing(*open_poison), on_add=refusing(*poison), max_rows=max_rows)
    await run(output, shard)
    arrived = output.arrived
    dead = {each.delivery.sequence for each in shard.dead}
    assert sorted([*arrived, *dead]) == list(range(1, len(users) + 1))
    assert poison & set(range(1, len(users) + 1)) <= dead <= poison | open_poison
    assert shard.waiting == {}
    for user in set(users):
        mine = [each for each in arrived if users[each - 1] == user]
        assert mine == sorted(mine)


async def test_a_shard_is_left_alone_for_longer_each_time_a_bundle_cannot_be_written() -> None:
    def no_room(each: Delivery) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    shard = MemoryOutbox([delivery(1)])
    await run(ListOutput(on_add=no_room), shard)
    assert 5 < shard.reads < 20


class Unwritable:
    """No file can be made for some users."""

    def __init__(self, *users: int) -> None:
        self.users = set(users)
        self.tried_ms: list[int] = []
        self.clock = ManualClock()

    def __call__(self, each: Delivery) -> None:
        if each.mpid in self.users:
            self.tried_ms.append(self.clock.now_ms())
            raise OSError(errno.ENAMETOOLONG, "File name too long")


async def test_a_bundle_that_cannot_be_written_is_tried_as_often_as_an_upload(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Others go on meanwhile, and what comes for it later waits behind it."""
    unwritable = Unwritable(1)
    shard = MemoryOutbox([delivery(1), delivery(2), delivery(3, mpid=2)])
    output = ListOutput(on_add=unwritable)
    simulation = Simulation(unwritable.clock)
    forwarder = simulation.start(output, [shard])
    start_ms = unwritable.clock.now_ms()
    await simulation.run(5)
    assert output.sent == [[3]]
    shard.add(delivery(4), delivery(5, mpid=2))
    forwarder.wake(0)
    await simulation.run(60)
    assert output.sent == [[3], [5]]
    assert [(at_ms - start_ms) / 1000 for at_ms in unwritable.tried_ms] == [0, 10, 30]
    assert shard.waiting[1, 1].attempts == 3
    assert {each.__dict__["event"] for each in caplog.records} == {"delivery_delayed"}
    unwritable.users.clear()
    await simulation.run(60)
    assert output.sent == [[3], [5], [1, 2, 4]]
    assert shard.waiting == {}
    await simulation.stop()


@pytest.mark.parametrize(
    ("ill", "well", "sent"),
    [
        pytest.param([1], [], 0, id="one group"),
        pytest.param(range(1, 21), [], 0, id="many groups"),
        pytest.param([1], [2], 1000, id="every second of another group"),
        pytest.param([1], range(2, 6), 4000, id="most of other groups"),
    ],
)
async def test_how_much_waits_for_bundles_that_cannot_be_written_is_bounded(
    ill: Sequence[int], well: Sequence[int], sent: int
) -> None:
    """Each attempt reads that again. Other groups go on as far as it reaches."""
    users = [*ill, *well]
    count = 6000
    unwritable = Unwritable(*ill)
    shard = MemoryOutbox([delivery(n, mpid=users[n % len(users)]) for n in range(1, count + 1)])
    output = ListOutput(on_add=unwritable, max_rows=READ_PAGE)
    simulation = Simulation(unwritable.clock)
    forwarder = simulation.start(output, [shard])
    [stream] = forwarder._connections.streams
    await simulation.run(9)
    reads = shard.reads
    assert reads <= (sent + 2 * READ_PAGE) // READ_PAGE
    for attempt, wait_s in enumerate((20, 40, 80), 2):
        assert len(stream._known) < 2 * READ_PAGE
        await simulation.run(wait_s)
        assert len(set(unwritable.tried_ms)) == attempt
    assert shard.reads <= 4 * reads + 3
    assert len(output.arrived) >= sent
    unwritable.users.clear()
    await simulation.run(1000)
    assert sorted(output.arrived) == list(range(1, count + 1))
    assert shard.waiting == {}
    await simulation.stop()


async def test_what_can_never_be_written_becomes_dead_letters_that_say_why() -> None:
    unwritable = Unwritable(1)
    shard = MemoryOutbox([delivery(1), delivery(2), delivery(3, mpid=2)])
    output = ListOutput(on_add=unwritable)
    simulation = Simulation(unwritable.clock)
    simulation.start(output, [shard])
    await simulation.run(2 * DAY_S)
    assert len(unwritable.tried_ms) == 103
    assert [each.delivery.sequence for each in shard.dead] == [1, 2]
    for letter in shard.dead:
        assert letter.reason == "retry_exhausted"
        assert letter.response_excerpt == "OSError: [Errno 36] File name too long"
    assert shard.waiting == {}
    await simulation.stop()


async def test_changes_that_can_never_be_written_wait_until_the_subscription_is_resumed() -> None:
    unwritable = Unwritable(1)
    shard = MemoryOutbox([change(1, 1, "add"), change(2, 2, "add")])
    output = ListOutput(on_add=unwritable)
    simulation = Simulation(unwritable.clock)
    forwarder = simulation.start(output, [shard], [])
    forwarder.follow([followed()])
    await simulation.run(2 * DAY_S)
    fault = forwarder.fault(NUMBER)
    assert fault is not None
    assert fault.message == "OSError: [Errno 36] File name too long"
    assert shard.dead == []
    unwritable.users.clear()
    forwarder.follow([followed(resumed=1)])
    await simulation.run(60)
    assert output.sent == [[2], [1]]
    assert shard.waiting == {}
    await simulation.stop()


async def test_a_bundle_that_cannot_be_written_outlives_neither_a_pause_nor_a_rereading() -> None:
    unwritable = Unwritable(1)
    shard = MemoryOutbox([delivery(1), delivery(2)])
    output = ListOutput(on_add=unwritable)
    simulation = Simulation(unwritable.clock)
    forwarder = simulation.start(output, [shard])
    await simulation.run(5)
    forwarder.connect([connection(is_active=False)])
    await simulation.run(60)
    assert len(unwritable.tried_ms) == 1
    unwritable.users.clear()
    forwarder.connect([connection()])
    await simulation.run(60)
    assert output.sent == [[1, 2]]
    unwritable.users = {1}
    shard.add(delivery(3), delivery(4))
    forwarder.wake(0)
    await simulation.run(5)
    del shard.waiting[1, 3]  # erased
    unwritable.users.clear()
    await forwarder.reread()
    await simulation.run(60)
    assert output.sent == [[1, 2], [4]]
    assert shard.waiting == {}
    await simulation.stop()
