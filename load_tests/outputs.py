"""Seven outputs of which one dies and one turns slow: what the other five notice of it.

First all are well, then one refuses every connection and one takes seconds to answer, both times
under the same load; then the bad ones get well, and everything has to arrive.
"""

import asyncio
import contextlib
from base64 import b64encode
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from ruamel.yaml import YAML

from actors.clock import Clock
from load_tests.client import Channel, Target, request_bytes
from load_tests.drive import DriveOptions, arrival_times
from load_tests.event_receivers import EventReceiver
from load_tests.server_process import KEY, WORKSPACE, ServerProcess

OUTPUTS = 7
CHANNELS = 16
RETRY_S = 0.05
WARM_UP_S = 5.0
LOOK_S = 0.1


class OutputsOptions(Struct, frozen=True, kw_only=True):
    """How to run.

    Attributes:
        seconds: of each of the two measurements.
        rate: batches per second, of one event each.
        slow_s: how long the slow output takes to answer.
        patience_s: how long everything may take to arrive once all outputs are well again.
    """

    seconds: float
    rate: float
    users: int
    slow_s: float
    patience_s: float
    seed: int


class Phase(Struct, kw_only=True):
    """One measurement.

    Attributes:
        acknowledged: batches, all of those that were due.
        rate: batches acknowledged per second.
        delivery_p99_ms: of each of the five, from when a batch was due until its output had it.
        ingest_p99_ms: from when a batch was due until it was acknowledged.
    """

    acknowledged: int
    rate: float
    delivery_p99_ms: dict[str, float]
    ingest_p99_ms: float

    @property
    def worst_ms(self) -> float:
        """The 99th percentile of the five that is highest."""
        return max(self.delivery_p99_ms.values())


class OutputsResult(Struct, kw_only=True):
    """What was measured.

    Attributes:
        good: with all outputs well; `bad`: with one dead and one slow.
        missing, repeated, out_of_order: events, by output.
        recovery_s: from the end of the faults until everything had arrived.
    """

    good: Phase
    bad: Phase
    missing: dict[str, int]
    repeated: dict[str, int]
    out_of_order: dict[str, int]
    recovery_s: float


def workspace_document(urls: Sequence[str]) -> dict[str, Any]:
    """Return the document of `make load` with these webhooks in place of its output."""
    document: dict[str, Any] = YAML(typ="safe").load(WORKSPACE)
    document["outputs"] = [
        {
            "id": f"hook{number}",
            "kind": "event",
            "module": "webhook",
            "name": f"Hook {number}",
            "settings": {"url": url, "allow_insecure": True},
            # Shorter than in earnest, so that a run of minutes sees several attempts.
            "retry": {"base": "1s", "cap": "5s"},
            "breaker": {"open_for": "1s"},
        }
        for number, url in enumerate(urls)
    ]
    document["connections"] = [
        {
            "id": f"backend-hook{number}",
            "input": "backend",
            "output": f"hook{number}",
            "settings": {"send_as_batch": True, "batch": {"max_wait_s": 0}},
        }
        for number in range(len(urls))
    ]
    return document


async def outputs(options: OutputsOptions, folder: Path, clock: Clock) -> OutputsResult:
    """Run a deployment on a folder and measure.

    Raises:
        RuntimeError: the deployment did not start.
        OSError: nothing answers.
    """
    receivers = [EventReceiver(f"hook{n}", clock.monotonic) for n in range(OUTPUTS)]
    well, dead, slow = receivers[:-2], receivers[-2], receivers[-1]
    async with AsyncExitStack() as stack:
        for receiver in receivers:
            await stack.enter_async_context(receiver.listening())
        workspace = folder / "workspace.yaml"
        document = workspace_document([each.url for each in receivers])
        workspace.write_bytes(msgspec.json.encode(document))
        server = ServerProcess(
            folder / "data",
            clock,
            *("--workspace", str(workspace)),
            environ={"HEADWATER_LOG_LEVEL": "error", "HEADWATER_EGRESS_ALLOW": "127.0.0.1"},
        )
        await asyncio.to_thread(server.start)
        stack.push_async_callback(asyncio.to_thread, server.stop)
        sender = _Sender(Target.of(server.url), options, clock)
        await sender.run(WARM_UP_S)
        good = await _measure(sender, options.seconds, well, clock)
        await dead.die()
        slow.delay_s = options.slow_s
        bad = await _measure(sender, options.seconds, well, clock)
        slow.delay_s = 0.0
        began_s = clock.monotonic()
        await dead.revive()
        await _arrival(receivers, sender.acknowledged, options.patience_s, clock)
        recovery_s = clock.monotonic() - began_s
    return OutputsResult(
        good=good,
        bad=bad,
        missing={each.name: len(sender.acknowledged - each.seen.keys()) for each in receivers},
        repeated={each.name: each.repeats for each in receivers},
        out_of_order={each.name: each.out_of_order for each in receivers},
        recovery_s=recovery_s,
    )


