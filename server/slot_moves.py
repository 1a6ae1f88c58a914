"""Moves slots between the shards of a deployment while it serves, some at a time.

One pass takes a second or two. Meanwhile calls to the two shards wait, and deliveries rest; all
other shards go on. What is acknowledged stays, whoever is killed when: the owners change in one
step, and a shard that has copies which it does not own removes them before it serves.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

from actors import remote
from actors.clock import Clock
from actors.errors import ActorFailed, DataFolderError, ShardUnavailable, StoreFull
from actors.store import moving
from actors.store.folder import DataFolder
from actors.store.slots import SlotMap, owners_of
from server.problems import RETRY_AFTER_UNAVAILABLE_S, Refused
from server.rebalance import Move
from server.supervisor import Watched
from server.transfer import transfer

logger = logging.getLogger("headwater.serve")

STEP_S = 30.0  # for one call; a shard that is killed meanwhile is back before
QUICK_S = 2.0
EDGE_S = 1.0  # the shards wait for it; an edge on a node that is away is told when it is back
CLOSE_S = 3.0
REST_S = 5.0  # an output that takes longer may get once more what it is getting

_TROUBLE = (ActorFailed, ShardUnavailable, StoreFull, DataFolderError, RuntimeError, OSError)


class SlotMoves:
    """Does one pass at a time; `under_way` says which."""

    def __init__(
        self, watched: Sequence[Watched], folder: DataFolder, changing: asyncio.Lock, clock: Clock
    ) -> None:
        """Args: `changing` is held while anything of the actors changes."""
        self.under_way: Move | None = None
        self._watched = watched
        self._folder = folder
        self._changing = changing
        self._clock = clock
        self._task: asyncio.Task[Move] | None = None

    @property
    def slots(self) -> SlotMap:
        """Which shard owns which slots."""
        return self._folder.slots

    async def move(self, wanted: Move) -> Move:
        """Move some of the slots that are wanted, from the first on; return which are served now.

        Raises:
            Refused: others are moving (409); a shard is away, or has no room (503). No slots have
                moved then.
        """
        if self.under_way is not None:
            moving_now = self.under_way
            raise Refused(
                "CONFLICT",
                f"Slots {moving_now.first} to {moving_now.last} are moving to shard "
                f"{moving_now.to} just now.",
            )
        self.under_way = wanted
        # Not ended with its request: those who do not serve meanwhile have to be told to go on.
        self._task = asyncio.create_task(self._pass(wanted))
        return await asyncio.shield(self._task)

    async def close(self) -> None:
        """Wait for a pass to end, for a while; what is cut off is settled at the next start."""
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task], timeout=CLOSE_S)
            self._task.cancel()

    async def _pass(self, wanted: Move) -> Move:
        try:
            async with self._changing:
                slots = self.slots
                pair = [self._shard(owners_of(slots)[wanted.first]), self._shard(wanted.to)]
                for each in pair:
                    await self._check(each)
                others = [e for e in self._watched if e.role in ("forwarder", "coordinator")]
                async with AsyncExitStack() as stack:
                    for each in (held := [*others, *pair]):
                        await stack.enter_async_context(each.starting)
                    return await self._holding(held, pair, wanted, slots)
        finally:
            self.under_way = None

    async def _holding(
        self, held: Sequence[Watched], pair: Sequence[Watched], wanted: Move, slots: SlotMap
    ) -> Move:
        failure: Exception | None = None
        done = wanted
        try:
            await asyncio.gather(*(self._rest(each) for each in held if each.role == "forwarder"))
            last = await self._copied(pair, wanted, slots.epoch)
            done = Move(wanted.first, last, wanted.to)
            following = slots.moved(done.first, done.last, done.to)
            await asyncio.to_thread(self._folder.move_slots, following)
        except Exception as error:
            failure = error
        is_moved = self.slots.epoch > slots.epoch
        await self._go_on(held, is_moved=is_moved)
        if not is_moved:
            raise self._refusal(failure)
        logger.info(
            "slots have moved",
            extra={
                "event": "slots_moved",
                "first": done.first,
                "last": done.last,
                "shards": [each.instance for each in pair],
            },
        )
        return done

    def _refusal(self, failure: Exception | None) -> Exception:
        if not isinstance(failure, _TROUBLE):
            return failure or RuntimeError("slots did not move")
        logger.error(
            "slots did not move",
            extra={"event": "slots_not_moved", "kind": type(failure).__name__},
        )
        return _unavailable(f"{failure}.")

    async def _copied(self, pair: Sequence[Watched], wanted: Move, epoch: int) -> int:
        source, target = (each.handle.within(STEP_S) for each in pair)
        move = moving.Move(wanted.first, wanted.last, epoch)
        for each in (source, target):
            # It may not have heard yet that a pass failed: its copies are of what was then.
            await each.go_on(self.slots)
        for each in (source, target):
            await each.begin_move(move)
        return await transfer(source, target, wanted.first, wanted.last, self._clock)

    async def _check(self, shard: Watched) -> None:
        """Raise Refused if a shard cannot take part; nobody is disturbed by that."""
        try:
            state: str = await shard.handle.within(QUICK_S).ready()
        except ShardUnavailable:
            state = "it does not answer"
        if state != "ok":
            raise _unavailable(f"shard {shard.instance} is not ready: {state}.")

    async def _rest(self, forwarder: Watched) -> None:
        """Have a forwarder settle what is under way: it may be for another shard afterwards."""
        try:
            await forwarder.handle.within(REST_S).rest()
        except _TROUBLE:
            logger.warning(
                "a forwarder did not come to rest; it is started again",
                extra={"event": "rest_failed", "output": forwarder.instance},
            )
            forwarder.pid = None  # whose death is no trouble
            remote.restart(forwarder.handle)

    async def _go_on(self, held: Sequence[Watched], *, is_moved: bool) -> None:
        """Tell everybody who owns which slots now; whom this misses the supervisor tells."""
        if is_moved:  # before the shards serve, so that what they refuse can go elsewhere at once
            edges = [each for each in self._watched if each.role == "edge"]
            await asyncio.gather(*(self._start(each, EDGE_S) for each in edges))
        await asyncio.gather(*(self._start(each, STEP_S) for each in held))

    async def _start(self, watched: Watched, patience_s: float) -> None:
        start: Callable[[], Awaitable[object]] | None = watched.start
        if start is None:
            return
        try:
            async with asyncio.timeout(patience_s):
                await start()
        except _TROUBLE as error:
            logger.warning(
                "an actor does not go on yet after a move",
                extra={
                    "event": "go_on_failed",
                    "actor": watched.handle.name,
                    "kind": type(error).__name__,
                },
            )

    def _shard(self, number: int) -> Watched:
        [found] = [
            each for each in self._watched if each.role == "shard" and each.instance == str(number)
        ]
        return found


def _unavailable(why: str) -> Refused:
    retry = {"Retry-After": str(RETRY_AFTER_UNAVAILABLE_S)}
    return Refused("SERVICE_UNAVAILABLE", f"No slots have moved: {why}", retry)
