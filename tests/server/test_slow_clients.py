"""Whoever sends slowly is left in the end, and disturbs nobody meanwhile."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestServer

import server.bodies
from server.app import RUNNER_OPTIONS
from tests.server.conftest import World, basic

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
