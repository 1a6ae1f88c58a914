"""What all parts of one forwarder share: its settings, its connections, and how attempts count."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

from actors.clock import Clock, Randomness
from actors.forwarding.connections import ConnectionState
from actors.forwarding.entries import Waiting
from actors.forwarding.faults import Fault, FaultMemory
from actors.forwarding.lanes import Ordering
from actors.forwarding.notices import Notices, alert
from actors.forwarding.pace import BreakerLimits, Pace, RateLimit
from actors.forwarding.streams import Stream
from actors.metric_groups import ForwarderMetrics
from actors.model.deliveries import DeadLetter, Delivery
from actors.outputs import retry
from actors.outputs.contract import Delivered, Failed, Fatal, Outcome, Refused, Retry
from actors.outputs.dsr_messages import NO_IDENTITY
from actors.outputs.retry import RetrySchedule

# spec/connections.md, 1.3
AUTH_STATUSES = frozenset({401, 403})
AUTH_FAILURES = 20
TOO_MANY_REQUESTS = 429
REFUSED_FOR_MS = 15 * 60 * 1000
# Of the dead letters that a forwarder makes (spec/connections.md, 3.7 and 3.8).
REASONS_OF_HELD = ("payload_too_large", "build_error", "connection_inactive")
REASONS = (
    *REASONS_OF_HELD,
    "retry_exhausted",
    "fatal_response",
    "connection_faulted",
    "invalid_module_response",
    "egress_refused",
)


class OutputInfo(Struct, frozen=True):
    """What a forwarder has to know of its output besides the module's own settings."""

    id: str
    schedule: RetrySchedule
    ordering: Ordering = "user"
    max_in_flight: int = 16
    rate_limit: RateLimit = RateLimit()
    breaker: BreakerLimits = BreakerLimits()


