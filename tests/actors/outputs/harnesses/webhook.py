"""The module `webhook` beside an HTTP server."""

import asyncio
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.actors.forwarding.support import Receiver
from tests.actors.outputs.harness import Fault, Harness, Received, members

STATUS: dict[Fault, int] = {"retryable": 503, "fatal": 400}


class WebhookHarness(Harness):
    """An HTTP server."""

    module = "webhook"
    faults = frozenset({"retryable", "fatal", "slow", "gone"})
    secrets = {  # noqa: RUF012  # read only
        "authorization_header": "Token hidden",
        "headers": {"X-Key": "hidden"},
        "signing_secret": "whsec_hiddenhiddenhiddenhiddenhiddenhidden",
    }
    wrong = (
        ({"url": "ftp://a.example"}, "settings.url"),
        ({"url": "https://a.example:99999/in"}, "settings.url"),
        ({"timeout_s": "30"}, "settings.timeout_s"),
        ({"batch": {"max_batches": 0}}, "settings.batch.max_batches"),
    )

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._receiver = Receiver()
        self._is_there = False

    async def start(self) -> None:
        """Listen."""
        await self._receiver.start()
        self._is_there = True

    async def stop(self) -> None:
        """Answer what hangs, and listen no more."""
        if self._receiver.gate is not None:
            self._receiver.gate.set()
        if self._is_there:
            self._is_there = False
            await self._receiver.stop()

    def settings(self) -> dict[str, Any]:
        """Post to the server."""
        return {"url": self._receiver.url}

    def impatient(self) -> dict[str, Any]:
        """Wait as long as a test can."""
        return {"timeout_s": 0.1}

    async def set_fault(self, fault: Fault | None) -> None:
        """Answer another status, hang, or go away."""
        if not self._is_there:
            await self.start()
        if self._receiver.gate is not None:
            self._receiver.gate.set()
        self._receiver.gate = asyncio.Event() if fault == "slow" else None
        status = STATUS.get(fault or "gone", 200)
        self._receiver.answer = lambda request: self._answer(status)
        if fault == "gone":
            await self.stop()

    def _answer(self, status: int) -> web.Response:
        if status != 200:
            self._receiver.requests.pop()
        return web.Response(status=status, text="because")

    def is_asked(self) -> bool:
        """A request came that waits at the gate."""
        return bool(self._receiver.requests)

    async def received(self) -> list[Received]:
        """Return what was answered with success, tests left out."""
        return [
            members(headers["x-cdp-delivery-id"], body)
            for headers, body in self._receiver.requests
            if "x-cdp-test" not in headers
        ]
