"""Webhooks of one's own that are well, slow or dead, and remember what they were sent."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web
from msgspec import Struct


class _Attributes(Struct):
    n: int


class _Data(Struct):
    custom_attributes: _Attributes


class _Event(Struct):
    data: _Data


class _Batch(Struct):
    mpid: int
    events: list[_Event]


# Attributes are text on the wire, whatever they came as.
_decode = msgspec.json.Decoder(_Batch, strict=False).decode


class EventReceiver:
    """One webhook, for batches whose events are numbered by the attribute `n`.

    Attributes:
        seen: number of an event to when it first came and was accepted, in the order of coming.
        users: number to the MPID that it came for.
        repeats: how often an event came that had been accepted before.
        delay_s: how long it takes to answer.
    """

    def __init__(self, name: str, monotonic: Callable[[], float]) -> None:
        self.name = name
        self.seen: dict[int, float] = {}
        self.users: dict[int, int] = {}
        self.repeats = 0
        self.delay_s = 0.0
        self.port = 0
        self._monotonic = monotonic
        self._runner: web.AppRunner | None = None

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen on a free port of this machine."""
        await self.revive()
        try:
            yield
        finally:
            await self.die()

    async def revive(self) -> None:
        """Listen, on the same port as before."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/in", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def die(self) -> None:
        """Answer no more: who connects is refused."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/in"

    @property
    def out_of_order(self) -> int:
        """How many events came after a later one of the same user."""
        last: dict[int, int] = {}
        wrong = 0
        for number in self.seen:
            user = self.users[number]
            wrong += number < last.get(user, -1)
            last[user] = max(number, last.get(user, -1))
        return wrong

    async def _take(self, request: web.Request) -> web.Response:
        now_s = self._monotonic()
        batch = _decode(await request.read())
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        for event in batch.events:
            number = event.data.custom_attributes.n
            if number in self.seen:
                self.repeats += 1
            else:
                self.seen[number] = now_s
                self.users[number] = batch.mpid
        return web.Response()
