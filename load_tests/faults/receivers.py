"""Webhooks that can be made to refuse, hang, answer garbage or errors, or break off.

They note what they take, also where the sender cannot know that they have: it sends that again,
and a receiver recognises it.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable

import msgspec
from msgspec import Struct

WELL = "well"
_GARBAGE = b"\x00\xffthis is not HTTP\r\n\r\n"
_ERROR = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"
_CUT = b"HTTP/1.1 200 OK\r\nContent-Le"
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_ANSWERS = {WELL: _OK, "garbage": _GARBAGE, "error": _ERROR, "cut": _CUT}


class _Data(Struct):
    source_message_id: str | None = None
    event_id: int | str | None = None


class _Event(Struct):
    data: _Data


class _Batch(Struct):
    mpid: int
    batch_id: int | str
    events: list[_Event] = []


class _Audience(Struct):
    name: str


class _Change(Struct):
    mpid: int
    action: str


class _Message(Struct):
    type: str
    audience: _Audience | None = None
    changes: list[_Change] = []


class FaultyReceiver:
    """One address, that takes bodies and is in one mode or another.

    Attributes:
        mode: `well`, or how it misbehaves; it takes what comes in every mode but `refuse` and
            `error`.
    """

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self.mode = WELL
        self._take = take
        self._server: asyncio.Server | None = None
        # Bound for as long as it lives, and never listened on: nobody else gets the port while
        # nobody listens, and who connects then is refused.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._place.bind(("127.0.0.1", 0))
        self._port: int = self._place.getsockname()[1]
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}/in"

    async def start(self) -> None:
        """Listen, always on the same port."""
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self._port, reuse_port=True
        )

    async def stop(self) -> None:
        """End it."""
        self._refuse()
        self._place.close()

    async def turn(self, mode: str) -> None:
        """Change the mode."""
        self.mode = mode
        if mode == "refuse":
            self._refuse()
        elif self._server is None:
            await self.start()
        else:
            self._break_off()

    def _refuse(self) -> None:
        """Listen no more, and break off what is under way."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._break_off()

    def _break_off(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError, EOFError, ValueError):
                while await self._answer(reader, writer):
                    pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(_length(head))
        mode = self.mode
        if mode != "error":
            self._take(body)
        if mode == "hang":
            await reader.read()  # until the sender or `turn` ends it
            return False
        writer.write(_ANSWERS.get(mode, _OK))
        await writer.drain()
        return mode in (WELL, "error")


class EventLog:
    """What an event output has been given.

    Attributes:
        arrivals: MPID to the message ids in the order of coming, repeats included.
        applied: message id to the MPID and the event id under which it came first.
        otherwise: and those under which it came besides; any means that it was applied twice.
    """

    def __init__(self) -> None:
        self.arrivals: dict[int, list[str]] = {}
        self.applied: dict[str, tuple[int, str]] = {}
        self.otherwise: dict[str, set[tuple[int, str]]] = {}
        self._decode = msgspec.json.Decoder(_Batch).decode

    def take(self, body: bytes) -> None:
        """Note a body."""
        batch = self._decode(body)
        for event in batch.events:
            message_id = event.data.source_message_id
            if message_id is not None:
                self.arrivals.setdefault(batch.mpid, []).append(message_id)
                under = batch.mpid, str(event.data.event_id)
                if self.applied.setdefault(message_id, under) != under:
                    self.otherwise.setdefault(message_id, set()).add(under)


class MemberLog:
    """What an audience output has been told.

    Attributes:
        members: MPID to the last action by audience name.
    """

    def __init__(self) -> None:
        self.members: dict[int, dict[str, str]] = {}
        self._decode = msgspec.json.Decoder(_Message).decode

    def take(self, body: bytes) -> None:
        """Note a body."""
        message = self._decode(body)
        if message.audience is not None:
            for change in message.changes:
                actions = self.members.setdefault(change.mpid, {})
                actions[message.audience.name] = change.action

    def audiences_of(self, mpid: int) -> set[str]:
        """Return the names of the audiences that a user is in."""
        found = self.members.get(mpid, {}).items()
        return {name for name, action in found if action == "add"}


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
