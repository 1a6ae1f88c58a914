"""What a forwarder has to do with each delivery, kept in the plainest way.

It is told what is queued, what the receiver is asked and what it answers, and what the outbox is
told, and asserts that each of these was due. A forwarder's *life* ends with its process; the next
one knows what lies in the outbox.

Source: spec/connections.md, 1.3 and 3.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from actors.forwarding.lanes import Ordering
from actors.model.deliveries import DeadLetter, Delivery, Settlement
from actors.outputs.contract import Delivered, Fatal, Outcome, Refused, Retry, Split
from actors.outputs.retry import PROFILES

SCHEDULE = PROFILES["stream"]
HOLD_MS = 7 * 24 * 3600 * 1000
AUTH_FAILURES = 20
Place = Literal["queued", "delivered", "dead", "replayed", "purged"]


def events_of(delivery: Delivery) -> frozenset[int]:
    """Return the ids of the events in a delivery."""
    return frozenset(each["data"]["event_id"] for each in json.loads(delivery.payload)["events"])


@dataclass
class Tries:
    """How often something was tried in vain, and when it may be tried again."""

    attempts: int = 0
    first_ms: int = 0
    due_ms: int = 0
    latest_ms: int = 0  # by when the profile has it tried again


@dataclass
class Job:
    """One delivery under one sequence."""

    delivery: Delivery
    is_replayed: bool = False
    place: Place = "queued"
    open: set[int] = field(default_factory=set)  # events without a final answer in this life
    got: set[int] = field(default_factory=set)
    failed: dict[int, tuple[str, int | None]] = field(default_factory=dict)  # reason, status

    def __post_init__(self) -> None:
        self.events = events_of(self.delivery)
        self.begin()

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver has said so of the whole of it."""
        return self.got >= self.events

    def begin(self) -> None:
        """Have nothing answered."""
        self.open, self.got, self.failed = set(self.events), set(), {}


