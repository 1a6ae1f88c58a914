"""Log lines of the actors' processes on the standard output of `headwater serve`.

Ray keeps the output of its workers in files of its own and would mark every line. So each process
sends its lines to a datagram socket, and `serve` writes them out. Nobody waits: what does not fit
into the socket, or finds no reader, goes to the process's own standard error.
"""

import asyncio
import io
import os
import socket
import sys
from pathlib import Path
from typing import TextIO

BUFFER_BYTES = 4 * 1024 * 1024
MAX_LINE_BYTES = 200 * 1024  # Linux refuses a datagram that is larger than the sender's buffer


class LogReceiver(asyncio.DatagramProtocol):
    """Writes what it receives, line by line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Write lines."""
        self._stream.write(data.decode(errors="replace"))
        self._stream.flush()


async def receive(path: Path, stream: TextIO) -> asyncio.DatagramTransport:
    """Begin to write the lines that are sent to a path; close the transport to end.

    `path` is new, in a folder that only this user can enter, and short: Linux takes 107 bytes.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    listener.setblocking(False)
    listener.bind(os.fspath(path))
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: LogReceiver(stream), sock=listener)
    return transport


class LogStream(io.TextIOBase):
    """Sends what is written to it to the path of a `LogReceiver`."""

    def __init__(self, path: Path) -> None:
        self._path = os.fspath(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)

    def write(self, text: str) -> int:
        """Send a text; on any trouble write it to standard error."""
        try:
            self._socket.sendto(text.encode(errors="replace")[:MAX_LINE_BYTES], self._path)
        except OSError:
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()
        super().close()
