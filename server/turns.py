"""Identity calls take turns by input: who floods waits, and the others go on.

All of a deployment are decided by one process, in the order in which they come there. So each edge
has no more of them under way than take a moment; the rest waits here, in lines.
"""

import asyncio
import contextlib
from types import TracebackType
from typing import NamedTuple

from aiohttp import web

from server.fair_queue import FairQueue
from server.parking import PATIENCE_S
from server.received import QueueFull

# More than may wait for shards that are away (`actors.identity.waiting`): the rest goes on.
MOST_UNDER_WAY = 400
MOST_WAITING = 1000


class _Waiting(NamedTuple):
    """A call that waits for its turn."""

    turn: asyncio.Future[None]

    @property
    def size(self) -> int:
        """Return what it counts in its line."""
        return 1


class Turns:
    """What one edge has under way, and what waits.

    Attributes:
        patience_s: how long a call waits for its turn before it is refused.
    """

    def __init__(
        self, most_under_way: int = MOST_UNDER_WAY, most_waiting: int = MOST_WAITING
    ) -> None:
        self.patience_s = PATIENCE_S
        self._most = most_under_way
        self._under_way = 0
        self._waiting: FairQueue[_Waiting] = FairQueue(most_waiting)

    def of(self, workspace: int, input_: int) -> "Turn":
        """Return a turn of an input, by the numbers of its workspace and itself."""
        return Turn(self, workspace << 32 | input_)

    @property
    def waiting(self) -> int:
        """How many calls wait, of all inputs."""
        return self._waiting.size

    async def begin(self, line: int) -> None:
        """Wait for a turn in a line; whoever has it calls `end`.

        Raises:
            QueueFull: as much of the input waits as may, or it did not come in time.
        """
        if self._under_way < self._most:
            self._under_way += 1
            return
        if not self._waiting.has_room(line, 1):
            raise QueueFull("as many identity calls of the input wait as may")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(turn)
        self._waiting.add(line, waiting)
        try:
            async with asyncio.timeout(self.patience_s):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():  # it came, and nobody wants it any more
                self.end()
            else:  # what gives up is not to count as served, nor to take room
                self._waiting.remove(line, waiting)
            if isinstance(error, TimeoutError):
                raise QueueFull("an identity call did not have its turn in time") from None
            raise

    def end(self) -> None:
        """Give a turn to who is next."""
        while self._waiting:
            turn = self._waiting.take().turn
            if not turn.done():  # else it was given up
                turn.set_result(None)
                return
        self._under_way -= 1


class Turn(contextlib.AbstractAsyncContextManager[None]):
    """A turn of an input, entered for as long as a call takes. Raises as `Turns.begin`."""

    def __init__(self, turns: Turns, line: int) -> None:
        self._turns = turns
        self._line = line

    async def __aenter__(self) -> None:
        await self._turns.begin(self._line)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._turns.end()


TURNS = web.AppKey("turns", Turns)
