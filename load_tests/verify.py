"""Proves that what was acknowledged is stored exactly once, and what was refused is not.

Every event has a message id that no other event of any run has, and every user has identities
that no other user has. So each user's events can be counted one by one.
"""

import asyncio
from collections.abc import Iterable

import numpy as np
from msgspec import Struct
from msgspec.structs import asdict
from numpy.typing import NDArray

from actors.clock import Clock
from load_tests.client import Target
from load_tests.ledger import ACKNOWLEDGED, REFUSED, UNKNOWN, UNSENT, Ledger
from load_tests.pool import Pool
from load_tests.reader import Access, Reader, fetch_token

# An accepted batch is readable within 2 s on an unloaded system (spec/profiles.md, 1). Five times
# that for one which was under load a moment ago.
FRESHNESS_S = 10.0
_PAUSE_S = 0.25
_READERS = 8
_PROFILES = 15  # one second of the Profile API's default limit (spec/profiles.md, 7.4)
_PER_BATCH = 100  # more than the events of any batch; see load_tests.pool


class Counts(Struct):
    """Events by what reading back has shown.

    Attributes:
        verified: acknowledged and there.
        lost: acknowledged and not there.
        doubled: copies beyond the first.
        refused: there although their batch was refused or never sent.
        misplaced: there, with a user whose they are not.
        unknown: there without having been acknowledged or refused, which is allowed.
    """

    verified: int = 0
    lost: int = 0
    doubled: int = 0
    refused: int = 0
    misplaced: int = 0
    unknown: int = 0


class Verification(Counts):
    """The counts of all users that were looked at.

    Attributes:
        acknowledged: events the driver saw acknowledged for these users, while it ran.
        users, users_of: how many were looked at, and how many there were.
        profiles, profiles_wrong: read from the Profile API; without the right customer id.
    """

    acknowledged: int = 0
    users: int = 0
    users_of: int = 0
    profiles: int = 0
    profiles_wrong: int = 0

    @property
    def is_exact(self) -> bool:
        """Whether something was acknowledged and all of it is there once, and nothing else."""
        wrong = self.lost + self.doubled + self.refused + self.misplaced + self.profiles_wrong
        return wrong == 0 and 0 < self.verified == self.acknowledged


class Verifier:
    """Compares a ledger with what the server shows."""

    def __init__(
        self, target: Target, access: Access, pool: Pool, ledger: Ledger, since_ms: int
    ) -> None:
        """`since_ms`: a time before the first event of the run."""
        self._target = target
        self._access = access
        self._pool = pool
        self._states = ledger.states()
        self._events = ledger.events()
        self._users = ledger.users()
        self._since_ms = since_ms
        self._by_user = np.argsort(self._users, kind="stable")
        self._sorted_users = self._users[self._by_user]

    async def run(self, clock: Clock, sample: int | None, seed: int) -> Verification:
        """Read back all users, or a random sample of them, and compare.

        What is missing is looked for again until it is there or `FRESHNESS_S` have passed.

        Raises:
            ReadBackFailed: the server's data cannot be read.
        """
        everybody = np.unique(self._users)
        users = everybody
        if sample is not None and sample < len(everybody):
            users = np.random.default_rng(seed).choice(everybody, sample, replace=False)
        token = await fetch_token(self._target, self._access)
        readers = [Reader(self._target, self._access, token) for _ in range(_READERS)]
        try:
            results = await self._check(readers, users.tolist())
            deadline = clock.monotonic() + FRESHNESS_S
            while (late := _missing(results)) and clock.monotonic() < deadline:
                await asyncio.sleep(_PAUSE_S)
                results.update(await self._check(readers, late))
            profiles, wrong = await self._check_profiles(readers[0], users.tolist())
        finally:
            for reader in readers:
                reader.close()
        acknowledged = np.isin(self._users, users) & (self._states == ACKNOWLEDGED)
        return Verification(
            **_sum(results.values()),
            acknowledged=int(self._events[acknowledged].sum()),
            users=len(users),
            users_of=len(everybody),
            profiles=profiles,
            profiles_wrong=wrong,
        )

    async def _check(self, readers: list[Reader], users: Iterable[int]) -> dict[int, Counts]:
        results: dict[int, Counts] = {}
        waiting = iter(users)

        async def work(reader: Reader) -> None:
            for user in waiting:
                results[user] = self._compare(user, await self._found(reader, user))

        tasks = [asyncio.create_task(work(reader)) for reader in readers]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return results

    async def _found(self, reader: Reader, user: int) -> NDArray[np.int64]:
        """Return the key of every event of this run in the profiles that the user can have."""
        traces = self._pool.traces[user]
        mpids: set[int] = set()
        for identity in (traces.customer_id, *traces.devices):
            if identity is not None:
                mpids.update(await reader.find(identity))
        keys = []
        for mpid in sorted(mpids):
            async for message_id in reader.message_ids(mpid, self._since_ms):
                place = self._pool.sequence_of(message_id)
                if place is not None:
                    keys.append(place[0] * _PER_BATCH + place[1])
        return np.array(keys, np.int64)

    def _compare(self, user: int, found: NDArray[np.int64]) -> Counts:
        first, last = np.searchsorted(self._sorted_users, [user, user + 1])
        sequences = self._by_user[first:last]
        keys, copies = np.unique(found, return_counts=True)
        expected = {
            state: self._keys(sequences[self._states[sequences] == state])
            for state in (UNSENT, ACKNOWLEDGED, REFUSED, UNKNOWN)
        }
        there = {state: int(np.isin(keys, some).sum()) for state, some in expected.items()}
        return Counts(
            verified=there[ACKNOWLEDGED],
            lost=len(expected[ACKNOWLEDGED]) - there[ACKNOWLEDGED],
            doubled=int((copies - 1).sum()),
            refused=there[REFUSED] + there[UNSENT],
            misplaced=len(keys) - sum(there.values()),
            unknown=there[UNKNOWN],
        )

    def _keys(self, sequences: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the keys of all events of some batches."""
        events = self._events[sequences]
        index = np.arange(events.sum()) - np.repeat(np.cumsum(events) - events, events)
        keys: NDArray[np.int64] = np.repeat(sequences, events) * _PER_BATCH + index
        return keys

    async def _check_profiles(self, reader: Reader, users: list[int]) -> tuple[int, int]:
        """Read a few profiles over the Profile API; return how many, and how many were wrong."""
        read = wrong = 0
        acknowledged = set(self._users[self._states == ACKNOWLEDGED].tolist())
        for user in users:
            customer_id = self._pool.traces[user].customer_id
            if customer_id is None or user not in acknowledged:
                continue
            for mpid in await reader.find(customer_id):
                read += 1
                wrong += await reader.customer_id(mpid) != customer_id
            if read >= _PROFILES:
                break
        return read, wrong


def _missing(results: dict[int, Counts]) -> list[int]:
    return [user for user, counts in results.items() if counts.lost]


def _sum(counts: Iterable[Counts]) -> dict[str, int]:
    total = dict.fromkeys(Counts.__struct_fields__, 0)
    for each in counts:
        for name, value in asdict(each).items():
            total[name] += value
    return total
