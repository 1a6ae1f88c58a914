"""Ids that increase within a shard and are unique in the deployment: batches, events, log, outbox.

    milliseconds since 1970, 42 bits | counter, 11 bits | shard, 10 bits

so that 2,048 ids per millisecond and shard can be drawn before ids run ahead of the clock.
"""

from actors.clock import Clock
from actors.store.environment import Transaction

_COUNTER_BITS = 11
_SHARD_BITS = 10
_STEP = 1 << _SHARD_BITS
MAX_SHARDS = 1 << _SHARD_BITS
_LAST_ID = b"last_id"


class Ids:
    """Draws ids for one shard."""

    def __init__(self, shard: int, last: int, clock: Clock) -> None:
        """Go on after `last`, the greatest id ever drawn by any owner of this data."""
        self._shard = shard
        self._clock = clock
        self._last = last

    @property
    def last(self) -> int:
        """The greatest id drawn so far."""
        return self._last

    def next(self) -> int:
        """Draw an id: greater than every id drawn before, at or after the clock's time."""
        floor = self._clock.now_ms() << (_COUNTER_BITS + _SHARD_BITS)
        base = max(self._last // _STEP * _STEP + _STEP, floor)
        self._last = base | self._shard
        return self._last

    def draw(self, count: int) -> range:
        """Draw so many ids at once, in order; at least one."""
        first = self.next()
        drawn = range(first, first + count * _STEP, _STEP)
        self._last = drawn[-1]
        return drawn


def time_of_id(drawn: int) -> int:
    """Return the milliseconds since 1970 that an id carries."""
    return drawn >> (_COUNTER_BITS + _SHARD_BITS)


def shard_of_id(drawn: int) -> int:
    """Return the number of the shard that drew an id."""
    return drawn & (_STEP - 1)


def read_last(txn: Transaction) -> int:
    """Return the greatest id that any owner of this data had drawn at its last commit."""
    encoded = txn.get("shard", _LAST_ID)
    return 0 if encoded is None else int.from_bytes(encoded, "big")


def write_last(txn: Transaction, last: int) -> None:
    """Keep the greatest id drawn: after a clock was set back, ids must not come again."""
    txn.put("shard", _LAST_ID, last.to_bytes(8, "big"))
