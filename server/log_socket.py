"""Log lines of the actors' processes on the standard output of `headwater serve`.

Ray keeps the output of its workers in files of its own and would mark every line. So each process
sends its lines to a socket, a packet each, and `serve` writes them out. Nobody waits: what does not
fit into the socket, or finds no reader, goes to the process's own standard error.
"""

import asyncio
import io
import os
import socket
import sys
from pathlib import Path
from typing import TextIO

BUFFER_BYTES = 4 * 1024 * 1024
MAX_LINE_BYTES = 100 * 1024  # half of the buffer that Linux grants without more rights


class LogReceiver:
    """Writes the lines that are sent to a path, until it is closed."""

    def __init__(self, path: Path, stream: TextIO) -> None:
        """Begin to receive; needs a running event loop.

        Args:
            path: new, in a folder that only this user can enter, and short: Linux takes 107 bytes.
            stream: what is written to.
        """
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.setblocking(False)
        self._listener.bind(os.fspath(path))
        self._listener.listen()
        self._senders: set[socket.socket] = set()
        self._loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Stop receiving; what has arrived is written."""
        self._loop.remove_reader(self._listener)
        self._listener.close()
        for sender in list(self._senders):
            self._read(sender)
            self._forget(sender)

    def _accept(self) -> None:
        try:
            sender, _ = self._listener.accept()
        except BlockingIOError:
            return
        sender.setblocking(False)
        self._senders.add(sender)
        self._loop.add_reader(sender, self._read, sender)

    def _read(self, sender: socket.socket) -> None:
        """Write all that a process has sent."""
        while True:
            try:
                packet = sender.recv(MAX_LINE_BYTES)
            except BlockingIOError:
                break
            except OSError:
                packet = b""
            if not packet:
                self._forget(sender)
                break
            self._stream.write(packet.decode(errors="replace"))
        self._stream.flush()

    def _forget(self, sender: socket.socket) -> None:
        if sender in self._senders:
            self._senders.discard(sender)
            self._loop.remove_reader(sender)
            sender.close()


class LogStream(io.TextIOBase):
    """Sends what is written to it to the path of a `LogReceiver`."""

    def __init__(self, path: Path) -> None:
        self._path = os.fspath(path)
        self._socket: socket.socket | None = None

    def write(self, text: str) -> int:
        """Send a text; on any trouble write it to standard error."""
        try:
            self._connected().send(_packet(text))
        except BlockingIOError:
            sys.stderr.write(text)
        except OSError:
            self._disconnect()
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Let go of the socket."""
        self._disconnect()
        super().close()

    def _connected(self) -> socket.socket:
        if self._socket is None:
            sender = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                sender.setblocking(False)
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
                sender.connect(self._path)
            except OSError:
                sender.close()
                raise
            self._socket = sender
        return self._socket

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _packet(text: str) -> bytes:
    """Return a text as it is sent: one that is too long is cut, but still ends its line."""
    packet = text.encode(errors="replace")
    if len(packet) <= MAX_LINE_BYTES:
        return packet
    end = b"\n" if text.endswith("\n") else b""
    return packet[: MAX_LINE_BYTES - len(end)] + end
