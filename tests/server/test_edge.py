"""An edge put together for several workspaces: whose shards get what, and what waits for them."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple, cast

import pytest
from aiohttp import ClientResponse, ClientSession
from aiohttp.test_utils import TestClient, TestServer
from msgspec import structs

from actors.audiences.handles import AudienceDeskHandle
from actors.calculated.desk import CalculatedDesk
from actors.clock import ManualClock, SystemClock, SystemRandomness
from actors.errors import CannotListen
from actors.groups.handles import GroupDeskHandle
from actors.handles import CoordinatorHandle, ShardHandle
from actors.metric_groups import EdgeMetrics
from server import tls
from server.app import RUNNER_OPTIONS
from server.config_gateway import ConfigDeskHandle, ForwarderHandle
from server.edge import EdgeProcess, EdgeWorkspace
from server.limit_file import LimitFile
from server.limits import RateLimiter
from server.microbatch import ITEM_OVERHEAD_BYTES, QueueOptions
from server.ports import check_port
from server.privacy_gateway import PrivacyGateway
from server.tls import Tls
from tests.actors.outputs.harness import eventually
from tests.clients.tools import certificate, free_port
from tests.server.conftest import WORKSPACE, Client, basic, config_with, key_info
from tests.server.test_microbatch import SlowShard

BATCH = b'{"mpid": 1}'  # all for one of the shards


class SlowBatches(SlowShard):
    """A slow shard that is sent real batches; all are of MPID 1."""

    def numbers(self, call: int) -> list[int]:
        return [1] * len(self.calls[call].items)


class Slow(NamedTuple):
    """An edge of two workspaces whose shards answer when the test says so."""

    edge: EdgeProcess
    client: Client
    shards: list[list[SlowBatches]]

    def send(self, number: int) -> "asyncio.Task[ClientResponse]":
        """Begin to send a batch for a workspace."""
        headers = basic(f"feed-{number}:s")

        async def post() -> ClientResponse:
            return await self.client.post("/v2/events", data=BATCH, headers=headers)

        return asyncio.create_task(post())

    def shown(self, name: str, **labels: str) -> float | None:
        self.edge.show()
        return self.edge.metrics.registry.get_sample_value(f"headwater_{name}", labels)


def workspace(number: int, shards: list[SlowBatches]) -> EdgeWorkspace:
    key = f"feed-{number}"
    return EdgeWorkspace(
        config_with(workspace=number, revision=number, keys={key: key_info(key, "s", 1)}),
        structs.replace(WORKSPACE, number=number, id=f"w{number}", scope=number),
        [cast(ShardHandle, each) for each in shards],
        cast(CoordinatorHandle, None),
        cast(GroupDeskHandle, None),
        cast(AudienceDeskHandle, None),
        cast(CalculatedDesk, None),
        cast(PrivacyGateway, None),
        cast(ConfigDeskHandle, None),
        cast(Callable[[str], ForwarderHandle], None),
    )


def edge_of(
    workspaces: list[EdgeWorkspace],
    clock: ManualClock,
    limit_file: LimitFile,
    served: Tls | None = None,
) -> EdgeProcess:
    return EdgeProcess(
        workspaces,
        QueueOptions(calls_in_flight=1, max_micro_batch_bytes=1000, max_queue_bytes=10_000),
        RateLimiter(limit_file),
        EdgeMetrics("test"),
        clock,
        SystemRandomness(),
        served,
    )


@pytest.fixture
async def slow(clock: ManualClock, limit_file: LimitFile) -> AsyncIterator[Slow]:
    shards = [[SlowBatches(), SlowBatches()] for _ in range(2)]
    edge = edge_of([workspace(3, shards[0]), workspace(4, shards[1])], clock, limit_file)
    server = TestServer(edge.app)
    await server.start_server(**RUNNER_OPTIONS)
    async with TestClient(server) as client:
        yield Slow(edge, client, shards)


async def test_a_port_that_is_taken_is_named_and_tried_again(
    clock: ManualClock, limit_file: LimitFile
) -> None:
    """It may be one of another machine, where nobody has looked before."""
    edge = edge_of([workspace(3, [SlowBatches()])], clock, limit_file)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        reason = rf"^127\.0\.0\.1:{port} cannot be listened on: .*address already in use"
        with pytest.raises(CannotListen, match=reason):
            await edge.start("127.0.0.1", port)
    assert await edge.start("127.0.0.1", port) == port
    async with ClientSession() as session:
        assert (await session.get(f"http://127.0.0.1:{port}/healthz")).status == 200
    await edge.stop()


async def test_a_certificate_that_is_not_there_leaves_no_port_open(
    clock: ManualClock, limit_file: LimitFile, tmp_path: Path
) -> None:
    """Such as one that a node of a cluster does not have."""
    port, absent = free_port(), tmp_path / "absent.pem"
    of_none = Tls(absent, absent, 4443)
    edge = edge_of([workspace(3, [SlowBatches()])], clock, limit_file, of_none)
    with pytest.raises(CannotListen, match=r"127\.0\.0\.1:4443 .*: No such file or directory$"):
        await edge.start("127.0.0.1", port)
    check_port("127.0.0.1", port, SystemClock())


async def _certificate_at(port: int, name: str) -> bytes:
    """Return the certificate that a new connection is shown, which asks for a name or for none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname=name, ssl_handshake_timeout=10
    )
    shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return shown


