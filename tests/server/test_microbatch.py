"""How an edge collects for one shard: calls in flight, what fills meanwhile, what is refused."""

import asyncio
from typing import Any, cast

import msgspec
import pytest

from actors.clock import ManualClock
from actors.errors import ShardUnavailable, SlotsMoved, StoreFull
from actors.handles import ShardHandle
from actors.model.batches import BatchContext
from actors.model.micro_batches import Accepted, EventName, EventNames, Item, MicroBatch, Result
from actors.store.micro_batches import RING
from server.microbatch import ITEM_OVERHEAD_BYTES, QueueOptions, ShardQueue

A, B, C = (EventName("custom_event", name) for name in "ABC")


class SlowShard:
    """A shard that answers when the test says so; each batch's result is its own number."""

    def __init__(self) -> None:
        self.calls: list[MicroBatch] = []
        self.called: asyncio.Queue[int] = asyncio.Queue()  # how many calls there are, after each
        self._answers: list[asyncio.Future[bytes]] = []
        self._decode = msgspec.msgpack.Decoder(MicroBatch).decode

    async def commit(self, micro: bytes) -> bytes:
        self.calls.append(self._decode(micro))
        self.called.put_nowait(len(self.calls))
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answers.append(answer)
        return await answer

    def numbers(self, call: int) -> list[int]:
        """Return which batches a call brought."""
        return [int(item.raw) for item in self.calls[call].items]

    def answer(self, call: int) -> None:
        results: list[Result] = [Accepted(number, 1) for number in self.numbers(call)]
        self._answers[call].set_result(msgspec.msgpack.encode(results))

    def fail(self, call: int, error: BaseException) -> None:
        self._answers[call].set_exception(error)


class Edge:
    """A queue, its shard and its clock."""

    def __init__(self, **options: float) -> None:
        self.shard = SlowShard()
        self.clock = ManualClock()
        defaults = {
            "calls_in_flight": 2,
            "further_call_bytes": 0,
            "max_micro_batch_bytes": 10_000,
            "max_queue_bytes": 100_000,
        }
        self.queue = ShardQueue(
            77,
            cast(ShardHandle, self.shard),
            msgspec.convert(defaults | options, QueueOptions),
            self.clock,
        )

    def submit(self, *numbers: int, key: str = "k", of: int = 1) -> asyncio.Future[list[Result]]:
        where = BatchContext(of, key, "server_to_server", 5)
        return self.queue.submit(where, [Item(b"%d" % number, 0) for number in numbers])

    def has_room(self, *numbers: int, of: int = 1) -> bool:
        where = BatchContext(of, "k", "server_to_server", 5)
        return self.queue.has_room(where, [b"%d" % number for number in numbers])


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


def accepted(*numbers: int) -> list[Accepted]:
    return [Accepted(number, 1) for number in numbers]


async def test_an_idle_edge_sends_at_once() -> None:
    edge = Edge()
    future = edge.submit(1, 2)
    await settle()
    assert [edge.shard.numbers(0), future.done()] == [[1, 2], False]
    edge.shard.answer(0)
    assert await future == accepted(1, 2)


@pytest.mark.parametrize("most", [1, 2, 3])
async def test_no_more_calls_than_allowed_are_in_flight(most: int) -> None:
    """design.md, decision 1: what comes meanwhile goes together, in its order."""
    edge = Edge(calls_in_flight=most)
    futures = []
    for number in range(10):
        futures.append(edge.submit(number))
        await settle()
    assert [edge.shard.numbers(call) for call in range(len(edge.shard.calls))] == [
        [number] for number in range(most)
    ]
    edge.shard.answer(0)
    await settle()
    assert len(edge.shard.calls) == most + 1
    assert edge.shard.numbers(most) == list(range(most, 10))
    for call in range(1, most + 1):
        edge.shard.answer(call)
    results = await asyncio.gather(*futures)
    assert results == [accepted(number) for number in range(10)]


