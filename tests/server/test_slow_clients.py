"""Whoever sends slowly is left in the end, and disturbs nobody meanwhile."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import pytest
from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol
from aiohttp.test_utils import TestServer, make_mocked_request

import server.bodies
from server.app import RUNNER_OPTIONS
from server.bodies import read_body
from server.problems import BodyTimeout
from tests.jumping import jumping
from tests.server.conftest import World, basic
from tests.server.routes.identity import set_up

HEAD = (
    "POST /v2/events HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n"
    f"Authorization: {basic('k2:s2')['Authorization']}\r\n\r\n"
).encode()


@pytest.fixture
async def port(world: World) -> AsyncIterator[int]:
    """Serve the same application once more, to clients that need not send HTTP."""
    assert world.client.app is not None
    server = TestServer(world.client.app)
    await server.start_server(**RUNNER_OPTIONS | {"keepalive_timeout": 0.1, "lingering_time": 0.1})
    assert server.port is not None
    yield server.port
    assert server.runner is not None
    await server.runner.cleanup()


async def answer_to(port: int, data: bytes) -> bytes:
    """Send something; return all that comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        return b""
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@pytest.mark.parametrize("sent", [b"", b"POST /v2/eve", HEAD[:-2]], ids=["nothing", "line", "head"])
async def test_a_head_that_does_not_come_is_not_awaited_for_ever(
    world: World, port: int, sent: bytes
) -> None:
    waiting = asyncio.create_task(answer_to(port, sent))
    assert (await world.client.get("/healthz")).status == 200
    assert await waiting == b""


async def test_a_body_that_does_not_come_is_answered_408(
    world: World, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.bodies, "BODY_TIMEOUT_S", 0.1)
    waiting = asyncio.create_task(answer_to(port, HEAD + b'{"events":'))
    assert (await world.client.get("/healthz")).status == 200
    answer = await waiting
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"REQUEST_TIMEOUT"' in answer
    assert world.deployment.calls == 0


async def sent_in_pieces(pieces: int, size: int, pause_s: float) -> bytes:
    """Return what is read of a body that comes in pieces, with a pause before each."""
    loop = asyncio.get_running_loop()
    protocol = BaseProtocol(loop)
    protocol.connection_made(asyncio.Transport())
    content = StreamReader(protocol, 2**16, loop=loop)
    request = make_mocked_request("POST", "/", payload=content)

    async def send() -> None:
        for _ in range(pieces):
            await asyncio.sleep(pause_s)
            content.feed_data(b"a" * size)
        content.feed_eof()

    sending = loop.create_task(send())
    try:
        return await read_body(request, 2**21)
    finally:
        sending.cancel()


def test_a_slow_phone_has_the_time_that_a_large_body_takes() -> None:
    """2 MiB at 40 kbit/s: seven minutes."""
    with jumping() as runner:
        assert len(runner.run(sent_in_pieces(512, 4096, 0.8))) == 2**21
        assert 400 < runner.get_loop().time() < 420


@pytest.mark.parametrize(
    ("pieces", "size", "pause_s", "ends_s"),
    [(1000, 1, 1.0, 30), (100, 2000, 1.0, 58), (2, 2**20, 31.0, 30)],
    ids=["a trickle", "too slow", "silent"],
)
def test_who_only_keeps_the_connection_is_left(
    pieces: int, size: int, pause_s: float, ends_s: float
) -> None:
    with jumping() as runner:
        with pytest.raises(BodyTimeout):
            runner.run(sent_in_pieces(pieces, size, pause_s))
        assert runner.get_loop().time() == pytest.approx(ends_s, abs=1)


CLIENT_PATHS = {
    "web": "/v3/JS/key-web-1/events",
    "native": "/v2/key-web-1/events",
    "segment": "/v1/batch",
    "segment by body": "/v1/identify",
    "identity": "/v1/login",
    "alias": "/v1/identity/key-web-1/alias",
}


@pytest.mark.parametrize("path", CLIENT_PATHS.values(), ids=CLIENT_PATHS)
async def test_what_client_sdks_send_too_slowly_is_answered_503(
    world: World, port: int, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """They throw away what is answered 4xx (spec/clients.md, 2.1, 5.1 and 6.2)."""
    set_up(world)
    monkeypatch.setattr(server.bodies, "BODY_TIMEOUT_S", 0.1)
    lines = [f"POST {path} HTTP/1.1", "Host: a", "Content-Length: 100"]
    if path == "/v1/login":
        lines.append("x-mp-key: key-web-1")
    answer = await answer_to(port, "\r\n".join([*lines, "", "{"]).encode())
    assert answer.startswith(b"HTTP/1.1 503 "), answer
    assert b"Retry-After: 1\r\n" in answer
    assert world.deployment.calls == 0


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01 no HTTP at all\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nAuthorization: secret-in-\x00-it\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"X-Many: a\r\n" * 5000 + b"\r\n",
        b"POST /v2/events HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /v2/events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    ],
)
async def test_what_is_no_http_is_answered_400_and_is_no_fault_of_the_server(
    world: World, port: int, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    caplog.set_level(logging.INFO, "headwater")
    answer = await answer_to(port, sent)
    assert answer[9:12] in (b"400", b"401", b"")  # nothing, where more is sent than was read
    assert all(record.levelno < logging.ERROR for record in caplog.records)
    assert "secret-in" not in caplog.text
    assert (await world.client.get("/healthz")).status == 200
