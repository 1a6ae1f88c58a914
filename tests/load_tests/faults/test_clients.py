"""Users and clients: who they are, where their users are, and what they do after a refusal."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from actors.clock import ManualClock, SystemClock
from load_tests.client import Target
from load_tests.faults.clients import CLIENTS, USERS_EACH, Clients
from load_tests.faults.probes import Probes, one_of_each, shard_of
from load_tests.faults.record import Record, Sent
from load_tests.faults.watch import USERS

_ANSWER = b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n"


class FakeEdges:
    """Answers with the statuses that it is given, and then 202; notes who asked by connection."""

    def __init__(self, statuses: list[int]) -> None:
        self.connections: list[int] = []
        self._statuses = statuses
        self._tasks: list[asyncio.Task[None] | None] = []

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Target]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            yield Target("127.0.0.1", port, is_tls=False, prefix="")
            await asyncio.gather(*filter(None, self._tasks))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.append(asyncio.current_task())
        number = len(self._tasks)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.partition(b"Content-Length: ")[2].split()[0])
                await reader.readexactly(length)
                self.connections.append(number)
                writer.write(_ANSWER % (self._statuses.pop(0) if self._statuses else 202))
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has gone
        finally:
            writer.close()


def test_the_same_seed_has_the_same_users_in_the_same_shards_and_another_others() -> None:
    names = [Record(seed).customer_id(user) for seed in range(300) for user in range(20)]
    assert names == [Record(seed).customer_id(user) for seed in range(300) for user in range(20)]
    assert len(set(names)) == len(names)
    shards = [shard_of(name, 2) for name in names]
    assert 0.4 < sum(shards) / len(shards) < 0.6
    assert Record(7).token != Record(77).token
    assert Record(7).number_of(Record(7).message_id(3)) == 3
    assert Record(7).number_of(Record(77).message_id(3)) is None


def test_there_is_a_probe_for_every_shard_whom_nobody_else_has() -> None:
    for seed in range(50):
        record = Record(seed)
        for shards in (1, 2, 5):
            users = one_of_each(record, shards)
            assert [shard_of(record.customer_id(u), shards) for u in users] == [*range(shards)]
            assert not set(users) & {*range(CLIENTS * USERS_EACH), *USERS}


async def test_speed_is_that_of_the_shard_that_takes_longest() -> None:
    record, clock = Record(1), ManualClock()

    class OneSlow:
        """Clients whose batches take 1 s, and 30 s for one user."""

        slow = -1

        async def insist(self, one: Sent) -> None:
            clock.advance(30_000 if one.user == self.slow else 1_000)
            record.acknowledge(one, clock.monotonic())

    clients = OneSlow()
    probes = Probes(cast(Clients, clients), record, clock, 2)
    assert await probes.speed_s(3) == 1.0
    for clients.slow in probes.users:
        assert await probes.speed_s(3) == 30.0
    assert len(record.sent) == record.acknowledged == 3 * 2 * 3


@pytest.mark.parametrize("status", [503, 429])
async def test_what_was_refused_is_sent_again_by_another_connection(status: int) -> None:
    edges, record = FakeEdges([status, status]), Record(1)
    async with edges.listening() as target:
        clients = Clients(target, record, SystemClock(), 1, patience_s=10.0)
        await clients.insist(record.begin(0, 0.0))
    assert edges.connections == [1, 2, 3]
    assert record.acknowledged == 1
