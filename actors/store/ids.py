"""Ids that increase within a shard and are unique in the deployment: batches, events, log, outbox.

    milliseconds since 1970, 42 bits | counter, 11 bits | shard, 10 bits

so that 2,048 ids per millisecond and shard can be drawn before ids run ahead of the clock.
"""

from typing import Final

from actors.clock import Clock
from actors.store.environment import Table, Transaction
from actors.store.keys import outbox_parts

_COUNTER_BITS = 11
_SHARD_BITS = 10
_STEP = 1 << _SHARD_BITS
MAX_SHARDS = 1 << _SHARD_BITS
_SEQUENCED: Final[tuple[Table, ...]] = ("outbox", "dead_letters")


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


def time_of_id(drawn: int) -> int:
    """Return the milliseconds since 1970 that an id carries."""
    return drawn >> (_COUNTER_BITS + _SHARD_BITS)


def shard_of_id(drawn: int) -> int:
    """Return the number of the shard that drew an id."""
    return drawn & (_STEP - 1)


def last_id(txn: Transaction) -> int:
    """Return the greatest id that the tables of a shard hold: a new owner goes on after it.

    Every id but those of the log is smaller than a log id drawn with it, save the sequences of
    deliveries and dead letters.
    """
    key = txn.last_key("log")
    last = 0 if key is None else int.from_bytes(key, "big")
    for table in _SEQUENCED:
        for key, _ in txn.scan(table):
            last = max(last, outbox_parts(key)[1])
    return last
