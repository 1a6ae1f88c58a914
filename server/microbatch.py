"""Collects what concurrent requests bring for one shard and sends it in micro-batches.

While a call is under way the next micro-batch fills, so an idle system answers at once and a busy
one sends more at a time. When many requests overlap, a shard is also called less often: the CPU
that a call costs is shared by more of them.
"""

import asyncio
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from actors.clock import Clock
from actors.errors import ShardUnavailable, SlotsMoved, StoreFull
from actors.handles import ShardHandle
from actors.model.batches import BatchContext
from actors.model.micro_batches import EventNames, Item, MicroBatch, Result
from actors.store.micro_batches import RING
from server.fair_queue import FairQueue
from server.pace import Pace

# Of what surrounds a batch's bytes in a micro-batch.
ITEM_OVERHEAD_BYTES = 32

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Result]).decode


class QueueOptions(Struct, frozen=True, kw_only=True):
    """How an edge collects. Sizes in bytes."""

    calls_in_flight: int
    max_micro_batch_bytes: int
    max_queue_bytes: int
    # What may wait is as much as the shard does in so many seconds; less than `max_queue_bytes`
    # where it is slow, and never less than what is under way at once.
    max_queue_s: float = 2.0
    # What has to wait for another call to be made while one is under way. A call with its commit
    # costs as much as some twenty batches: with less than that waiting it is cheaper, and hardly
    # slower, to go with the next.
    further_call_bytes: int = 128 * 1024
    # After a call for this many requests, the next one is not made before `rest_s` have passed for
    # each of them, unless as much waits as for a further call. So the more there is to do, the more
    # goes with one call. Fewer requests than that, of an idle edge or of a few clients that each
    # wait for their answer, never wait for anything but the shard.
    busy_requests: int = 3
    rest_s: float = 0.002
    longest_rest_s: float = 0.02


class _Group:
    """The batches of one request for one shard: they travel together."""

    __slots__ = ("context", "future", "items", "since", "size")

    def __init__(
        self,
        context: BatchContext,
        items: Sequence[Item],
        future: asyncio.Future[list[Result]],
        since: float,
    ) -> None:
        self.context = context
        self.items = items
        self.future = future
        self.since = since
        self.size = sum(len(item.raw) + ITEM_OVERHEAD_BYTES for item in items)


