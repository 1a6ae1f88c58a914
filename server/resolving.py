"""Asks the coordinator, one call at a time: what comes meanwhile goes with the next call.

A call that is not answered soon may wait for a shard that is away. What it asked for is then asked
again apart, together only with what needs the same shards; so a shard that is away delays only
those that need it (spec/identity.md, V15). Once all of that is answered, everything goes together
again.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from actors.handles import CoordinatorHandle
from actors.identity.keys import canonical
from actors.model.micro_batches import Unresolved
from actors.store.keys import identity_key, slot_of_hash
from actors.store.slots import Slots

MAX_REQUESTS = 2000  # of one call
# Long for a coordinator that has much to do and all shards, short for a sender.
OVERDUE_S = 0.25

Shards = frozenset[int]
_ANY: Shards = frozenset()  # what goes together, whichever shards it needs


class _Asked:
    """What one caller wants to know."""

    def __init__(self, requests: Sequence[Unresolved], future: asyncio.Future[list[int]]) -> None:
        self.future = future
        self._mpids = [0] * len(requests)
        self._left = set(range(len(requests)))

    def answer(self, place: int, mpid: int) -> None:
        """Take in an answer; one that comes a second time is the same."""
        self._left.discard(place)
        self._mpids[place] = mpid
        if not self._left and not self.future.done():
            self.future.set_result(self._mpids)

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class _Question:
    """One request of a caller."""

    __slots__ = ("asked", "place", "request")

    def __init__(self, asked: _Asked, place: int, request: Unresolved) -> None:
        self.asked = asked
        self.place = place
        self.request = request


class _Call:
    """Questions that are under way. An overdue one of any shards is `replaced`: asked again."""

    def __init__(self, lane: Shards, questions: Sequence[_Question]) -> None:
        self.lane = lane
        self.questions = questions
        self.is_overdue = False

    @property
    def is_replaced(self) -> bool:
        return self.is_overdue and self.lane == _ANY


class Resolver:
    """Resolves what shards could not."""

    def __init__(
        self, coordinator: CoordinatorHandle, shards_of: Callable[[Unresolved], Shards]
    ) -> None:
        """Args: `shards_of` returns which shards have the identities of a request."""
        self._coordinator = coordinator
        self._shards_of = shards_of
        self._waiting: dict[Shards, deque[_Question]] = {}
        self._busy: set[Shards] = set()  # lanes with a call under way
        self._overdue = 0  # calls
        self._tasks: set[asyncio.Task[None]] = set()

    async def resolve(self, requests: Sequence[Unresolved]) -> list[int]:
        """Return the MPID of each request. Raises ShardUnavailable, StoreFull."""
        future: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        asked = _Asked(requests, future)
        self._ask([_Question(asked, place, each) for place, each in enumerate(requests)])
        return await future

    def _ask(self, questions: Sequence[_Question]) -> None:
        for question in questions:
            lane = self._shards_of(question.request) if self._overdue else _ANY
            self._waiting.setdefault(lane, deque()).append(question)
        for lane in list(self._waiting):
            self._pump(lane)

    def _pump(self, lane: Shards) -> None:
        """Make the next call of a lane, if none is under way."""
        if lane in self._busy or lane not in self._waiting:
            return
        waiting = self._waiting[lane]
        taken: list[_Question] = []
        while waiting and len(taken) < MAX_REQUESTS:
            question = waiting.popleft()
            if not question.asked.future.done():  # else nobody waits for it any more
                taken.append(question)
        if not waiting:
            del self._waiting[lane]
        if taken:
            self._busy.add(lane)
            task = asyncio.get_running_loop().create_task(self._make(_Call(lane, taken)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _make(self, call: _Call) -> None:
        timer = asyncio.get_running_loop().call_later(OVERDUE_S, self._is_late, call)
        try:
            mpids = await self._coordinator.resolve([each.request for each in call.questions])
        except Exception as error:
            if not call.is_replaced:
                for question in call.questions:
                    question.asked.fail(error)
        else:
            for question, mpid in zip(call.questions, mpids, strict=True):
                question.asked.answer(question.place, mpid)
        finally:
            timer.cancel()
            if call.is_overdue:
                self._overdue -= 1
            if not call.is_replaced:
                self._busy.discard(call.lane)
                self._pump(call.lane)

    def _is_late(self, call: _Call) -> None:
        call.is_overdue = True
        self._overdue += 1
        if call.lane == _ANY:
            self._busy.discard(_ANY)
            self._ask([*call.questions, *self._waiting.pop(_ANY, ())])


def shards_of_names(scope: int, slots: Slots) -> Callable[[Unresolved], Shards]:
    """Return what tells which shards have the identities of a request."""

    def shards_of(request: Unresolved) -> Shards:
        return frozenset(
            slots.shard_of(
                slot_of_hash(identity_key(scope, request.environment, kind, canonical(kind, value)))
            )
            for kind, value in request.identities
        )

    return shards_of
