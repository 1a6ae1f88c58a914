"""Keeps a forwarder and the coordinator of one mind about the subscriptions of an output."""

import asyncio
import logging

from actors.audiences.announce import FIRST_NUMBER
from actors.audiences.handles import AudienceDeskHandle
from actors.audiences.objects import Fault
from actors.clock import Clock
from actors.errors import ShardUnavailable, StoreFull
from actors.forwarder import Forwarder
from actors.forwarding.subscriptions import Followed
from actors.model import Delivery
from actors.outputs.contract import Retry

logger = logging.getLogger("headwater.forwarder")

LOOK_S = 1.0  # a change takes effect within 5 s (spec/connections.md, 1.3)
NOTICE_MAX_AGE_MS = 24 * 3600 * 1000
FIRST_WAIT_MS, LAST_WAIT_MS = 10_000, 900_000
SENT_PAUSE_MS = 60_000  # between two notes of when something was sent: each is a commit


class SubscriptionFollower:
    """Asks the coordinator again and again, and tells it of faults."""

    def __init__(self, output: str, desk: AudienceDeskHandle, clock: Clock) -> None:
        """Args: `output`: id of the output."""
        self._output = output
        self._desk = desk
        self._clock = clock
        self._noted_ms: dict[int, int] = {}
        self._tries: dict[int, tuple[int, int]] = {}  # notices that failed: how often, next when

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
        for notice in await self._desk.removals_at(self._output):
            await self._notify(forwarder, notice)

    async def _notify(self, forwarder: Forwarder, notice: Delivery) -> None:
        """Send a notice; one that is not taken is tried again for a day, more and more seldom."""
        number, now_ms = notice.connection, self._clock.now_ms()
        failed, next_ms = self._tries.get(number, (0, 0))
        if now_ms < next_ms:
            return
        outcome = await forwarder.send_notice(notice)
        is_too_old = now_ms - notice.created_ms > NOTICE_MAX_AGE_MS
        if isinstance(outcome, Retry) and not is_too_old:
            wait_ms = min(FIRST_WAIT_MS * 2**failed, LAST_WAIT_MS)
            self._tries[number] = (failed + 1, now_ms + wait_ms)
        elif outcome is not None:
            self._tries.pop(number, None)
            await self._desk.settle_removal(number - FIRST_NUMBER)

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