class ShardQueue:
    """What waits in one edge for one shard."""

    def __init__(self, edge: int, shard: ShardHandle, options: QueueOptions, clock: Clock) -> None:
        """Args: `edge` names who sends; no other ever has its number."""
        self._edge = edge
        self._shard = shard
        self._options = options
        self._clock = clock
        self._waiting: FairQueue[_Group] = FairQueue(options.max_queue_bytes)
        self._pace = Pace(clock)
        self._least_queue_bytes = options.calls_in_flight * options.max_micro_batch_bytes
        self._in_flight: set[int] = set()  # numbers
        self._next_number = 0
        self._event_names: EventNames | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_resting = False
        self._refusals = 0

    def submit(
        self, context: BatchContext, items: Sequence[Item], *, is_further: bool = False
    ) -> asyncio.Future[list[Result]]:
        """Have items applied in order; the future gets their results once they are on disk.

        Args:
            context: of the request.
            items: of it, for this shard.
            is_further: some of the request has been to a shard already. The rest waits before what
                has just come.

        Who submits asks `has_room` before, but for what is further: all of the request would come
        again. The future may get `StoreFull` or `ShardUnavailable` instead, `SlotsMoved` if nothing
        of it was or will be applied, as it may belong elsewhere by now.
        """
        future: asyncio.Future[list[Result]] = asyncio.get_running_loop().create_future()
        group = _Group(context, items, future, self._clock.monotonic())
        if is_further:
            self._waiting.add_ahead(context.input, group)
        else:
            self._waiting.add(context.input, group)
        self._pump()
        return future

    def has_room(self, context: BatchContext, raws: Sequence[bytes]) -> bool:
        """Tell whether items of a request may wait: an input that floods takes no other's part."""
        size = sum(len(raw) + ITEM_OVERHEAD_BYTES for raw in raws)
        return self._waiting.has_room(context.input, size)

    def refuse_waiting(self) -> None:
        """Refuse what was not sent yet, and may belong elsewhere: the futures get `SlotsMoved`."""
        self._refusals += 1
        while self._waiting:
            _fail([self._waiting.take()], SlotsMoved("slots have moved"))

    def tell(self, names: EventNames) -> None:
        """Let the shard know of admitted event names, with the next micro-batch."""
        known = self._event_names
        if known is not None and not names.is_full:
            names = EventNames([*known.admitted, *names.admitted], known.is_full)
        self._event_names = names

    @property
    def room_bytes(self) -> int:
        """What may wait and be under way."""
        return self._waiting.max_size + self._least_queue_bytes

    @property
    def waiting_batches(self) -> int:
        """Batches that wait to be sent."""
        return sum(len(group.items) for group in self._waiting)

    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait to be sent."""
        return self._waiting.size

    @property
    def lag_s(self) -> float:
        """For how long the first of them has waited."""
        since = min((head.since for head in self._waiting.heads), default=None)
        return 0.0 if since is None else self._clock.monotonic() - since

    def _pump(self) -> None:
        while self._waiting and self._may_call():
            groups = [self._waiting.take()]
            size = groups[0].size
            limit = self._options.max_micro_batch_bytes
            while self._waiting and size + self._waiting.next().size <= limit:
                groups.append(self._waiting.take())
                size += groups[-1].size
            loop = asyncio.get_running_loop()
            task = loop.create_task(self._send(self._number(), groups, self._refusals))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            if len(groups) >= self._options.busy_requests and not self._is_resting:
                self._is_resting = True
                rest_s = min(len(groups) * self._options.rest_s, self._options.longest_rest_s)
                loop.call_later(rest_s, self._end_rest)

    def _may_call(self) -> bool:
        in_flight = self._in_flight
        if in_flight and self._next_number - min(in_flight) >= RING:
            return False  # the shard would forget one that may have to be sent again
        if self._waiting.size >= self._options.further_call_bytes:
            return len(in_flight) < self._options.calls_in_flight
        return not in_flight and not self._is_resting

    def _note_pace(self, size: int) -> None:
        options, waiting = self._options, self._waiting
        self._pace.served(size, is_busy=waiting.size >= options.further_call_bytes)
        pace = self._pace.bytes_per_s
        if pace is not None:
            most = max(int(pace * options.max_queue_s), self._least_queue_bytes)
            waiting.max_size = min(most, options.max_queue_bytes)

    def _end_rest(self) -> None:
        self._is_resting = False
        self._pump()

    async def _send(self, number: int, groups: Sequence[_Group], refusals: int) -> None:
        names, self._event_names = self._event_names, None
        contexts = [group.context for group in groups]
        items: list[Item] = []
        for index, group in enumerate(groups):
            for item in group.items:
                item.context = index
                items.append(item)
        micro = MicroBatch(self._edge, number, contexts, items, names)
        try:
            if refusals != self._refusals:  # between the task's making and its first step
                raise SlotsMoved("slots have moved")
            results = await self._commit(micro, refusals)
        except (ShardUnavailable, StoreFull) as error:
            self._pace.failed()
            _fail(groups, error)
        except Exception as error:
            await self._send_apart(groups, names, refusals, error)
        except BaseException:
            _fail(groups, RuntimeError("a micro-batch failed by a defect"))
            raise
        else:
            self._note_pace(sum(group.size for group in groups))
            start = 0
            for group in groups:
                end = start + len(group.items)
                if not group.future.done():  # else its request was cancelled
                    group.future.set_result(results[start:end])
                start = end
        finally:
            self._in_flight.discard(number)
            self._pump()

    async def _commit(self, micro: MicroBatch, refusals: int) -> list[Result]:
        """Have a micro-batch applied; one that failed by a defect is sent once more.

        By its number the shard knows whether it was applied before the defect. Once slots have
        moved it cannot be asked any more: what it had not applied it would, by the new map, for
        users whom it may have given away. As it may have been applied, it goes nowhere else either.
        """
        encoded = _encode(micro)
        try:
            return _decode(await self._shard.commit(encoded))
        except (ShardUnavailable, StoreFull):
            raise
        except Exception as error:
            if refusals != self._refusals:
                _report("a micro-batch met a defect before slots moved", error)
                raise ShardUnavailable("slots have moved since a defect") from error
            results = _decode(await self._shard.commit(encoded))
            _report("a micro-batch was applied, and then met a defect", error)
            return results

    async def _send_apart(
        self,
        groups: Sequence[_Group],
        names: EventNames | None,
        refusals: int,
        error: Exception,
    ) -> None:
        """Fail the request that a defect is about, of those that were sent together."""
        if len(groups) == 1:
            _fail(groups, RuntimeError("a micro-batch failed by a defect"))
            _report("a micro-batch failed by a defect", error)
            return
        for group in groups:
            if names is not None:
                self.tell(names)
            await self._send(self._number(), [group], refusals)

    def _number(self) -> int:
        number = self._next_number
        self._next_number += 1
        self._in_flight.add(number)
        return number


def _fail(groups: Sequence[_Group], error: Exception) -> None:
    for group in groups:
        if not group.future.done():
            group.future.set_exception(error)


def _report(message: str, error: Exception) -> None:
    asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})