@pytest.mark.parametrize("name", ["localhost", ""], ids=["by name", "by address"])
async def test_a_new_connection_is_shown_the_renewed_certificate(
    clock: ManualClock,
    limit_file: LimitFile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    """While only half of it is there, the former one is shown."""
    monkeypatch.setattr(tls, "LOOK_S", 0.01)
    (cert, key), port = certificate(tmp_path), free_port()
    edge = edge_of([workspace(3, [SlowBatches()])], clock, limit_file, Tls(cert, key, port))
    await edge.start("127.0.0.1", 0)
    former = ssl.PEM_cert_to_DER_cert(cert.read_text())
    assert await _certificate_at(port, name) == former
    (tmp_path / "renewed").mkdir()
    renewed = certificate(tmp_path / "renewed")
    renewed[0].replace(cert)
    refused = "certificate_refused"
    await eventually(lambda: refused in [vars(each).get("event") for each in caplog.records])
    assert await _certificate_at(port, name) == former
    renewed[1].replace(key)
    expected = ssl.PEM_cert_to_DER_cert(cert.read_text())
    async with asyncio.timeout(10):
        while await _certificate_at(port, name) != expected:
            pass
    await edge.stop()


async def test_who_comes_by_https_is_told_to_stay_with_it(
    clock: ManualClock, limit_file: LimitFile, tmp_path: Path
) -> None:
    """Errors too; by HTTP nothing is said of it: a browser would not heed it, and a proxy before
    us has its own word."""
    (cert, key), port = certificate(tmp_path), free_port()
    edge = edge_of([workspace(3, [SlowBatches()])], clock, limit_file, Tls(cert, key, port))
    plain = await edge.start("127.0.0.1", 0)
    try:
        async with ClientSession() as session:
            for path in ("/healthz", "/v2/events", "/nowhere"):
                async with session.get(f"https://127.0.0.1:{port}{path}", ssl=False) as answer:
                    told = answer.headers["Strict-Transport-Security"]
                assert told == "max-age=31536000"
                forwarded = {"X-Forwarded-Proto": "https"}
                async with session.get(
                    f"http://127.0.0.1:{plain}{path}", headers=forwarded
                ) as answer:
                    assert "Strict-Transport-Security" not in answer.headers
    finally:
        await edge.stop()


async def test_batches_go_to_their_own_workspaces_shards(slow: Slow) -> None:
    """As micro-batches of a number that the other workspace's do not have."""
    for index, number in enumerate((3, 4)):
        sent = slow.send(number)
        shard = slow.shards[index][0]
        await shard.called.get()
        shard.answer(0)
        assert (await sent).status == 202
    assert [[len(shard.calls) for shard in some] for some in slow.shards] == [[1, 0], [1, 0]]
    assert slow.shards[0][0].calls[0].edge != slow.shards[1][0].calls[0].edge


async def test_what_waits_is_shown_over_all_workspaces(slow: Slow, clock: ManualClock) -> None:
    """Batches and bytes as sums, the lag as that of the oldest; a shard that is idle shows 0."""
    under_way = [slow.send(3), slow.send(4)]
    for shards in slow.shards:
        await shards[0].called.get()
    waiting = []
    for number, count in ((4, 1), (3, 3)):
        for _ in range(2):
            waiting.append(slow.send(number))
            await waited(slow, count)
            count += 1
        clock.advance(1500)
    gauges = [f"ingest_{name}" for name in ("queue_depth", "queue_bytes", "lag_seconds")]
    size = len(BATCH) + ITEM_OVERHEAD_BYTES
    assert [slow.shown(name, shard="0") for name in gauges] == [4, 4 * size, 3.0]
    assert [slow.shown(name, shard="1") for name in gauges] == [0, 0, 0]
    for shards in slow.shards:
        shards[0].answer(0)
    for shards in slow.shards:
        await shards[0].called.get()
        shards[0].answer(1)
    answers = await asyncio.gather(*under_way, *waiting)
    assert {each.status for each in answers} == {202}
    assert [slow.shown(name, shard="0") for name in gauges] == [0, 0, 0]


async def test_each_workspace_shows_its_revision(slow: Slow) -> None:
    shown = [slow.shown("config_revision", workspace=name) for name in ("w3", "w4", "w5")]
    assert shown == [3, 4, None]


async def waited(slow: Slow, count: int) -> None:
    """Wait until some batches wait for the shard."""
    async with asyncio.timeout(20):
        while slow.shown("ingest_queue_depth", shard="0") != count:  # noqa: ASYNC110  # a gauge
            await asyncio.sleep(0.001)