async def test_another_call_is_made_only_when_it_is_worth_it() -> None:
    """Little waits for the call that is under way; much does not."""
    size = ITEM_OVERHEAD_BYTES + 1
    edge = Edge(calls_in_flight=2, further_call_bytes=3 * size)
    futures = [edge.submit(number) for number in range(3)]
    await settle()
    assert [edge.shard.numbers(0), len(edge.shard.calls)] == [[0], 1]
    futures.append(edge.submit(3))
    await settle()
    assert edge.shard.numbers(1) == [1, 2, 3]
    for call in range(2):
        edge.shard.answer(call)
    assert await asyncio.gather(*futures) == [accepted(number) for number in range(4)]


REST: dict[str, float] = {
    "calls_in_flight": 2,
    "further_call_bytes": 5 * (ITEM_OVERHEAD_BYTES + 1),
    "busy_requests": 3,
    "longest_rest_s": 3600.0,
}


async def test_a_shard_rests_after_a_call_for_many_requests() -> None:
    """What comes meanwhile goes with the next call, unless it is enough for one of its own."""
    edge = Edge(rest_s=3600.0, **REST)
    futures = [edge.submit(number) for number in range(4)]
    await settle()
    edge.shard.answer(0)
    await settle()
    assert edge.shard.numbers(1) == [1, 2, 3]
    edge.shard.answer(1)
    await settle()
    futures += [edge.submit(number) for number in range(4, 8)]
    await settle()
    assert [len(edge.shard.calls), futures[4].done()] == [2, False]
    futures.append(edge.submit(8))
    await settle()
    assert edge.shard.numbers(2) == [4, 5, 6, 7, 8]
    edge.shard.answer(2)
    assert await asyncio.gather(*futures) == [accepted(number) for number in range(9)]


async def test_a_rest_ends_by_itself() -> None:
    edge = Edge(rest_s=0.001, **REST)
    futures = [edge.submit(number) for number in range(4)]
    await settle()
    edge.shard.answer(0)
    await settle()
    edge.shard.answer(1)
    await settle()
    futures.append(edge.submit(4))
    async with asyncio.timeout(10):
        while await edge.shard.called.get() < 3:
            pass
    edge.shard.answer(2)
    assert await futures[4] == accepted(4)


@pytest.mark.parametrize(("requests", "rest_s"), [(3, 6.0), (4, 8.0), (6, 10.0)])
async def test_a_rest_is_the_longer_the_more_requests_a_call_was_for(
    requests: int, rest_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "call_later", lambda delay, _: rests.append(delay))
    edge = Edge(calls_in_flight=1, busy_requests=3, rest_s=2.0, longest_rest_s=10.0)
    futures = [edge.submit(number) for number in range(1 + requests)]
    await settle()
    edge.shard.answer(0)
    await settle()
    edge.shard.answer(1)
    assert len(await asyncio.gather(*futures)) == 1 + requests
    assert rests == [rest_s]


async def test_few_requests_at_a_time_cause_no_rest() -> None:
    edge = Edge(rest_s=3600.0, **REST)
    for number in range(0, 10, 2):
        futures = [edge.submit(number), edge.submit(number + 1)]
        await settle()
        edge.shard.answer(number)
        await settle()
        edge.shard.answer(number + 1)
        assert await asyncio.gather(*futures) == [accepted(number), accepted(number + 1)]


async def test_no_micro_batch_overtakes_so_many_that_a_retry_would_not_be_known() -> None:
    """One call is not answered while others come and go: the shard remembers the last 16."""
    edge = Edge(calls_in_flight=2)
    futures = [edge.submit(0)]
    await settle()
    for number in range(1, RING):
        futures.append(edge.submit(number))
        await settle()
        edge.shard.answer(number)
        await settle()
    futures.append(edge.submit(RING))
    await settle()
    assert len(edge.shard.calls) == RING
    edge.shard.answer(0)
    await settle()
    edge.shard.answer(RING)
    assert len(await asyncio.gather(*futures)) == RING + 1


