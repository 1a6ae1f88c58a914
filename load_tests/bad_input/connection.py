"""A connection that sends what it is given, HTTP or not, and reads what comes back."""

import asyncio
from typing import NamedTuple

ANSWER_S = 15.0
PATIENCE_S = 0.2


class Answer(NamedTuple):
    """What came back: `status` 0 if the server closed without one; `is_open` for one more."""

    status: int
    head: bytes
    body: bytes
    is_open: bool


class Hang(Exception):
    """Nothing came back in time."""


class Connection:
    """One connection at a time, made anew when it was closed."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes, *, is_head: bool = False) -> Answer:
        """Send a request and return the answer.

        A kept connection may be closed before the request arrives, as after a body that was not
        read: then it is sent again on a new one.

        Raises:
            Hang: there was none within `ANSWER_S`.
            OSError: nobody listens.
        """
        was_kept = self._streams is not None
        answer = await self._ask(request, is_head=is_head)
        if answer.status == 0 and was_kept:
            answer = await self._ask(request, is_head=is_head)
        return answer

    async def _ask(self, request: bytes, *, is_head: bool) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        try:
            async with asyncio.timeout(ANSWER_S):
                writer.write(request)
                await writer.drain()
                answer = await _read(reader, is_head=is_head)
        except TimeoutError:
            self.close()
            raise Hang from None
        except (ConnectionError, asyncio.IncompleteReadError):
            self.close()
            return Answer(0, b"", b"", is_open=False)
        if not answer.is_open:
            self.close()
        return answer

    async def ask_last(self, request: bytes) -> Answer:
        """Send what may not be a request, and nothing more, on a connection of its own.

        The server may rightly wait for more: soon the client goes away.

        Raises:
            OSError: nobody listens.
        """
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            async with asyncio.timeout(PATIENCE_S):
                writer.write(request)
                return await _read(reader, is_head=True)
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            return Answer(0, b"", b"", is_open=False)
        finally:
            writer.close()

    def close(self) -> None:
        """Close it; the next request opens another one."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _read(reader: asyncio.StreamReader, *, is_head: bool) -> Answer:
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    lower = head.lower()
    is_open = b"connection: close" not in lower
    if is_head or status in (204, 304):
        return Answer(status, head, b"", is_open)
    if b"transfer-encoding: chunked" in lower:
        return Answer(status, head, await _chunks(reader), is_open)
    start = lower.find(b"content-length:")
    if start < 0:
        return Answer(status, head, await reader.read(), is_open=False)
    length = int(lower[start + 15 : lower.index(b"\r\n", start)])
    body = await reader.readexactly(length) if length else b""
    return Answer(status, head, body, is_open)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int((await reader.readline()).split(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readline()
    return b"".join(parts)
