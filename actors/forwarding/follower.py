"""Keeps a forwarder and the coordinator of one mind about the subscriptions of an output."""

import asyncio
import logging

from actors.audiences.handles import AudienceDeskHandle
from actors.audiences.objects import Fault
from actors.clock import Clock
from actors.errors import ShardUnavailable, StoreFull
from actors.forwarder import Forwarder
from actors.forwarding.subscriptions import Followed

logger = logging.getLogger("headwater.forwarder")

LOOK_S = 1.0  # a change takes effect within 5 s (spec/connections.md, 1.3)
SENT_PAUSE_MS = 60_000  # between two notes of when something was sent: each is a commit


class SubscriptionFollower:
    """Asks the coordinator again and again, and tells it of faults."""

    def __init__(self, output: str, desk: AudienceDeskHandle, clock: Clock) -> None:
        """Args: `output`: id of the output."""
        self._output = output
        self._desk = desk
        self._clock = clock
        self._noted_ms: dict[int, int] = {}

    async def run(self, forwarder: Forwarder) -> None:
        """Follow for ever; a coordinator that does not answer is asked again."""
        while True:
            try:
                await self.step(forwarder)
            except (ShardUnavailable, StoreFull) as error:
                logger.warning(
                    "the coordinator does not tell the subscriptions of an output",
                    extra={
                        "event": "subscriptions_unknown",
                        "output": self._output,
                        "kind": type(error).__name__,
                    },
                )
            except Exception:
                logger.exception(
                    "subscriptions could not be followed; they are asked for again",
                    extra={"event": "follow_failed", "output": self._output},
                )
            await asyncio.sleep(LOOK_S)

    async def step(self, forwarder: Forwarder) -> None:
        """Follow once. Raises ShardUnavailable, StoreFull."""
        found = await self._desk.subscriptions_at(self._output)
        forwarder.follow(found)
        for each in found:
            await self._report(forwarder, each)

    async def _report(self, forwarder: Forwarder, each: Followed) -> None:
        number = each.info.number
        fault = forwarder.fault(number)
        if fault is not None and not each.is_faulted:
            await self._desk.fault_subscription(
                each.info.input,
                Fault(
                    self._clock.now_ms(), fault.reason_code, fault.message, fault.first_delivery_id
                ),
            )
        sent_ms = forwarder.last_sent_ms(number)
        if sent_ms is not None and sent_ms - self._noted_ms.get(number, 0) >= SENT_PAUSE_MS:
            self._noted_ms[number] = sent_ms
            await self._desk.note_sent(each.info.input, sent_ms)