async def test_answers_may_come_in_any_order() -> None:
    edge = Edge()
    first = edge.submit(1)
    await settle()
    second = edge.submit(2)
    await settle()
    edge.shard.answer(1)
    assert await second == accepted(2)
    assert not first.done()
    edge.shard.answer(0)
    assert await first == accepted(1)


async def test_each_request_gets_its_own_results() -> None:
    edge = Edge(calls_in_flight=1)
    blocker = edge.submit(0)
    await settle()
    groups = [edge.submit(1, 2, key="a"), edge.submit(3, key="b"), edge.submit(4, 5, 6, key="c")]
    edge.shard.answer(0)
    await settle()
    [_, call] = edge.shard.calls
    assert [context.api_key for context in call.contexts] == ["a", "b", "c"]
    assert [item.context for item in call.items] == [0, 0, 1, 2, 2, 2]
    edge.shard.answer(1)
    results = await asyncio.gather(blocker, *groups)
    assert results == [accepted(0), accepted(1, 2), accepted(3), accepted(4, 5, 6)]


async def test_micro_batches_are_numbered_one_after_the_other() -> None:
    edge = Edge()
    for number in range(3):
        edge.submit(number)
        await settle()
        if number < 2:
            edge.shard.answer(number)
            await settle()
    assert [(call.edge, call.number) for call in edge.shard.calls] == [(77, 0), (77, 1), (77, 2)]


async def test_a_micro_batch_is_no_larger_than_allowed() -> None:
    size = 1 + ITEM_OVERHEAD_BYTES
    edge = Edge(calls_in_flight=1, max_micro_batch_bytes=3 * size)
    blocker = edge.submit(0)
    await settle()
    futures = [edge.submit(1, 2), edge.submit(3), edge.submit(4), edge.submit(5, 6, 7, 8)]
    for call in range(4):
        edge.shard.answer(call)
        await settle()
    # A request's batches travel together, also where they are too many.
    assert [edge.shard.numbers(call) for call in range(4)] == [[0], [1, 2, 3], [4], [5, 6, 7, 8]]
    assert len(await asyncio.gather(blocker, *futures)) == 5


async def test_a_full_queue_has_no_room_until_something_was_sent() -> None:
    size = 1 + ITEM_OVERHEAD_BYTES
    edge = Edge(calls_in_flight=1, max_queue_bytes=2 * size)
    futures = [edge.submit(0)]  # on its way, so not in the queue
    await settle()
    futures += [edge.submit(1), edge.submit(2)]
    assert edge.queue.waiting_bytes == 2 * size
    assert not edge.has_room(3)
    assert not edge.has_room(4, 5, 6)
    edge.shard.answer(0)
    await settle()
    assert edge.queue.waiting_bytes == 0
    assert edge.has_room(7)
    futures.append(edge.submit(7))
    edge.shard.answer(1)
    await settle()
    edge.shard.answer(2)
    assert [each for [each] in await asyncio.gather(*futures)] == accepted(0, 1, 2, 7)


async def test_no_more_has_room_than_the_shard_does_in_time() -> None:
    """A queue of a fixed size would be minutes of a slow shard's work. What waits, waits on."""
    edge = Edge(calls_in_flight=1, max_micro_batch_bytes=100, max_queue_s=2.0)
    size = 1 + ITEM_OVERHEAD_BYTES
    futures = [edge.submit(number % 10) for number in range(100)]
    for call in range(12):  # three at a time
        await settle()
        edge.clock.advance(100)
        edge.shard.answer(call)
    await settle()
    assert edge.queue.waiting_bytes > 2.0 * 3 * size / 0.1
    assert edge.queue.room_bytes < 100_000
    assert not edge.has_room(1)
    assert edge.has_room(1, of=2)
    call = 12
    while not edge.has_room(1):
        edge.shard.answer(call)
        await settle()
        call += 1
    assert 0 < edge.queue.waiting_bytes <= 2.0 * 3 * size / 0.1
    while not all(each.done() for each in futures):
        edge.shard.answer(call)
        await settle()
        call += 1
    assert len(await asyncio.gather(*futures)) == 100


