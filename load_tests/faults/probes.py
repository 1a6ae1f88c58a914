"""How long a batch takes, with every shard."""

import statistics

from actors.clock import Clock
from actors.store.keys import identity_key, shard_of_slot, slot_of_hash
from load_tests.faults.clients import Clients
from load_tests.faults.record import Record
from load_tests.faults.watch import USERS

_SCOPE = 1  # of the only workspace
_FIRST = USERS.stop  # all before are others'


class Probes:
    """Sends single batches, one after the other, for a user of each shard.

    Each has a connection of its own, so that they come to all edges. They are of users that nobody
    else has, and of the record like all others.

    Attributes:
        users: one of each shard, by number of the shard, as slots are before any have moved.
    """

    def __init__(self, clients: Clients, record: Record, clock: Clock, shards: int) -> None:
        """Args: `record`: that of the clients."""
        self._clients = clients
        self._record = record
        self._clock = clock
        self.users = one_of_each(record, shards)

    async def speed_s(self, count: int) -> float:
        """Return the median time of `count` batches for the user with whom it is longest.

        Raises NotAcknowledged.
        """
        taken: dict[int, list[float]] = {user: [] for user in self.users}
        for _ in range(count):
            for user, times in taken.items():
                began_s = self._clock.monotonic()
                await self._clients.insist(self._record.begin(user, began_s))
                times.append(self._clock.monotonic() - began_s)
        return max(map(statistics.median_high, taken.values()))


def one_of_each(record: Record, shards: int) -> list[int]:
    """Return the first user of each shard that nobody else has."""
    found: dict[int, int] = {}
    user = _FIRST
    while len(found) < shards:
        found.setdefault(shard_of(record.customer_id(user), shards), user)
        user += 1
    return [found[shard] for shard in range(shards)]


def shard_of(customer_id: str, shards: int) -> int:
    """Return the shard of a user who is known by a customer id alone."""
    key = identity_key(_SCOPE, "production", "customerid", customer_id)
    return shard_of_slot(slot_of_hash(key), shards)