class Desk:
    """Judges attempts, and is the one place that counts them, and has them logged."""

    def __init__(
        self,
        output: OutputInfo,
        connections: dict[int, ConnectionState],
        clock: Clock,
        randomness: Randomness,
        metrics: ForwarderMetrics,
        faults: FaultMemory,
    ) -> None:
        self.output = output
        self._faults = faults
        self.connections = connections
        self.clock = clock
        self.randomness = randomness
        self.metrics = metrics
        self.notices = Notices(output.id)
        self._in_flight = 0
        self.sending: Counter[int] = Counter()  # deliveries under way, by connection
        self.pace = Pace(output.rate_limit, output.breaker, clock.now_ms())
        self.show_pace()
        self._gauge = metrics.in_flight.labels(output.id)
        for state in connections.values():
            self.show(state)

    # -- Concurrency ------------------------------------------------------------------------------

    @property
    def has_slot(self) -> bool:
        """Whether fewer requests are under way than may be."""
        return self._in_flight < self.output.max_in_flight

    def free_ms(self, now_ms: int) -> int | None:
        """Return when a request may begin, `None` if another has to end before."""
        return self.pace.free_ms(now_ms) if self.has_slot else None

    @property
    def in_flight(self) -> int:
        """How many requests are under way."""
        return self._in_flight

    def enter(self, events: int, deliveries: Mapping[int, int]) -> int:
        """Begin a request of so many events: take a slot and tokens; return what `ended` needs.

        `deliveries`: how many of each connection it carries.
        """
        self._in_flight += 1
        self.sending.update(deliveries)
        self._gauge.set(self._in_flight)
        begun, waited_s = self.pace.begin(events, self.clock.now_ms())
        if waited_s:
            self.metrics.rate_limit_wait.labels(self.output.id).inc(waited_s)
        return begun

    def leave(self, deliveries: Mapping[int, int]) -> None:
        """Give a slot back; `deliveries` are those of `enter`."""
        self._in_flight -= 1
        self.sending.subtract(deliveries)
        self._gauge.set(self._in_flight)

    def ended(self, begun: int, first: str, outcomes: Sequence[Outcome]) -> None:
        """Learn from the outcomes of one request how fast the output may be sent to.

        `first`: id of its first delivery.
        """
        now_ms = self.clock.now_ms()
        retries = [each for each in outcomes if isinstance(each, Retry)]
        for each in retries:
            if each.retry_after_s is not None:
                self.pace.pause(retry.silence_s(each.retry_after_s), now_ms)
        is_failure = len(retries) == len(outcomes)
        is_refusal = any(each.http_status == TOO_MANY_REQUESTS for each in retries)
        if self.pace.end(begun, first, is_failure, is_refusal, now_ms):
            self.notices.circuit_open()
        self.show_pace()

    def show_pace(self) -> None:
        """Show how fast the output is sent to."""
        state = self.pace.breaker_state(self.clock.now_ms())
        self.metrics.breaker_state.labels(self.output.id).set(state)
        self.metrics.rate_limit_factor.labels(self.output.id).set(self.pace.factor)

    # -- What became of an attempt ----------------------------------------------------------------

    def count_attempt(self, connection: int, outcome: Outcome, attempts_before: int) -> None:
        """Count one attempt of one connection."""
        slug = self.connections[connection].info.id
        status = outcome.http_status
        kind = {Delivered: "success", Fatal: "fatal", Refused: "fatal"}.get(type(outcome), "retry")
        code = "none" if status is None else str(status)
        self.metrics.requests.labels(slug, code, kind).inc()
        if attempts_before:
            self.metrics.retries.labels(slug).inc()

    def answered(self, deliveries: Sequence[Delivery], outcomes: Sequence[Outcome]) -> None:
        """Fault connections whose credentials many requests in a row were refused for.

        Called once for each request, however many deliveries it carried: they had one answer.
        """
        by_connection: dict[int, list[tuple[Delivery, Outcome]]] = {}
        for each in zip(deliveries, outcomes, strict=True):
            by_connection.setdefault(each[0].connection, []).append(each)
        for connection, pairs in by_connection.items():
            state = self.connections[connection]
            if any(_is_accepted(outcome) for _, outcome in pairs):
                state.auth_failures = 0
                continue
            refused = [(each, why) for each, why in pairs if _is_auth_failure(why)]
            if not refused:
                continue  # nobody answered
            state.auth_failures += 1
            if state.auth_failures >= AUTH_FAILURES and not state.is_faulted:
                delivery, why = refused[0]
                self._fault(state, delivery, Fatal("fatal_response", why.excerpt, why.http_status))

    def delivered(self, connection: int, events: int, oldest_ms: int) -> None:
        """Note a success; `oldest_ms`: receipt time of the oldest of what was delivered."""
        state = self.connections[connection]
        state.refused_since_ms = None
        state.last_sent_ms = self.clock.now_ms()
        self.metrics.events.labels(state.info.id, "sent").inc(events)
        lag_ms = self.clock.now_ms() - oldest_ms
        self.metrics.lag.labels(state.info.id).observe(max(lag_ms, 0) / 1000)

    def delayed(self, delivery: Delivery, started_ms: int, outcome: Retry) -> Delivery | None:
        """Note a failure; return the delivery with its next attempt, `None` if it is given up."""
        attempts = delivery.attempts + 1
        first_ms = delivery.first_attempt_ms or started_ms
        now_ms = self.clock.now_ms()
        schedule = self.output.schedule
        if retry.is_given_up(schedule, attempts, (now_ms - first_ms) / 1000):
            return None
        wait_s = retry.delay_s(schedule, attempts, self.randomness)
        wait_s = max(wait_s, retry.silence_s(outcome.retry_after_s))
        next_ms = now_ms + round(wait_s * 1000)
        slug = self.connections[delivery.connection].info.id
        self.notices.delayed(slug, delivery, attempts, outcome)
        next_ms = min(next_ms, self._refusal(delivery, started_ms, outcome) or next_ms)
        return replace(
            delivery,
            attempts=attempts,
            first_attempt_ms=first_ms,
            next_attempt_ms=next_ms,
            delayed_ms=now_ms,
        )

    def _refusal(self, delivery: Delivery, started_ms: int, outcome: Retry) -> int | None:
        """Fault a connection whose login is refused for too long; return when that will be."""
        state = self.connections[delivery.connection]
        if not outcome.is_refusal or state.is_faulted:
            state.refused_since_ms = None
            return None
        if state.refused_since_ms is None:
            state.refused_since_ms = started_ms
        fault_ms = state.refused_since_ms + REFUSED_FOR_MS + 1
        if started_ms < fault_ms:
            return fault_ms
        state.refused_since_ms = None  # a connection that is resumed has as long again
        self._fault(state, delivery, Fatal("login_refused", outcome.excerpt))
        return None

    def letter(
        self, delivery: Delivery, reason: str, started_ms: int, outcome: Outcome
    ) -> DeadLetter:
        """Make a dead letter of a delivery whose last attempt began at `started_ms`."""
        failed = replace(
            delivery,
            attempts=delivery.attempts + 1,
            first_attempt_ms=delivery.first_attempt_ms or started_ms,
        )
        return DeadLetter(
            delivery=failed,
            reason=reason,
            dead_ms=self.clock.now_ms(),
            last_attempt_ms=started_ms,
            http_status=outcome.http_status,
            response_excerpt=None if isinstance(outcome, Delivered) else outcome.excerpt,
        )

    def unbuildable(self, delivery: Delivery, error: Exception) -> DeadLetter:
        """Note that an output could not take a delivery; return its dead letter, noted as well."""
        self.notices.mistake(delivery.delivery_id, error)
        letter = DeadLetter(
            delivery,
            "build_error",
            dead_ms=self.clock.now_ms(),
            last_attempt_ms=0,
            response_excerpt=type(error).__name__,
        )
        self.buried(letter)
        return letter

    def buried(self, letter: DeadLetter) -> None:
        """Note a dead letter."""
        if letter.reason == NO_IDENTITY:
            return  # it was passed by, and is counted among what was left out
        delivery = letter.delivery
        state = self.connections[delivery.connection]
        self.metrics.events.labels(state.info.id, "failed").inc(delivery.event_count)
        self.metrics.dead.labels(state.info.id, letter.reason).inc()
        fault = Fatal(letter.reason, letter.response_excerpt or "", letter.http_status)
        self.notices.dead(state.info.id, delivery, fault)

    def is_held(self, delivery: Delivery, reason: str) -> bool:
        """Whether a subscription is faulted by the failure of a delivery, which is then held.

        Else the delivery is buried: those of connections of inputs, and where it is itself at
        fault.
        """
        is_subscription = self.connections[delivery.connection].info.is_subscription
        return is_subscription and reason != "payload_too_large"

    def held(self, delivery: Delivery, reason: str, outcome: Failed) -> Delivery:
        """Fault a subscription whose receiver refuses it, or does not answer to the last.

        What waits for it is held, however long, until it is resumed (spec/connections.md, 1.3).
        Returns the delivery, to be tried anew then.
        """
        state = self.connections[delivery.connection]
        if not state.is_faulted:
            fault = Fatal(reason, outcome.excerpt, outcome.http_status)
            self._fault(state, delivery, fault)
        return anew(delivery, outcome)

    def suspended(self, delivery: Delivery, why: Fatal) -> None:
        """Fault a connection: its receiver wants no more, or nothing can be sent to it."""
        state = self.connections[delivery.connection]
        if not state.is_faulted:
            self._fault(state, delivery, why)

    def not_agreed(self, connection: int, why: Fatal) -> None:
        """Fault a subscription that its receiver does not agree to."""
        state = self.connections[connection]
        self._set_fault(state, "", why)
        self.notices.not_agreed(state.info.id, why)

    def _fault(self, state: ConnectionState, delivery: Delivery, why: Fatal) -> None:
        self._set_fault(state, delivery.delivery_id, why)
        self.notices.faulted(state.info.id, delivery, why)

    def _set_fault(self, state: ConnectionState, delivery_id: str, why: Fatal) -> None:
        moment = datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC)
        state.fault = Fault(
            faulted_on=moment.isoformat(),
            reason_code=alert(why),
            message=why.excerpt,
            first_delivery_id=delivery_id,
        )
        state.is_faulted = True
        self.show_status(state)
        self.keep_faults()

    def keep_faults(self) -> None:
        """Have the faults of now known after a restart."""
        faults = {
            number: state.fault
            for number, state in self.connections.items()
            if state.fault is not None and not state.info.is_subscription
        }
        self._faults.write(faults)

    def barrier_off(self, entry: Waiting) -> None:
        """Note that a user's order was given up."""
        slug = entry.stream.connection.id
        self.metrics.barrier_disabled.labels(slug).inc()
        self.notices.barrier_off(slug, entry.delivery_id)

    def source_failed(self, stream: Stream, error: Exception) -> None:
        """Leave a shard that did not answer alone for a while."""
        stream.may_have_more = True
        stream.back_off(self.clock.now_ms())
        self.notices.source_failed(stream.connection.id, error)

    def show(self, state: ConnectionState) -> None:
        """Show a connection, and what may be counted of it at 0: else a first rise is not seen."""
        self.show_status(state)
        is_held = state.info.is_subscription  # then most failures leave no dead letter (`held`)
        for reason in REASONS_OF_HELD if is_held else REASONS:
            self.metrics.dead.labels(state.info.id, reason)

    def show_status(self, state: ConnectionState) -> None:
        """Show a connection's status."""
        number = {"inactive": 0, "active": 1, "faulted": 2}[state.status]
        self.metrics.connection_status.labels(state.info.id).set(number)

    def hide_status(self, state: ConnectionState) -> None:
        """Show a connection no more that is not there any more, unless it has come back anew."""
        if all(each.info.id != state.info.id for each in self.connections.values()):
            for gauge in (
                self.metrics.connection_status,
                self.metrics.queue_oldest,
                self.metrics.blocked_users,
            ):
                gauge.remove(state.info.id)


def _is_auth_failure(outcome: Outcome) -> bool:
    return isinstance(outcome, Fatal) and outcome.http_status in AUTH_STATUSES


def _is_accepted(outcome: Outcome) -> bool:
    """Whether somebody answered who did not refuse our credentials."""
    if isinstance(outcome, Delivered):
        return True
    return outcome.http_status is not None and not _is_auth_failure(outcome)


def anew(delivery: Delivery, outcome: Failed) -> Delivery:
    """Return a delivery that failed with an outcome for good, and is to be tried anew later."""
    attempts = 1 if isinstance(outcome, Retry) else 0  # 1: the receiver may have it
    return replace(delivery, attempts=attempts, first_attempt_ms=0, next_attempt_ms=0, delayed_ms=0)
