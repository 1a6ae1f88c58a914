"""What the tests of delivery share: an outbox in memory, scripted outputs, simulated time."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web

from actors.audiences.announce import FIRST_NUMBER
from actors.clock import ManualClock
from actors.errors import ShardUnavailable, StoreFull
from actors.forwarder import Forwarder
from actors.forwarding.desk import OutputInfo
from actors.forwarding.faults import FaultMemory
from actors.forwarding.holding import HoldMemory
from actors.forwarding.subscriptions import Followed
from actors.metric_groups import ForwarderMetrics
from actors.model.deliveries import DeadLetter, Delivery, Settlement
from actors.model.workspaces import Environment
from actors.outputs.audience_messages import (
    Action,
    MembershipChange,
    MembershipMessage,
    MessageAudience,
    encode,
)
from actors.outputs.connection_settings import ConnectionSettings, payload_settings
from actors.outputs.contract import (
    BulkOutput,
    Delivered,
    Outcome,
    RequestLimits,
    StreamOutput,
)
from actors.outputs.retry import RetrySchedule
from actors.pipeline.connection import ConnectionInfo
from actors.steps.enqueue import delivery_id

NUMBER = FIRST_NUMBER + 1
STREAM = RetrySchedule(base_s=10, cap_s=900, jitter=0, max_age_s=86_400, min_attempts=3)
DEADLINE_S = 20.0


async def until(condition: Callable[[], object]) -> None:
    """Let others run until a condition holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110  # any condition, of objects that have no event
            await asyncio.sleep(0)


class NoRandomness:
    """Always the middle: with it, jitter changes nothing."""

    def bits(self, count: int) -> int:
        """Return half of the range."""
        return 1 << (count - 1)


def connection(number: int = 1, **changes: Any) -> ConnectionInfo:
    """Return a connection `c<number>` of the input `web`."""
    values: dict[str, Any] = {
        "number": number,
        "id": f"c{number}",
        "input": 1,
        "input_id": "web",
        "output": "hook",
        "module": "webhook",
        "is_active": True,
        "environments": frozenset({"production", "development"}),
        "send_as_batch": True,
        "settings": payload_settings(ConnectionSettings()),
    }
    return ConnectionInfo(**values | changes)


def delivery(sequence: int, mpid: int | None = 1, **changes: Any) -> Delivery:
    """Return a delivery of one custom event, of batch `sequence`, on connection 1."""
    number = changes.get("connection", 1)
    events = changes.pop("events", [{"event_type": "custom_event", "data": {"event_id": sequence}}])
    payload = {"mpid": mpid, "batch_id": sequence, "events": events}
    values: dict[str, Any] = {
        "sequence": sequence,
        "connection": number,
        "delivery_id": delivery_id(f"c{number}", sequence, 0),
        "mpid": mpid,
        "payload": json.dumps(payload).encode(),
        "created_ms": ManualClock().now_ms(),
        "first_event_ms": ManualClock().now_ms(),
        "event_count": len(events),
    }
    return Delivery(**values | changes)


def change(
    sequence: int,
    mpid: int,
    action: Action,
    user_attributes: Mapping[str, str] | None = None,
    number: int = NUMBER,
    **more: Any,
) -> Delivery:
    """Return the delivery of one change of subscription 1."""
    message = MembershipMessage(
        f"dl_{sequence}",
        0,
        3,
        MessageAudience(7, "A", "A"),
        [MembershipChange(mpid, action, {"email": "e"}, dict(user_attributes or {}))],
    )
    return delivery(
        sequence,
        mpid,
        connection=number,
        payload=encode(message),
        delivery_id=f"dl_{sequence}",
        event_count=0,
        **more,
    )


def followed(
    resumed: int = 0, *, is_faulted: bool = False, number: int = NUMBER, **changes: Any
) -> Followed:
    """Return a subscription as the coordinator tells of it."""
    values: dict[str, Any] = {
        "id": f"subscription-1-{number - FIRST_NUMBER}",
        "input": 1,
        "input_id": "audience-7",
        "is_subscription": True,
    }
    return Followed(connection(number, **values | changes), is_faulted, resumed)


class MemoryOutbox:
    """An outbox source that keeps everything in memory and can be made to fail."""

    def __init__(self, deliveries: Sequence[Delivery] = ()) -> None:
        self.waiting = {(each.connection, each.sequence): each for each in deliveries}
        self.dead: list[DeadLetter] = []
        self.settlements: list[Settlement] = []
        self.reads = 0
        self.is_available = True
        self.loses_settlements = False  # applied nowhere, as if the process was killed before
        self.is_full = False  # has no room for settlements
        self.refused = 0  # settlements

    def add(self, *deliveries: Delivery) -> None:
        """Put deliveries into the outbox."""
        self.waiting.update({(each.connection, each.sequence): each for each in deliveries})

    async def read(
        self, connection: int, after_sequence: int, limit: int, max_bytes: int
    ) -> list[Delivery]:
        """Return what follows a sequence, at least one."""
        await asyncio.sleep(0)
        self.reads += 1
        if not self.is_available:
            raise ShardUnavailable("shard 0")
        found: list[Delivery] = []
        size = 0
        for (number, sequence), each in sorted(self.waiting.items()):
            if number == connection and sequence > after_sequence:
                found.append(each)
                size += len(each.payload)
                if len(found) >= limit or size >= max_bytes:
                    break
        return found

    async def settle(self, settlement: Settlement) -> None:
        """Apply a settlement as a shard does."""
        await asyncio.sleep(0)
        if not self.is_available or self.loses_settlements:
            raise ShardUnavailable("shard 0")
        if self.is_full:
            self.refused += 1
            raise StoreFull
        self.settlements.append(settlement)
        number = settlement.connection
        for sequence in settlement.done:
            self.waiting.pop((number, sequence), None)
        for letter in settlement.dead:
            if self.waiting.pop((number, letter.delivery.sequence), None) is not None:
                self.dead.append(letter)
        for each in settlement.delayed:
            if (number, each.sequence) in self.waiting:
                self.waiting[number, each.sequence] = each


