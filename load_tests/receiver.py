"""A webhook of one's own: notes when it is told that somebody has entered an audience."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web
from msgspec import Struct


class _Change(Struct):
    action: str
    identities: dict[str, str] = {}


class _Audience(Struct):
    name: str


class _Message(Struct):
    audience: _Audience
    changes: list[_Change] = []


_decode = msgspec.json.Decoder(_Message | list[_Message]).decode


class Receiver:
    """Takes the messages of an audience output.

    Args:
        audience: the name of the one whose members are noted.

    Attributes:
        url: where it listens.
        told_s: customer id to when the first message came that adds the customer to the audience.
        messages: how many came, of whatever audience.
    """

    def __init__(self, monotonic: Callable[[], float], audience: str) -> None:
        self.url = ""
        self.told_s: dict[str, float] = {}
        self.messages = 0
        self._monotonic = monotonic
        self._audience = audience

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen on a free port of this machine."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/in", self._take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/in"
            yield
        finally:
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        now_s = self._monotonic()
        found = _decode(await request.read())
        for message in found if isinstance(found, list) else [found]:
            self.messages += 1
            if message.audience.name != self._audience:
                continue
            for change in message.changes:
                customer = change.identities.get("customer_id")
                if change.action == "add" and customer is not None:
                    self.told_s.setdefault(customer, now_s)
        return web.Response()
