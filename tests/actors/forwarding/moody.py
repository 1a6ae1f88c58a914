"""A receiver without a network whose mood a story decides, and how fast it may be sent to.

Its answers are judged by what judges real ones (`actors.outputs.http_answers`).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any, cast

import aiohttp

from actors.clock import ManualClock
from actors.forwarding.desk import OutputInfo
from actors.model.deliveries import Delivery
from actors.outputs.contract import Delivered, Outcome, Refused, RequestLimits, Retry
from actors.outputs.http_answers import network_outcome, outcome_of
from tests.actors.forwarding.ledger import Ledger, events_of

DEADLINE_S = 30.0  # spec/connections.md, 3.2
SLOW_S = 25.0
LONGEST_PAUSE_S = 3600
OPEN_MS = 5000

# A status, or one of: hang, drop, garbage, mistake, forget, suspend, refuse, slow.
Mood = int | str


@dataclass
class PaceLedger:
    """How fast one life of a forwarder sends (spec/connections.md, 3.2 and 3.5)."""

    output: OutputInfo
    in_flight: int = 0
    silent_from_ms: int = 0
    silent_until_ms: int = 0
    opened_ms: int | None = None
    probes: int = 0
    failed: set[str] = field(default_factory=set)
    begun: list[tuple[int, int]] = field(default_factory=list)  # time, events

    def sending(self, deliveries: Sequence[Delivery], now_ms: int) -> bool:
        """Check that a request may begin; tell whether it is one that a breaker lets through."""
        self.in_flight += 1
        assert self.in_flight <= self.output.max_in_flight
        is_begun = now_ms == self.silent_from_ms  # handed to the output in this very instant
        assert is_begun or now_ms >= self.silent_until_ms, "the receiver asked for silence"
        self.begun.append((now_ms, sum(each.event_count for each in deliveries)))
        self._check_rates()
        if self.opened_ms is None or now_ms == self.opened_ms:
            return False
        assert now_ms >= self.opened_ms + OPEN_MS, "sent although the breaker is open"
        self.probes += 1
        assert self.probes == 1, "two probes at a time"
        return True

    def _check_rates(self) -> None:
        limit = self.output.rate_limit
        last_ms, last_events = self.begun[-1]
        requests = events = 0
        for at_ms, count in reversed(self.begun):
            requests, events = requests + 1, events + count
            seconds = (last_ms - at_ms) / 1000
            if limit.requests_per_second is not None:
                burst = max(limit.burst or limit.requests_per_second, 1)
                assert requests <= burst + limit.requests_per_second * seconds + 0.01
            if limit.events_per_second is not None:
                allowed = limit.events_per_second * (1 + seconds) + 0.01
                # A request may take in advance what is missing for it.
                assert events - last_events <= allowed - 1 or requests == 1

    def answered(
        self, first: str, outcomes: Sequence[Outcome], now_ms: int, *, is_probe: bool
    ) -> None:
        """Learn from how a request ended."""
        self.in_flight -= 1
        retries = [each for each in outcomes if isinstance(each, Retry)]
        for pause_s in [each.retry_after_s for each in retries if each.retry_after_s is not None]:
            assert pause_s <= LONGEST_PAUSE_S
            self.silent_from_ms = now_ms
            self.silent_until_ms = max(self.silent_until_ms, now_ms + round(pause_s * 1000))
        if len(retries) < len(outcomes):
            self.failed, self.opened_ms, self.probes = set(), None, 0
            return
        self.failed.add(first)
        if is_probe:
            self.opened_ms, self.probes = now_ms, 0
        elif self.opened_ms is None and len(self.failed) >= self.output.breaker.failures:
            self.opened_ms = now_ms


class MoodyReceiver:
    """A stream output; its requests are noted in the ledger of the life that makes them."""

    def __init__(self, clock: ManualClock, ledger: Ledger, limits: RequestLimits) -> None:
        self.limits = limits
        self.mood: Mood = 200
        self.moods: dict[int, Mood] = {}  # towards some users
        self.retry_after: str | None = None
        self.turns = 1  # of the event loop before it takes a request, and before it answers
        self.taken: set[int] = set()  # events that it has
        self._clock = clock
        self._ledger = ledger

    def of(self, pace: PaceLedger) -> "Line":
        """Return the output of one life of a forwarder."""
        return Line(self, pace, self._ledger, self._clock)

    async def answer(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Do as the mood is, of the first user towards whom it is a special one."""
        special = [self.moods[each.mpid] for each in deliveries if each.mpid in self.moods]
        mood = special[0] if special else self.mood
        await self._pass_turns()
        if mood in {200, "drop", "slow", "suspend"}:
            self.taken.update(*map(events_of, deliveries))
        await self._pass_turns()
        count = len(deliveries)
        if isinstance(mood, int):
            return [self._outcome(mood)] * count
        match mood:
            case "hang":
                await asyncio.sleep(DEADLINE_S)
                return [network_outcome(TimeoutError())] * count
            case "drop":
                return [network_outcome(aiohttp.ServerDisconnectedError())] * count
            case "garbage":
                return [network_outcome(aiohttp.ClientPayloadError("not HTTP"))] * count
            case "mistake":
                raise RuntimeError("a mistake in the output")
            case "forget":
                return [Delivered(200)] * (count - 1)
            case "suspend":
                return [Delivered(200, is_suspension=True)] * count
            case "refuse":
                return [Refused("oauth_refused", "no")] * count
        await asyncio.sleep(SLOW_S)
        return [Delivered(200)] * count

    async def _pass_turns(self) -> None:
        for _ in range(self.turns):
            await asyncio.sleep(0)

    def _outcome(self, status: int) -> Outcome:
        headers = {} if self.retry_after is None else {"Retry-After": self.retry_after}
        if self.retry_after == "date":
            headers["Retry-After"] = formatdate(self._clock.now_ms() / 1000 + 90, usegmt=True)
        response = cast(Any, SimpleNamespace(status=status, headers=headers))
        return outcome_of(response, "", self._clock.now_ms())


class Line:
    """What one life of a forwarder has of the receiver."""

    def __init__(
        self, receiver: MoodyReceiver, pace: PaceLedger, ledger: Ledger, clock: ManualClock
    ) -> None:
        self.is_cut = False  # its forwarder was killed
        self._receiver = receiver
        self._pace = pace
        self._ledger = ledger
        self._clock = clock

    @property
    def limits(self) -> RequestLimits:
        """What goes into one request."""
        return self._receiver.limits

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        """Nothing to do."""

    async def test(self) -> Outcome:
        """Nothing can be wrong."""
        return Delivered()

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Have the receiver answer."""
        if self.is_cut:
            raise asyncio.CancelledError
        began_ms, count = self._clock.now_ms(), len(deliveries)
        try:
            self._ledger.sending(deliveries, began_ms)
            is_probe = self._pace.sending(deliveries, began_ms)
        except AssertionError as error:
            self._ledger.broken.append(error)  # the forwarder would take it for a mistake of ours
            raise
        # What an output does wrong is as if the receiver could not be reached.
        judged: Sequence[Outcome] = [Retry("mistake")] * count
        try:
            outcomes = await self._receiver.answer(deliveries)
            if len(outcomes) == count:
                judged = outcomes
            return outcomes
        except asyncio.CancelledError:
            judged = []  # nobody waits for the answer any more
            raise
        finally:
            if judged and not self.is_cut:
                now_ms, first = self._clock.now_ms(), deliveries[0].delivery_id
                self._ledger.answered(deliveries, judged, began_ms, now_ms)
                self._pace.answered(first, judged, now_ms, is_probe=is_probe)