async def test_however_slow_a_shard_is_the_largest_request_has_room() -> None:
    """It would be refused for ever, by an edge that has nothing to do."""
    edge = Edge(calls_in_flight=1, max_micro_batch_bytes=100)
    futures = [edge.submit(number % 10) for number in range(100)]
    for call in range(12):
        await settle()
        edge.clock.advance(1_000_000)
        edge.shard.answer(call)
    await settle()
    assert edge.queue.room_bytes == 200
    context, large = BatchContext(1, "key", "server_to_server", 5), [bytes(10_000)]
    assert not edge.queue.has_room(context, large)
    call = 12
    while edge.queue.waiting_bytes or not all(each.done() for each in futures):
        edge.shard.answer(call)
        await settle()
        call += 1
    await asyncio.gather(*futures, return_exceptions=True)
    assert edge.queue.has_room(context, large)


async def test_an_input_that_floods_takes_neither_turn_nor_room_from_another() -> None:
    """Nor does another one take from it what waits already."""
    size = 1 + ITEM_OVERHEAD_BYTES
    edge = Edge(calls_in_flight=1, max_queue_bytes=4 * size, max_micro_batch_bytes=size)
    first = edge.submit(0)
    await settle()
    flood = [edge.submit(number) for number in (1, 2, 3, 4)]
    assert not edge.has_room(7)
    quiet = []
    for number in (5, 6):
        assert edge.has_room(number, of=2)
        quiet.append(edge.submit(number, of=2))
    assert not edge.has_room(8, of=2)
    for call in range(7):
        edge.shard.answer(call)
        await settle()
    assert [edge.shard.numbers(call) for call in range(5)] == [[0], [1], [5], [2], [6]]
    assert len(await asyncio.gather(first, *flood, *quiet)) == 7


@pytest.mark.parametrize("error", [ShardUnavailable("gone"), StoreFull("full")])
async def test_a_failure_goes_to_all_and_the_queue_goes_on(error: Exception) -> None:
    edge = Edge(calls_in_flight=1)
    blocker = edge.submit(0)
    await settle()
    futures = [edge.submit(1), edge.submit(2)]
    edge.shard.answer(0)
    await settle()
    edge.shard.fail(1, error)
    outcomes = await asyncio.gather(blocker, *futures, return_exceptions=True)
    assert outcomes == [accepted(0), error, error]
    again = edge.submit(3)
    await settle()
    edge.shard.answer(2)
    assert await again == accepted(3)


async def test_a_defect_becomes_an_error_and_is_reported() -> None:
    reported: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, problem: reported.append(problem))
    edge = Edge()
    future = edge.submit(1)
    await settle()
    for attempt in range(2):
        edge.shard.fail(attempt, ZeroDivisionError("a defect"))
        await settle()
    with pytest.raises(RuntimeError, match="defect"):
        await future
    assert [type(problem["exception"]) for problem in reported] == [ZeroDivisionError]
    again = edge.submit(2)
    await settle()
    edge.shard.answer(2)
    assert await again == accepted(2)


async def test_a_micro_batch_that_was_applied_before_a_defect_is_answered() -> None:
    """Sent again under its number, it gives the results of the first time."""
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, problem: reported.append(problem))
    edge = Edge()
    future = edge.submit(1)
    await settle()
    edge.shard.fail(0, ZeroDivisionError("a defect"))
    await settle()
    assert edge.shard.calls[0] == edge.shard.calls[1]
    edge.shard.answer(1)
    assert await future == accepted(1)
    assert len(reported) == 1


async def test_what_met_a_defect_is_not_sent_again_once_slots_have_moved() -> None:
    """Nor may it go elsewhere, as `SlotsMoved` would say: it may have been applied."""
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, problem: reported.append(problem))
    edge = Edge()
    future = edge.submit(1)
    await settle()
    edge.queue.refuse_waiting()
    edge.shard.fail(0, ZeroDivisionError("a defect"))
    await settle()
    assert len(edge.shard.calls) == 1
    with pytest.raises(ShardUnavailable) as error:
        await future
    assert not isinstance(error.value, SlotsMoved)
    assert [type(problem["exception"]) for problem in reported] == [ZeroDivisionError]


