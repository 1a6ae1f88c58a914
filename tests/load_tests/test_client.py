"""The HTTP client against a server that answers with given bytes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from load_tests.client import Channel, Target, request_bytes

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
_OK = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"


class _Script:
    """Answers each request with the next of some byte strings, in pieces if they are lists."""

    def __init__(self, *answers: list[bytes]) -> None:
        self.answers = list(answers)
        self.connections = 0
        self.heads: list[bytes] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.answers:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                for piece in self.answers.pop(0):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
            writer.close()
        except asyncio.IncompleteReadError:
            writer.close()


@asynccontextmanager
async def _serving(script: _Script) -> AsyncIterator[Channel]:
    server = await asyncio.start_server(script.handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    channel = Channel(Target("127.0.0.1", port, False, ""))
    async with server:
        yield channel
        channel.close()


def _get(path: str = "/") -> bytes:
    return request_bytes(Target("h", 1, False, "/base"), "GET", path, "Basic x")


async def test_a_connection_is_used_again() -> None:
    """Two requests, one connection."""
    script = _Script([_OK], [_OK])
    async with _serving(script) as channel:
        assert (await channel.exchange(_get("/a"))).status == 202
        assert (await channel.exchange(_get("/b"))).status == 202
    assert script.connections == 1
    assert script.heads[0].startswith(b"GET /base/a HTTP/1.1\r\nHost: h:1\r\n")
    assert b"\r\nAuthorization: Basic x\r\n" in script.heads[0]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param([b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"], id="length"),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\nContent-", b"Length: 5\r\n\r", b"\nhel", b"lo"], id="in pieces"
        ),
        pytest.param(
            [
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n",
                b"2;x=y\r\nlo\r\n0\r\n\r\n",
            ],
            id="in chunks",
        ),
    ],
)
async def test_a_body_is_read_whole(answer: list[bytes]) -> None:
    """However it is framed and however it arrives."""
    async with _serving(_Script(answer)) as channel:
        assert (await channel.exchange(_get())).body == b"hello"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("Retry-After: 7\r\n", 7.0), ("", None), ("Retry-After: soon\r\n", None)],
)
async def test_retry_after_is_read(header: str, seconds: float | None) -> None:
    """Whole seconds; anything else is as good as nothing."""
    answer = f"HTTP/1.1 429 Too Many\r\n{header}Content-Length: 0\r\n\r\n".encode()
    async with _serving(_Script([answer])) as channel:
        response = await channel.exchange(_get())
    assert (response.status, response.retry_after_s) == (429, seconds)


async def test_a_connection_that_the_server_closes_is_replaced() -> None:
    """With `Connection: close` no second request is tried on the old one."""
    closing = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    script = _Script([closing], [_OK])
    async with _serving(script) as channel:
        await channel.exchange(_get())
        await channel.exchange(_get())
    assert script.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param([], id="nothing"),
        pytest.param([b"HTTP/1.1 202 Acc"], id="half an answer"),
        pytest.param([b"SSH-2.0-x\r\n\r\n"], id="another protocol"),
        pytest.param([b"HTTP/1.1 200 OK\r\n\r\n"], id="a body without an end"),
    ],
)
async def test_an_answer_that_cannot_be_used_is_a_broken_connection(answer: list[bytes]) -> None:
    """The caller cannot know if the request was seen."""
    async with _serving(_Script(answer)) as channel:
        with pytest.raises(ConnectionError):
            await channel.exchange(_get())


async def test_nobody_listening_is_an_error_of_the_connection() -> None:
    """Port 1 of the loopback interface is not in use."""
    with pytest.raises(OSError, match="Connect"):
        await Channel(Target("127.0.0.1", 1, False, "")).exchange(_get())


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://127.0.0.1:8080", Target("127.0.0.1", 8080, False, "")),
        ("https://cdp.example/a/b/", Target("cdp.example", 443, True, "/a/b")),
        ("http://h", Target("h", 80, False, "")),
    ],
)
def test_a_base_url_is_read(url: str, target: Target) -> None:
    """Port and prefix have defaults."""
    assert Target.of(url) == target


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://h", "http://", "http://h:port"])
def test_a_url_of_another_kind_is_refused(url: str) -> None:
    """Without scheme or host, or of another protocol."""
    with pytest.raises(ValueError, match=r"URL|[Pp]ort"):
        Target.of(url)
