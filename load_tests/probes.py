"""Users who each send the one event that makes a member of them, half of them after another one.

Who is new has to be given a profile before anything else is done; who is known has one already, as
most users of a deployment have.
"""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
from msgspec import Struct

from actors.clock import Clock
from load_tests.client import Channel, Target, request_bytes
from load_tests.generator import LoadFailed
from load_tests.server_process import KEY

EVENT = "Probe"
INTRODUCTION = "Introduced"
_CHANNELS = 16
_RETRY_S = 0.05  # after a refusal


class Probe(Struct, kw_only=True):
    """One user and its event.

    Attributes:
        customer: its customer id.
        is_known: it has sent another event before.
        due_s, answered_s: when the event was due, and when it was acknowledged, if it was.
    """

    customer: str
    is_known: bool
    due_s: float
    answered_s: float | None = None


class _User(NamedTuple):
    customer: str
    is_known: bool


class Probes:
    """Users enough for a run; every other one is to be known.

    Args:
        url: of the deployment of `make load`.
        offsets_s: when their events are due, since the beginning of `send`; ascending.
    """

    def __init__(self, url: str, offsets_s: Sequence[float], clock: Clock) -> None:
        self._target = Target.of(url)
        self._clock = clock
        self._offsets_s = offsets_s
        self._users = [
            _User(f"probe-{number}", is_known=number % 2 == 1) for number in range(len(offsets_s))
        ]

    async def introduce(self) -> None:
        """Let those who are to be known send an event that makes no member of them.

        Raises:
            LoadFailed: an event was not acknowledged.
        """
        waiting = iter([user.customer for user in self._users if user.is_known])
        failed = 0

        async def work() -> None:
            nonlocal failed
            channel = Channel(self._target)
            try:
                for customer in waiting:
                    failed += not await self._is_acknowledged(channel, customer, INTRODUCTION)
            finally:
                channel.close()

        async with asyncio.TaskGroup() as group:
            for _ in range(_CHANNELS):
                group.create_task(work())
        if failed:
            raise LoadFailed(f"{failed} users could not be made known")

    async def send(self, is_over: Callable[[], bool]) -> list[Probe]:
        """Send until there is no user left, or none is wanted any more; return what was sent."""
        due: asyncio.Queue[Probe] = asyncio.Queue()
        sent = []
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(self._send_due(due)) for _ in range(_CHANNELS)]
            started_s = self._clock.monotonic()
            for user, offset_s in zip(self._users, self._offsets_s, strict=True):
                due_s = started_s + offset_s
                await asyncio.sleep(max(due_s - self._clock.monotonic(), 0.0))
                if is_over():
                    break
                probe = Probe(customer=user.customer, is_known=user.is_known, due_s=due_s)
                sent.append(probe)
                due.put_nowait(probe)
            await due.join()
            for worker in workers:
                worker.cancel()
        return sent

    async def _send_due(self, due: "asyncio.Queue[Probe]") -> None:
        channel = Channel(self._target)
        try:
            while True:
                probe = await due.get()
                if await self._is_acknowledged(channel, probe.customer, EVENT):
                    probe.answered_s = self._clock.monotonic()
                due.task_done()
        finally:
            channel.close()

    async def _is_acknowledged(self, channel: Channel, customer: str, event_name: str) -> bool:
        """Send an event of a user, again while it is refused; tell whether it was acknowledged."""
        batch = {
            "environment": "production",
            "user_identities": {"customer_id": customer},
            "events": [{"event_type": "custom_event", "data": {"event_name": event_name}}],
        }
        authorization = "Basic " + b64encode(f"{KEY[1]}:{KEY[3]}".encode()).decode()
        body = msgspec.json.encode(batch)
        request = request_bytes(self._target, "POST", "/v2/events", authorization, body)
        try:
            while (status := (await channel.exchange(request)).status) in (429, 503):  # noqa: ASYNC110  # retries
                await asyncio.sleep(_RETRY_S)
        except OSError:
            return False
        return status == 202