async def test_a_defect_fails_no_request_but_the_one_that_it_is_about() -> None:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    edge = Edge(calls_in_flight=1)
    first = edge.submit(0)
    await settle()
    futures = [edge.submit(number) for number in (1, 2, 3)]
    edge.shard.answer(0)
    await settle()
    assert edge.shard.numbers(1) == [1, 2, 3]
    for call in (1, 2):
        edge.shard.fail(call, ZeroDivisionError("a defect"))
        await settle()
    for call, is_bad in enumerate((False, True, True, False), 3):
        assert len(edge.shard.numbers(call)) == 1
        if is_bad:
            edge.shard.fail(call, ZeroDivisionError("a defect"))
        else:
            edge.shard.answer(call)
        await settle()
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert outcomes[0] == accepted(1)
    assert isinstance(outcomes[1], RuntimeError)
    assert outcomes[2] == accepted(3)
    assert await first == accepted(0)


async def test_who_has_gone_away_takes_nothing_from_the_others() -> None:
    edge = Edge(calls_in_flight=1)
    futures = [edge.submit(0)]
    await settle()
    gone, stays = edge.submit(1), edge.submit(2)
    gone.cancel()
    edge.shard.answer(0)
    await settle()
    assert edge.shard.numbers(1) == [1, 2]  # it may be half way: it is applied
    edge.shard.answer(1)
    assert await stays == accepted(2)
    assert await futures[0] == accepted(0)
    assert gone.cancelled()


async def test_event_names_travel_once_with_the_next_micro_batch() -> None:
    edge = Edge()
    edge.queue.tell(EventNames([A], is_full=False))
    edge.queue.tell(EventNames([B], is_full=False))
    for number in range(2):
        edge.submit(number)
        await settle()
        edge.shard.answer(number)
        await settle()
    told = [call.event_names for call in edge.shard.calls]
    assert told == [EventNames([A, B], is_full=False), None]


async def test_a_full_list_of_names_stays_full() -> None:
    edge = Edge()
    edge.queue.tell(EventNames([A], is_full=False))
    edge.queue.tell(EventNames([A, B, C], is_full=True))
    edge.queue.tell(EventNames([A], is_full=False))  # asked for earlier, answered later
    edge.submit(1)
    await settle()
    told = edge.shard.calls[0].event_names
    assert told is not None
    assert (set(told.admitted), told.is_full) == ({A, B, C}, True)


async def test_a_queue_tells_what_waits() -> None:
    edge = Edge(calls_in_flight=1)
    edge.submit(0)
    await settle()
    edge.submit(1, 2)
    edge.clock.advance(1500)
    edge.submit(3)
    told = (edge.queue.waiting_batches, edge.queue.waiting_bytes, edge.queue.lag_s)
    assert told == (3, 3 * (1 + ITEM_OVERHEAD_BYTES), 1.5)
    edge.shard.answer(0)
    await settle()
    assert (edge.queue.waiting_batches, edge.queue.lag_s) == (0, 0)


async def test_what_was_not_sent_is_refused_when_slots_have_moved() -> None:
    """Also what was about to be; what is under way is the shard's to answer."""
    edge = Edge(calls_in_flight=1)
    sent = edge.submit(0)
    await settle()
    waiting = edge.submit(1)
    edge.queue.refuse_waiting()
    with pytest.raises(SlotsMoved):
        await waiting
    edge.shard.answer(0)
    assert await sent == accepted(0)
    await settle()
    about_to_be = edge.submit(2)
    edge.queue.refuse_waiting()
    with pytest.raises(SlotsMoved):
        await about_to_be
    assert len(edge.shard.calls) == 1
    later = edge.submit(3)
    await settle()
    edge.shard.answer(1)
    assert await later == accepted(3)
