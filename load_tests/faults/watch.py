"""Users who are refused while the disk is full, and what is shown of them then."""

import asyncio
import contextlib

from actors.clock import Clock
from load_tests.faults.checks import Found, audiences_at, audiences_in
from load_tests.faults.clients import CLIENTS, FULL, USERS_EACH, Clients
from load_tests.faults.document import COUNT
from load_tests.faults.record import Record
from load_tests.reader import ReadBackFailed, Reader

_FIRST = CLIENTS * USERS_EACH  # all before are others'
USERS = range(_FIRST, _FIRST + 4)  # of more than one shard, most probably
# What is as large goes to the end of a store: between other things there is hardly room for it.
_PADDING_BYTES = 80 * 1024
_LONGEST_S = 2.0  # for one user; a shard that is away takes longer


class Watch:
    """Sends for a few users of its own until each of them has been refused for want of room.

    What the Profile API shows of them right then is to be what was acknowledged: what the store did
    not take may not stay in memory.

    Attributes:
        found: what is wrong.
    """

    def __init__(self, clients: Clients, record: Record, clock: Clock) -> None:
        """Args: `record`: that of the clients."""
        self._clients = clients
        self._record = record
        self._clock = clock
        self._reader: Reader | None = None
        self._mpids: dict[int, int] = {}
        self.found = Found(details=[])

    async def begin(self, reader: Reader) -> None:
        """Make the users. Raises NotAcknowledged, ReadBackFailed."""
        self._reader = reader
        for user in USERS:
            await self._clients.insist(self._record.begin(user, self._clock.monotonic()))
            [self._mpids[user]] = await reader.find(self._record.customer_id(user))

    async def look(self) -> None:
        """Have the users refused, and look at them; called while the disk is full."""
        for user in USERS:
            # Who does not answer is away, which is the doing of another fault.
            with contextlib.suppress(OSError, ReadBackFailed):
                async with asyncio.timeout(_LONGEST_S):
                    await self._look_at(user)

    async def end(self) -> None:
        """Send what was refused until it is acknowledged. Raises NotAcknowledged."""
        for one in self._record.sent:
            if one.user in USERS and one.acknowledged is None:
                await self._clients.insist(one)

    async def _look_at(self, user: int) -> None:
        assert self._reader is not None, "it has not begun"
        record, refused = self._record, None
        while refused is None:
            one = record.begin(user, self._clock.monotonic(), _PADDING_BYTES)
            refused = await self._clients.try_once(one)
        if refused != FULL:
            return  # it may have been applied
        fields = "user_attributes,audience_memberships"
        profile = await self._reader.profile(self._mpids[user], fields)
        attributes = profile["user_attributes"]
        shown = float(attributes[COUNT]), attributes["last"], audiences_in(profile)
        stored = [each for each in record.of_user(user) if each.acknowledged is not None]
        right = len(stored), record.message_id(stored[-1].number), audiences_at(len(stored))
        what = f"{record.customer_id(user)} is shown as {shown} while the disk is full, not {right}"
        self.found.add("unstored", int(shown != right), what)
