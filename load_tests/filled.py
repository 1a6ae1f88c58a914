"""A deployment whose first shard has as many profiles as are asked for, and its second a few."""

import asyncio
import contextlib
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec

from actors.clock import Clock
from actors.store.environment import Store
from actors.store.folder import DataFolder
from actors.store.keys import MPID_RANDOM_BITS
from load_tests.bench.deployment import workspace_document
from load_tests.client import Channel, Target, request_bytes
from load_tests.draws import Draws
from load_tests.many_profiles import fill
from load_tests.people import Batch, Person
from load_tests.server_process import KEY, ServerProcess
from load_tests.steady import template

SHARDS, EDGES = 2, 2
MODELS = 500  # users whose profiles are copied
AUTHORIZATION = "Basic " + b64encode(f"{KEY[1]}:{KEY[3]}".encode()).decode()
_MODEL_BATCHES = 4
_BATCHES_PER_REQUEST = 100
_EVENTS_PER_BATCH = 5
_OTHER_PROFILES = 10_000
_MAP_BYTES = 64 * 1024**3
_OTHER_SLOT = 0xC000  # of the second half, which the second shard has


class NotServed(Exception):
    """Something is refused that should be answered. Says what."""


class Filled:
    """The deployment, with calculated attributes and audiences; it has to be filled first.

    Args:
        folder: for its data and its workspace document.
        profiles: of the first shard.
        attributes, audiences: how many; `seed`: of what is random in them and in users.
    """

    def __init__(
        self, folder: Path, profiles: int, attributes: int, audiences: int, seed: int, clock: Clock
    ) -> None:
        self._data = folder / "data"
        self._profiles = profiles
        self._seed = seed
        self._clock = clock
        workspace = folder / "workspace.yaml"
        document = workspace_document(attributes, audiences, seed)
        workspace.write_bytes(msgspec.json.encode(document))
        self.server = ServerProcess(
            self._data,
            clock,
            *("--workspace", str(workspace), "--shards", str(SHARDS), "--edges", str(EDGES)),
            environ={"HEADWATER_LOG_LEVEL": "warning"},
        )

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Target]:
        """Start it, and stop it in the end.

        Raises:
            RuntimeError: it did not start.
        """
        await asyncio.to_thread(self.server.start)
        try:
            yield Target.of(self.server.url)
        finally:
            await asyncio.to_thread(self.server.stop)

    async def fill(self) -> None:
        """Let some users send batches, and copy their profiles while it does not serve.

        Raises:
            RuntimeError: it did not start.
            NotServed: it refused batches.
        """
        async with self.serving() as target:
            await self._send_models(target)
        await asyncio.to_thread(self._copy)

    def mpids(self, shard: int) -> Sequence[int]:
        """Return the users of a shard."""
        if shard == 0:
            return range(1, self._profiles + 1)
        first = _OTHER_SLOT << MPID_RANDOM_BITS
        return range(first, first + _OTHER_PROFILES)

    async def _send_models(self, target: Target) -> None:
        draws, now_s = Draws(self._seed), self._clock.now_ms() // 1000 - 1
        people = [Person(self._seed, number) for number in range(MODELS)]
        bodies = [
            f"{turn:06x}{place:06x}".encode().join(
                template(
                    anonymous_batch(each, draws)
                    | {"user_identities": {"customer_id": each.customer_id}},
                    now_s,
                )
            )
            for turn in range(_MODEL_BATCHES)
            for place, each in enumerate(people)
        ]
        channel = Channel(target)
        try:
            for start in range(0, len(bodies), _BATCHES_PER_REQUEST):
                body = b"[%b]" % b",".join(bodies[start : start + _BATCHES_PER_REQUEST])
                request = request_bytes(target, "POST", "/v2/bulkevents", AUTHORIZATION, body)
                answer = await channel.exchange(request)
                if answer.status != 202:
                    raise NotServed(f"{answer.status} {answer.body[:200]!r}")
        finally:
            channel.close()

    def _copy(self) -> None:
        folder = DataFolder(self._data, SHARDS, _MAP_BYTES, self._clock)
        stores = [Store(each, _MAP_BYTES) for each in folder.shards]
        try:
            fill(stores, [self.mpids(shard) for shard in range(SHARDS)])
        finally:
            for store in stores:
                store.close()
            folder.close()


def anonymous_batch(person: Person, draws: Draws) -> Batch:
    """Return the next batch of a person, without identities."""
    batch = person.next_batch(_EVENTS_PER_BATCH, draws)
    batch.pop("user_identities", None)
    return batch
