"""Moves slots between the shards all the time, by the admin port."""

import asyncio
import random

import msgspec

from load_tests.client import Channel, Response, Target, request_bytes
from load_tests.reader import Access, ReadBackFailed, fetch_token

_ATTEMPT_S = 60.0
_PAUSE_S = 0.05  # between two moves, and after a refusal


class Mover:
    """Has random slots moved; what is refused, or breaks off, is let go.

    Attributes:
        passes: how many were done.
    """

    def __init__(self, target: Target, admin: Target, access: Access, seed: int) -> None:
        """Args: `admin` is the admin port of the deployment at `target`."""
        self.passes = 0
        self._target = target
        self._admin = admin
        self._access = access
        self._random = random.Random(f"moves {seed}")  # repeatable

    async def run(self) -> None:
        """Move slots, for ever."""
        token, channel = "", Channel(self._admin)
        try:
            while True:
                try:
                    token = token or await fetch_token(self._target, self._access)
                    await self._move(channel, token)
                except (OSError, ReadBackFailed):
                    token = ""
                await asyncio.sleep(_PAUSE_S)
        finally:
            channel.close()

    async def _move(self, channel: Channel, token: str) -> None:
        answer = await self._ask(channel, token, "GET", b"")
        if answer.status != 200:
            return
        shown = msgspec.json.decode(answer.body)
        run = self._random.choice(shown["runs"])
        first = self._random.randint(run["first"], run["last"])
        others = [number for number in range(len(shown["shards"])) if number != run["shard"]]
        wanted = {"first": first, "last": run["last"], "to": self._random.choice(others)}
        answer = await self._ask(channel, token, "POST", msgspec.json.encode(wanted))
        self.passes += answer.status == 200

    async def _ask(self, channel: Channel, token: str, method: str, body: bytes) -> Response:
        request = request_bytes(self._admin, method, "/admin/slots", f"Bearer {token}", body)
        async with asyncio.timeout(_ATTEMPT_S):
            return await channel.exchange(request)