class _Sender:
    """Sends numbered events at a steady rate, those of one user never two at once.

    Attributes:
        due_s: number to when it was due.
        acknowledged: the numbers answered 202.
        answered_s: number to when.
    """

    def __init__(self, target: Target, options: OutputsOptions, clock: Clock) -> None:
        self.due_s: dict[int, float] = {}
        self.answered_s: dict[int, float] = {}
        self._target = target
        self._options = options
        self._clock = clock
        self._authorization = "Basic " + b64encode(f"{KEY[1]}:{KEY[3]}".encode()).decode()

    @property
    def acknowledged(self) -> set[int]:
        """Return the numbers answered 202."""
        return set(self.answered_s)

    async def run(self, seconds: float) -> range:
        """Send for so long; return the numbers sent, all of them acknowledged."""
        options, clock = self._options, self._clock
        due: list[asyncio.Queue[int]] = [asyncio.Queue() for _ in range(CHANNELS)]
        first = len(self.due_s)
        drive = DriveOptions(seconds=seconds, connections=0, seed=options.seed)
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(self._send(each)) for each in due]
            started_s = clock.monotonic()
            for offset_s in arrival_times(options.rate, drive):
                await asyncio.sleep(max(started_s + offset_s - clock.monotonic(), 0.0))
                number = len(self.due_s)
                self.due_s[number] = started_s + offset_s
                due[number % options.users % CHANNELS].put_nowait(number)
            for each in due:
                await each.join()
            for worker in workers:
                worker.cancel()
        return range(first, len(self.due_s))

    async def _send(self, due: "asyncio.Queue[int]") -> None:
        channel = Channel(self._target)
        try:
            while True:
                number = await due.get()
                user = number % self._options.users
                data = {"event_name": "Ping", "custom_attributes": {"n": number}}
                batch = {
                    "environment": "production",
                    "user_identities": {"customer_id": f"u{user}"},
                    "events": [{"event_type": "custom_event", "data": data}],
                    "source_request_id": f"r{number}",
                }
                body = msgspec.json.encode(batch)
                path = "/v2/events"
                request = request_bytes(self._target, "POST", path, self._authorization, body)
                while not await self._is_taken(channel, request):  # noqa: ASYNC110  # retries
                    await asyncio.sleep(RETRY_S)
                self.answered_s[number] = self._clock.monotonic()
                due.task_done()
        finally:
            channel.close()

    @staticmethod
    async def _is_taken(channel: Channel, request: bytes) -> bool:
        with contextlib.suppress(ConnectionError):
            return (await channel.exchange(request)).status == 202
        return False


async def _measure(
    sender: _Sender, seconds: float, receivers: Sequence[EventReceiver], clock: Clock
) -> Phase:
    started_s = clock.monotonic()
    numbers = await sender.run(seconds)
    took_s = clock.monotonic() - started_s
    await _arrival(receivers, set(numbers), seconds, clock)
    infinite = float("inf")
    return Phase(
        acknowledged=len(numbers),
        rate=len(numbers) / took_s,
        delivery_p99_ms={
            each.name: _p99_ms([each.seen.get(n, infinite) - sender.due_s[n] for n in numbers])
            for each in receivers
        },
        ingest_p99_ms=_p99_ms([sender.answered_s[n] - sender.due_s[n] for n in numbers]),
    )


def _p99_ms(seconds: list[float]) -> float:
    return float(np.percentile(np.array(seconds) * 1000, 99, method="higher"))


async def _arrival(
    receivers: Sequence[EventReceiver], numbers: set[int], patience_s: float, clock: Clock
) -> None:
    """Wait until all have got all of some events, for so long at most."""
    deadline_s = clock.monotonic() + patience_s
    while clock.monotonic() < deadline_s:
        if all(numbers <= each.seen.keys() for each in receivers):
            return
        await asyncio.sleep(LOOK_S)