class Ledger:
    """Follows all deliveries through all lives."""

    def __init__(self, connections: Iterable[int]) -> None:
        self.jobs: dict[int, Job] = {}
        self.broken: list[AssertionError] = []  # what was not due
        self.is_active = dict.fromkeys(connections, True)
        self.is_faulted = dict.fromkeys(connections, False)
        self.refusals: Counter[int] = Counter()  # of credentials, in a row
        self.ordering: Ordering = "user"
        self.is_unordered: set[int] = set()  # connections on which order was given up
        self.tries: dict[tuple[int, str], Tries] = {}
        self.under_way: Counter[int] = Counter()
        self.stopped_ms: dict[int, int] = {}  # when a connection ceased to send
        # Of this life.
        self.sent_events: Counter[int] = Counter()
        self.asked: Counter[int] = Counter()  # requests that were answered
        self.delivered_ids: set[tuple[str, int | None]] = set()
        self.buried: dict[int, str] = {}  # sequence to reason

    def begin_life(self, waiting: Sequence[Delivery], ordering: Ordering) -> None:
        """Know what a forwarder finds in the outbox."""
        self.ordering = ordering
        self.under_way.clear()
        self.is_unordered.clear()
        self.refusals.clear()
        self.sent_events, self.asked = Counter(), Counter()
        self.delivered_ids, self.buried = set(), {}
        self.tries = {
            (each.sequence, each.delivery_id): Tries(
                each.attempts, each.first_attempt_ms, each.next_attempt_ms
            )
            for each in waiting
        }
        for each in waiting:
            self.jobs[each.sequence].begin()

    def queue(self, delivery: Delivery, place: Place = "queued", *, is_replayed: bool) -> None:
        """Note a new delivery."""
        self.jobs[delivery.sequence] = Job(delivery, is_replayed, place)

    def is_sending(self, connection: int) -> bool:
        """Whether a connection may send."""
        return self.is_active[connection] and not self.is_faulted[connection]

    def pause(self, connection: int, now_ms: int) -> None:
        """A connection is active no more."""
        self.is_active[connection] = False
        self.stopped_ms[connection] = now_ms

    def _fault(self, connection: int, now_ms: int) -> None:
        self.is_faulted[connection] = True
        self.stopped_ms[connection] = now_ms

    def resume(self, connection: int) -> None:
        """A fault was mended."""
        self.is_faulted[connection] = False
        self.refusals[connection] = 0

    # -- Requests ---------------------------------------------------------------------------------

    def sending(self, deliveries: Sequence[Delivery], now_ms: int) -> None:
        """Check that a request may be made now."""
        together: set[int] = set()
        for each in deliveries:
            job, number = self.jobs[each.sequence], each.connection
            # What was handed to the output in this very instant is under way.
            is_begun = self.stopped_ms.get(number) == now_ms
            assert self.is_sending(number) or is_begun, "sent on a connection that does not send"
            assert job.place == "queued", f"sent although {job.place}"
            assert not self.under_way[each.sequence], "sent twice at a time"
            assert each.sequence not in self.buried, "sent although it is a dead letter"
            assert each.mpid == job.delivery.mpid
            if each.delivery_id == job.delivery.delivery_id:
                assert each.payload == job.delivery.payload
                assert not job.is_delivered, "sent again although it was delivered"
                assert job.open or not job.failed, "sent again although it has failed for good"
                job.begin()
            assert events_of(each) <= job.open, "a part was sent again after its last answer"
            self._check_order(job, together)
            start = Tries(each.attempts, each.first_attempt_ms)
            tries = self.tries.setdefault((each.sequence, each.delivery_id), start)
            assert each.attempts == tries.attempts, "attempts were not counted"
            assert now_ms >= tries.due_ms, f"sent {tries.due_ms - now_ms} ms too early"
            together.add(each.sequence)
        self.under_way.update(together)

    def _check_order(self, job: Job, together: Collection[int]) -> None:
        mine = job.delivery
        if self.ordering == "none" or job.is_replayed or mine.connection in self.is_unordered:
            return
        if self.ordering == "user" and mine.mpid is None:
            return
        for sequence, other in self.jobs.items():
            theirs = other.delivery
            if sequence < mine.sequence and theirs.connection == mine.connection:
                is_ordered = self.ordering == "strict" or theirs.mpid == mine.mpid
                waits = other.place == "queued" and other.open and not other.is_replayed
                assert not (is_ordered and waits) or sequence in together, "sent out of order"

    def answered(
        self,
        deliveries: Sequence[Delivery],
        outcomes: Sequence[Outcome],
        began_ms: int,
        now_ms: int,
    ) -> None:
        """Note how a request ended, of a forwarder that lives."""
        for sequence in {each.sequence for each in deliveries}:  # it may carry parts of one
            self.under_way[sequence] -= 1
        self.asked.update({each.connection for each in deliveries})
        for each, outcome in zip(deliveries, outcomes, strict=True):
            job, number, events = self.jobs[each.sequence], each.connection, events_of(each)
            if isinstance(outcome, Delivered):
                self._delivered(job, each, events)
            elif isinstance(outcome, Retry):
                self._retry(job, each, outcome, began_ms, now_ms)
            elif isinstance(outcome, Fatal):
                self._failed(job, each, outcome.reason, outcome.http_status)
            elif isinstance(outcome, Split) and len(deliveries) == 1 and len(events) == 1:
                self._failed(job, each, "fatal_response", outcome.http_status)
            is_suspension = isinstance(outcome, Delivered) and outcome.is_suspension
            if is_suspension or isinstance(outcome, Refused):
                self._fault(number, now_ms)
        for number in {each.connection for each in deliveries}:
            pairs = zip(deliveries, outcomes, strict=True)
            self._count_refusal(number, [out for each, out in pairs if each.connection == number])
        for number, count in self.refusals.items():
            if count >= AUTH_FAILURES and not self.is_faulted[number]:
                self._fault(number, now_ms)

    def _count_refusal(self, number: int, outcomes: Sequence[Outcome]) -> None:
        """Count a request, whatever it carried, that was refused for its credentials."""
        answers = [each for each in outcomes if each.http_status or isinstance(each, Delivered)]
        if not answers:
            return
        is_refused = all(
            isinstance(each, Fatal) and each.http_status in {401, 403} for each in answers
        )
        self.refusals[number] = self.refusals[number] + 1 if is_refused else 0

    def _delivered(self, job: Job, delivery: Delivery, events: frozenset[int]) -> None:
        job.open -= events
        job.got |= events
        self.sent_events[delivery.connection] += len(events)
        if job.is_delivered:
            self.delivered_ids.add((job.delivery.delivery_id, job.delivery.mpid))

    def _retry(
        self, job: Job, delivery: Delivery, outcome: Retry, began_ms: int, now_ms: int
    ) -> None:
        tries = self.tries[delivery.sequence, delivery.delivery_id]
        tries.attempts += 1
        tries.first_ms = tries.first_ms or began_ms
        age_s = (now_ms - tries.first_ms) / 1000
        if age_s > SCHEDULE.max_age_s and tries.attempts >= SCHEDULE.min_attempts:
            self._failed(job, delivery, "retry_exhausted", outcome.http_status)
            return
        delay_ms = 1000 * min(SCHEDULE.cap_s, SCHEDULE.base_s * 2 ** (tries.attempts - 1))
        asked_ms = 1000 * (outcome.retry_after_s or 0)
        tries.due_ms = now_ms + int(max(delay_ms * (1 - SCHEDULE.jitter), asked_ms))
        tries.latest_ms = now_ms + int(max(delay_ms * (1 + SCHEDULE.jitter), asked_ms)) + 1

    def _failed(self, job: Job, delivery: Delivery, reason: str, status: int | None) -> None:
        events = events_of(delivery)
        job.open -= events
        job.failed |= dict.fromkeys(events, (reason, status))

    # -- Settlements ------------------------------------------------------------------------------

    def settling(self, settlement: Settlement, now_ms: int) -> None:
        """Check what the outbox is told."""
        for sequence in settlement.done:
            job = self.jobs[sequence]
            key = (job.delivery.delivery_id, job.delivery.mpid)
            assert job.is_delivered or key in self.delivered_ids, "settled without being delivered"
        for letter in settlement.dead:
            self._check_letter(letter, now_ms)
            self.buried[letter.delivery.sequence] = letter.reason
        for each in settlement.delayed:
            tries = self.tries[each.sequence, each.delivery_id]
            if self.jobs[each.sequence].open:
                counted = (each.attempts, each.first_attempt_ms)
                assert counted == (tries.attempts, tries.first_ms), (
                    f"not counted: {counted}, {tries}"
                )
                assert tries.due_ms - 1 <= each.next_attempt_ms <= tries.latest_ms

    def _check_letter(self, letter: DeadLetter, now_ms: int) -> None:
        delivery = letter.delivery
        job = self.jobs[delivery.sequence]
        assert not job.is_delivered, f"{letter.reason} although it was delivered"
        if letter.reason in {"connection_inactive", "connection_faulted"}:
            assert letter.dead_ms >= job.delivery.created_ms + HOLD_MS
            assert not self.under_way[delivery.sequence], "given up while it is under way"
            assert not job.failed or job.open
            return
        why = (letter.reason, letter.http_status)
        assert not job.open, "given up although a part of it waits"
        assert why in job.failed.values(), f"{why} is not what the receiver said"
        lost = job.events if not job.got else set(job.failed)
        assert events_of(delivery) == lost
        assert delivery.attempts >= 1
        assert delivery.first_attempt_ms > 0
        if letter.reason == "retry_exhausted":
            assert delivery.attempts >= SCHEDULE.min_attempts
            assert now_ms - delivery.first_attempt_ms > SCHEDULE.max_age_s * 1000

    def applied(self, settlement: Settlement) -> None:
        """Note that the outbox was told."""
        for sequence in settlement.done:
            if self.jobs[sequence].place == "queued":
                self.jobs[sequence].place = "delivered"
        for letter in settlement.dead:
            job = self.jobs[letter.delivery.sequence]
            if job.place == "queued":
                job.place = "dead"