class ScriptedOutput:
    """A stream output that answers as it is told and remembers what it was sent."""

    def __init__(
        self,
        clock: ManualClock,
        answer: Callable[[Delivery], Outcome] = lambda each: Delivered(200),
        limits: RequestLimits | None = None,
        turns: Callable[[], int] = lambda: 1,
    ) -> None:
        """`turns`: for how many turns of the event loop a request is under way."""
        self.limits = limits or RequestLimits()
        self.requests: list[tuple[int, list[Delivery]]] = []
        self.delivered: list[Delivery] = []
        self.most_in_flight = 0
        self.gate: asyncio.Event | None = None
        self._in_flight = 0
        self._clock = clock
        self._answer = answer
        self._turns = turns

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        """Nothing to do."""

    async def test(self) -> Outcome:
        """Nothing can be wrong."""
        return Delivered()

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Answer each delivery."""
        self.requests.append((self._clock.now_ms(), list(deliveries)))
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        for _ in range(self._turns()):
            await asyncio.sleep(0)
        if self.gate is not None:
            await self.gate.wait()
        self._in_flight -= 1
        outcomes = [self._answer(each) for each in deliveries]
        self.delivered += [
            each
            for each, outcome in zip(deliveries, outcomes, strict=True)
            if isinstance(outcome, Delivered)
        ]
        return outcomes

    @property
    def sequences(self) -> list[int]:
        """The sequences of all attempts, in order."""
        return [each.sequence for _, deliveries in self.requests for each in deliveries]


class Simulation:
    """Runs a forwarder on simulated time: it passes when there is nothing else to do."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self._limit_ms = clock.now_ms()
        self._is_reached = False
        self._forwarder: Forwarder | None = None
        self._task: asyncio.Task[None] | None = None

    def start(
        self,
        outputs: StreamOutput | BulkOutput | dict[Environment, StreamOutput | BulkOutput],
        sources: Sequence[MemoryOutbox],
        connections: Sequence[ConnectionInfo] | None = None,
        *,
        metrics: ForwarderMetrics | None = None,
        poll_ms: int = 10**12,  # nothing here loses a wake-up
        journal: Path | None = None,
        faults: FaultMemory | None = None,
        holds: HoldMemory | None = None,
        **settings: Any,
    ) -> Forwarder:
        """Start a forwarder; one output stands for both environments."""
        if not isinstance(outputs, dict):
            outputs = {"production": outputs, "development": outputs}
        values: dict[str, Any] = {"id": "hook", "schedule": STREAM}
        info = OutputInfo(**values | settings)
        self._forwarder = Forwarder(
            info,
            outputs,
            connections or [connection()],
            sources,
            self.clock,
            NoRandomness(),
            metrics or ForwarderMetrics("test"),
            wait=self._wait,
            poll_ms=poll_ms,
            journal=journal,
            faults=faults,
            holds=holds,
        )
        self._task = asyncio.create_task(self._forwarder.run())
        return self._forwarder

    async def run(self, seconds: float) -> None:
        """Let time pass."""
        self._limit_ms += round(seconds * 1000)
        self._is_reached = False
        async with asyncio.timeout(DEADLINE_S):
            while not self._is_reached:
                assert self._task is not None, "start() comes first"
                if self._task.done():
                    await self._task
                await asyncio.sleep(0)

    async def stop(self) -> None:
        """Stop the forwarder in good order."""
        assert self._forwarder is not None, "start() comes first"
        assert self._task is not None, "likewise"
        async with asyncio.timeout(DEADLINE_S):
            await self._forwarder.stop()
            await self._task

    async def kill(self) -> None:
        """End the forwarder as if its process was killed."""
        assert self._task is not None, "start() comes first"
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _wait(self, event: asyncio.Event, timeout_s: float | None) -> None:
        assert self._forwarder is not None, "start() sets it"
        while not event.is_set():
            left_ms = self._limit_ms - self.clock.now_ms()
            if self._forwarder.is_busy:
                await asyncio.sleep(0)
            elif left_ms <= 0:
                self._is_reached = True
                await asyncio.sleep(0)
            else:
                step_ms = left_ms if timeout_s is None else min(left_ms, round(timeout_s * 1000))
                self.clock.advance(step_ms)
                return


class Receiver:
    """An HTTP receiver on 127.0.0.1 that answers as it is told and keeps what came."""

    def __init__(self, answer: Callable[[web.Request], web.Response] | None = None) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answer = answer or (lambda request: web.Response())
        self.gate: asyncio.Event | None = None  # requests are not answered before it is set
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port, and after a stop on the same one again."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening."""
        assert self._runner is not None, "start() comes first"
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/in"

    async def _handle(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((headers, await request.read()))
        if self.gate is not None:
            await self.gate.wait()
        return self.answer(request)
