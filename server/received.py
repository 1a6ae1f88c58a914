"""How many bytes of bodies an edge holds for requests that are under way, and how many it may.

What the shards cannot do in time is refused before its body is read: reading and taking apart what
is refused afterwards would take the time that is needed for what is not. Before that it waits a
moment for room (`server.parking`). Memory is counted as it is taken: a length costs nothing to
declare, and who only declares may not keep others out.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Hashable, Mapping
from functools import partial

from aiohttp import web

from actors.clock import Clock
from actors.errors import ShardUnavailable
from server.parking import PATIENCE_S, Parking

PRESSURE_S = 1.0  # how long refusals are counted, of which the first is logged
LONGEST_RETRY_S = 30  # a sender that was refused once comes back some time

logger = logging.getLogger("headwater.http")

_HELD = web.RequestKey("held", int)
_LINE = web.RequestKey("line", tuple)
_SHARER = web.RequestKey("sharer", object)


class Overloaded(ShardUnavailable):
    """A request is refused as there are too many; `retry_after_s`: when it may come again."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class QueueFull(ShardUnavailable):
    """A request is refused by the queue of a shard; `Received.refused` makes an answer of it."""


class _Pressure:
    """How many requests are refused for each that is not, and so when they should come again.

    If all came again after a second, most of the time would go into refusing them.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_s = clock.monotonic()
        self._taken = self._refused = 0
        self._refused_per_taken = 0

    def taken(self) -> None:
        """Note a request that is not refused."""
        self._taken += 1

    def refused(self, reason: str) -> Overloaded:
        """Note a refusal, and log the first of a while.

        Returns:
            The error, with after how many seconds to come again, evenly spread.
        """
        now_s = self._clock.monotonic()
        since_s = now_s - self._began_s
        if since_s >= PRESSURE_S:
            is_of_now = since_s < 2 * PRESSURE_S  # or else nobody was refused for a while
            self._refused_per_taken = self._refused // max(self._taken, 1) if is_of_now else 0
            self._began_s, self._taken, self._refused = now_s, 0, 0
        self._refused += 1
        if self._refused == 1:
            logger.warning(
                "requests are answered 503, since more come than can be taken",
                extra={
                    "event": "overloaded",
                    "reason": reason,
                    "refused_per_taken": self._refused_per_taken,
                },
            )
        longest_s = min(max(2 * self._refused_per_taken, 1), LONGEST_RETRY_S)
        return Overloaded(reason, 1 + self._refused % longest_s)


class Received:
    """Bytes of bodies, as they come and inflated, until their requests are answered.

    Attributes:
        held: of all requests.
        patience_s: how long a request waits for room before it is refused.
    """

    def __init__(self, most: int, clock: Clock) -> None:
        """Args: `most` that may be held, whatever the shards can do."""
        self._most = most
        self._pressure = _Pressure(clock)
        self._parking = Parking()
        self.held = 0
        self.patience_s = PATIENCE_S
        self._shares: dict[Hashable, int] = {}  # what is held, by whose it is
        self._inputs: dict[str, dict[int, int]] = {}  # bytes by workspace and input

    async def expect(
        self, request: web.Request, workspace: str, input_: int, size: int, room: int
    ) -> None:
        """Count a body that is about to be read for the shards, in place of how it was counted.

        Where its input has its part under way, and nothing is left, it waits for room.

        Args:
            request: whose body it is.
            workspace, input_: whose input it comes through.
            size: of the body.
            room: what the shards do in time, of the workspace. Each input has an equal part of it,
                and what the others leave.

        Raises:
            Overloaded: there was none in time, or newer requests wait for it.
        """
        self._leave_line(request)
        inputs = self._inputs.setdefault(workspace, {})
        has_room = partial(_has_room, inputs, input_, size, room)
        if not has_room():
            await self._wait_for_room((workspace, input_), has_room)
        self._pressure.taken()
        request[_LINE] = workspace, input_, size
        self._count(workspace, input_, size)

    async def _wait_for_room(self, line: Hashable, has_room: Callable[[], bool]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.patience_s):
                while await self._parking.wait(line, has_room):
                    if has_room():
                        # There may be room for more than this one.
                        asyncio.get_running_loop().call_soon(self._parking.wake)
                        return
        raise self.refused("as much is under way as the shards can do in time")

    def refused(self, reason: str) -> Overloaded:
        """Note that a request is refused as there are too many; return the error to raise."""
        return self._pressure.refused(reason)

    def came(self, request: web.Request, size: int) -> None:
        """Count a body that is there, and inflated, for what it is and not for what it declared."""
        if _LINE in request:
            workspace, input_, expected = request[_LINE]
            request[_LINE] = workspace, input_, size
            self._count(workspace, input_, size - expected)

    def share(self, request: web.Request, sharer: Hashable) -> None:
        """Count what is and will be held of a request as somebody's.

        Until then it is of all that ask the same handler.

        Raises:
            Overloaded: a part of its body is there, and is more than is left for them.
        """
        if _sharer(request) != sharer:
            size = request.get(_HELD, 0)
            self._let_go(request)
            request[_SHARER] = sharer
            self.hold(request, size)

    def hold(self, request: web.Request, size: int) -> None:
        """Count so many bytes of a request, in place of what was counted of it, if that is less.

        Nobody's requests may hold more together than they leave free, so that however many flood,
        there is as much for the next one as each of them has; one alone may hold what is free.

        Raises:
            Overloaded: they are too many, with those of all other requests or with its sharer's.
        """
        before = request.get(_HELD, 0)
        more = size - before
        if more <= 0:
            return
        sharer = _sharer(request)
        own = self._shares.get(sharer, 0)
        free = self._most - self.held - more
        if free < 0 or (own > before and own + more > free):
            raise self.refused("the edge holds as many bodies as it may")
        self.held += more
        self._shares[sharer] = own + more
        request[_HELD] = size

    def release(self, request: web.Request) -> None:
        """Count a request no longer."""
        self._let_go(request)
        self._leave_line(request)

    def _let_go(self, request: web.Request) -> None:
        if size := request.pop(_HELD, 0):
            sharer = _sharer(request)
            self.held -= size
            self._shares[sharer] -= size
            if not self._shares[sharer]:
                del self._shares[sharer]

    def _leave_line(self, request: web.Request) -> None:
        if _LINE in request:
            workspace, input_, size = request[_LINE]
            del request[_LINE]
            self._count(workspace, input_, -size)

    def _count(self, workspace: str, input_: int, more: int) -> None:
        """Count so much more of an input; if it is less, others may have room."""
        inputs = self._inputs[workspace]
        left = inputs.pop(input_, 0) + more
        if left:
            inputs[input_] = left
        if more < 0:
            self._parking.wake()


def _has_room(inputs: Mapping[int, int], input_: int, size: int, room: int) -> bool:
    """Tell whether as much more of an input may be under way, beside what is, by input."""
    own = inputs.get(input_, 0) + size
    if own == size or sum(inputs.values()) + size <= room:
        return True
    return own * len(inputs) <= room


def _sharer(request: web.Request) -> Hashable:
    sharer: Hashable = request.get(_SHARER, request.match_info.handler)
    return sharer


RECEIVED = web.AppKey("received", Received)
