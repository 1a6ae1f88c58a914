"""What else one life of a forwarder has to do with: a shard behind calls, jitter, kept faults."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from actors.clock import Clock
from actors.errors import ShardUnavailable, StoreFull
from actors.forwarding.faults import Fault
from actors.model.deliveries import Delivery, Settlement
from actors.shard_outbox import ShardOutbox
from tests.actors.forwarding.ledger import Ledger

_AWAY, _FULL = ShardUnavailable("shard 0"), StoreFull("full")


class Chance:
    """Jitter that a seed decides."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def bits(self, count: int) -> int:
        """Return random bits."""
        return self._random.getrandbits(count)


class Faults:
    """Keeps the faults of connections over all lives."""

    def __init__(self) -> None:
        self.kept: dict[int, Fault] = {}

    def read(self) -> dict[int, Fault]:
        """Return those that were written last."""
        return dict(self.kept)

    def write(self, faults: Mapping[int, Fault]) -> None:
        """Keep these in the place of those from before."""
        self.kept = dict(faults)


@dataclass
class Trouble:
    """Of a shard: it is away, has no room to write, or does as it is told and cannot say so."""

    now: Literal["", "away", "full", "mute"] = ""


class Source:
    """The shard's outbox as one life of a forwarder reaches it, over calls that may fail."""

    def __init__(self, shard: ShardOutbox, ledger: Ledger, clock: Clock, trouble: Trouble) -> None:
        self.is_cut = False  # its forwarder was killed
        self._shard = shard
        self._ledger = ledger
        self._clock = clock
        self._trouble = trouble

    async def read(
        self, connection: int, after_sequence: int, limit: int, max_bytes: int
    ) -> list[Delivery]:
        """Read, unless the shard does not answer."""
        await self._reach(("away",))
        found = self._shard.read_outbox(connection, after_sequence, limit, max_bytes)
        await self._reach(("away", "mute"))
        return found

    async def settle(self, settlement: Settlement) -> None:
        """Settle; the answer, or the whole, may be lost."""
        if not self.is_cut:
            self._ledger.settling(settlement, self._clock.now_ms())
        await self._reach(("away", "full"))
        self._shard.settle(settlement)
        self._ledger.applied(settlement)
        await self._reach(("away", "mute"))

    async def _reach(self, failing: Sequence[str]) -> None:
        await asyncio.sleep(0)
        if self.is_cut:
            raise asyncio.CancelledError
        if self._trouble.now in failing:
            raise _FULL if self._trouble.now == "full" else _AWAY
