"""A lean HTTP/1.1 client: one request at a time per connection, kept alive.

General clients cost several times the processor time of the server's own work on a small batch,
which on a shared machine would be measured as slowness of the server.
"""

import asyncio
import ssl
from typing import NamedTuple, cast
from urllib.parse import urlsplit

_CONNECT_TIMEOUT_S = 5.0
_RESPONSE_TIMEOUT_S = 30.0


class Target(NamedTuple):
    """Where requests go. `prefix` is the path of the base URL, without a slash at its end."""

    host: str
    port: int
    is_tls: bool
    prefix: str

    @classmethod
    def of(cls, url: str) -> "Target":
        """Read a base URL such as http://127.0.0.1:8080.

        Raises:
            ValueError: it is not an http or https URL with a host.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not an http or https URL: {url}")
        is_tls = parts.scheme == "https"
        port = parts.port or (443 if is_tls else 80)
        return cls(parts.hostname, port, is_tls, parts.path.rstrip("/"))


class Response(NamedTuple):
    """One answer. `retry_after_s` is `None` without a usable Retry-After."""

    status: int
    retry_after_s: float | None
    body: bytes


def request_bytes(
    target: Target, method: str, path: str, authorization: str, body: bytes = b""
) -> bytes:
    """Return a whole request; `authorization` is the header's value, `""` for none."""
    return request_head(target, method, path, authorization, len(body)) + body


def request_head(
    target: Target, method: str, path: str, authorization: str, body_bytes: int
) -> bytes:
    """Return the head of a request with a JSON body of `body_bytes`."""
    lines = [
        f"{method} {target.prefix}{path} HTTP/1.1",
        f"Host: {target.host}:{target.port}",
        "Content-Type: application/json",
        f"Content-Length: {body_bytes}",
    ]
    if authorization:
        lines.append(f"Authorization: {authorization}")
    return "\r\n".join([*lines, "", ""]).encode()


class _Connection(asyncio.Protocol):
    """One TCP connection: hands each complete response to whoever waits for it."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._waiter: asyncio.Future[Response] | None = None
        self.is_open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by shape only

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ConnectionResetError("connection closed before an answer"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        try:
            response, closes = _parse(self._buffer)
        except ValueError:
            waiter.set_exception(ConnectionError("answer is not HTTP/1.1"))
            self.close()
            return
        if response is None:
            return
        self._buffer.clear()
        if closes:
            self.close()
        waiter.set_result(response)

    def send(self, request: bytes) -> asyncio.Future[Response]:
        """Write a request and return the future of its response."""
        assert self._transport is not None
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._waiter

    def close(self) -> None:
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()


class Channel:
    """Sends one request after the other to one target, over a connection that is made as needed."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._tls = ssl.create_default_context() if target.is_tls else None
        self._connection: _Connection | None = None

    async def exchange(self, request: bytes) -> Response:
        """Send a request and wait for its response.

        Raises:
            OSError: no connection, the connection broke, or no answer in time. The server may
                or may not have seen the request.
        """
        connection = self._connection
        try:
            if connection is None or not connection.is_open:
                connection = await self.connect()
            async with asyncio.timeout(_RESPONSE_TIMEOUT_S):
                return await connection.send(request)
        except BaseException:
            self.close()  # a late answer must not be taken for that of the next request
            raise

    async def connect(self) -> _Connection:
        """Open a connection now; OSError when nothing answers in time."""
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            _, self._connection = await asyncio.get_running_loop().create_connection(
                _Connection, self._target.host, self._target.port, ssl=self._tls
            )
        return self._connection

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _parse(buffer: bytearray) -> tuple[Response | None, bool]:
    """Return the response in the buffer, `None` if it is not complete, and if it is the last.

    Raises:
        ValueError: this is no response, or its end cannot be known.
    """
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None, False
    head = bytes(buffer[: end + 2]).lower()
    if not head.startswith(b"http/1."):
        raise ValueError("no status line")
    length = _header(head, b"content-length")
    if length is not None:
        stop = end + 4 + int(length)
        body = bytes(buffer[end + 4 : stop]) if len(buffer) >= stop else None
    elif _header(head, b"transfer-encoding") == b"chunked":
        body = _dechunk(buffer, end + 4)
    else:
        raise ValueError("neither length nor chunks")
    if body is None:
        return None, False
    after = _header(head, b"retry-after")
    retry_after_s = float(after) if after is not None and after.isdigit() else None
    return Response(int(head[9:12]), retry_after_s, body), b"\r\nconnection: close\r\n" in head


def _header(head: bytes, name: bytes) -> bytes | None:
    start = head.find(b"\r\n" + name + b":")
    if start < 0:
        return None
    start += len(name) + 3
    return head[start : head.index(b"\r\n", start)].strip()


def _dechunk(buffer: bytearray, start: int) -> bytes | None:
    """Return the body that begins at `start`, `None` if chunks are missing."""
    parts: list[bytes] = []
    while True:
        line_end = buffer.find(b"\r\n", start)
        if line_end < 0:
            return None
        size = int(bytes(buffer[start:line_end]).partition(b";")[0], 16)
        start = line_end + 2
        if len(buffer) < start + size + 2:
            return None
        if size == 0:
            return b"".join(parts)
        parts.append(bytes(buffer[start : start + size]))
        start += size + 2
