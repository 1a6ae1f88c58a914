"""Keeps a forwarder and the coordinator of one mind about the subscriptions of an output."""

from collections.abc import Mapping, Sequence
from functools import partial

from msgspec.structs import replace

from actors.audiences.announce import FIRST_NUMBER
from actors.audiences.handles import AudienceDeskHandle
from actors.audiences.objects import Fault
from actors.clock import Clock
from actors.forwarder import Forwarder
from actors.forwarding.foreign import alias
from actors.forwarding.looking import Trouble, look_for_ever
from actors.forwarding.subscriptions import Followed
from actors.model.deliveries import Delivery
from actors.outputs.contract import Fatal, Retry, Split

NOTICE_MAX_AGE_MS = 24 * 3600 * 1000
FIRST_WAIT_MS, LAST_WAIT_MS = 10_000, 900_000
SENT_PAUSE_MS = 60_000  # between two notes of when something was sent: each is a commit


class SubscriptionFollower:
    """Asks the coordinator again and again, and tells it of faults."""

    def __init__(
        self, output: str, workspace: int, desks: Mapping[int, AudienceDeskHandle], clock: Clock
    ) -> None:
        """Set up.

        Args:
            output: id of the output.
            workspace: number of the one that the output is of.
            desks: of all workspaces whose audiences it may be connected to, by number.
            clock: of faults.
        """
        self._output = output
        self._desks = {0 if number == workspace else number: desk for number, desk in desks.items()}
        self._clock = clock
        self._noted_ms: dict[int, int] = {}
        # Subscriptions that a receiver did not answer about: how often, next when, since when.
        self._asked: dict[int, tuple[int, int, int]] = {}
        self._tries: dict[int, tuple[int, int]] = {}  # notices that failed: how often, next when

    async def run(self, forwarder: Forwarder) -> None:
        """Follow for ever; a coordinator that does not answer is asked again."""
        await look_for_ever(
            partial(self.step, forwarder),
            self._output,
            delayed=Trouble(
                "subscriptions_unknown",
                "the coordinator does not tell the subscriptions of an output",
            ),
            failed=Trouble(
                "follow_failed", "subscriptions could not be followed; they are asked for again"
            ),
        )

    async def step(self, forwarder: Forwarder) -> None:
        """Follow once. Raises ShardUnavailable, StoreFull."""
        by_desk = {
            workspace: _aliased(workspace, await desk.subscriptions_at(self._output))
            for workspace, desk in self._desks.items()
        }
        forwarder.follow([each for found in by_desk.values() for each in found])
        for workspace, desk in self._desks.items():
            for each in by_desk[workspace]:
                await self._agree(forwarder, each)
                await self._report(forwarder, desk, each)
            for notice in await desk.removals_at(self._output):
                await self._notify(forwarder, desk, workspace, notice)

    async def _agree(self, forwarder: Forwarder, each: Followed) -> None:
        """Have a receiver agree; one that does not answer is asked again for a day."""
        number, now_ms = each.info.number, self._clock.now_ms()
        failed, next_ms, since_ms = self._asked.get(number, (0, 0, now_ms))
        if now_ms < next_ms:
            return
        outcome = await forwarder.receivers.agree(each)
        if not isinstance(outcome, Retry | Split):
            self._asked.pop(number, None)
        elif now_ms - since_ms > NOTICE_MAX_AGE_MS:
            self._asked.pop(number, None)
            why = Fatal("retry_exhausted", outcome.excerpt, outcome.http_status)
            forwarder.receivers.disagree(number, why)
        else:
            wait_ms = min(FIRST_WAIT_MS * 2**failed, LAST_WAIT_MS)
            self._asked[number] = (failed + 1, now_ms + wait_ms, since_ms)

    async def _notify(
        self, forwarder: Forwarder, desk: AudienceDeskHandle, workspace: int, notice: Delivery
    ) -> None:
        """Send a notice; one that is not taken is tried again for a day, more and more seldom."""
        number, now_ms = alias(workspace, notice.connection), self._clock.now_ms()
        failed, next_ms = self._tries.get(number, (0, 0))
        if now_ms < next_ms:
            return
        outcome = await forwarder.receivers.send_notice(replace(notice, connection=number))
        is_too_old = now_ms - notice.created_ms > NOTICE_MAX_AGE_MS
        if isinstance(outcome, Retry) and not is_too_old:
            wait_ms = min(FIRST_WAIT_MS * 2**failed, LAST_WAIT_MS)
            self._tries[number] = (failed + 1, now_ms + wait_ms)
        elif outcome is not None:
            self._tries.pop(number, None)
            await desk.settle_removal(notice.connection - FIRST_NUMBER)

    async def _report(self, forwarder: Forwarder, desk: AudienceDeskHandle, each: Followed) -> None:
        number = each.info.number
        fault = forwarder.fault(number)
        if fault is not None and not each.is_faulted:
            await desk.fault_subscription(
                each.info.input,
                Fault(
                    self._clock.now_ms(), fault.reason_code, fault.message, fault.first_delivery_id
                ),
            )
        sent_ms = forwarder.last_sent_ms(number)
        if sent_ms is not None and sent_ms - self._noted_ms.get(number, 0) >= SENT_PAUSE_MS:
            self._noted_ms[number] = sent_ms
            await desk.note_sent(each.info.input, sent_ms)


def _aliased(workspace: int, found: Sequence[Followed]) -> list[Followed]:
    return [
        replace(each, info=replace(each.info, number=alias(workspace, each.info.number)))
        for each in found
    ]
