"""Sends requests for a bounded time: at a given rate, or as fast as a few connections can.

At a given rate the load is open: requests are due at times fixed beforehand, whatever the server
does, and latency counts from when a request was due. A server that stalls is so charged for all
requests that were held up, not only for those that were in flight (no coordinated omission).
"""

import asyncio
from collections.abc import Iterator
from typing import Literal, Protocol

import numpy as np
from msgspec import Struct

from actors.clock import Clock
from load_tests.client import Channel, Response, Target
from load_tests.measurements import Measurements

Arrivals = Literal["poisson", "fixed"]

_ARRIVALS_AT_ONCE = 4096  # as objects of Python
_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 0.05, 1.0


class DriveOptions(Struct, frozen=True, kw_only=True):
    """How to send.

    Attributes:
        requests_per_second: `None`: closed loop, each connection sends as soon as it may.
        drain_s: after the end no new request is sent; those without an answer get this long to be
            resolved, and are sent again until then.
    """

    seconds: float
    connections: int
    requests_per_second: float | None = None
    arrivals: Arrivals = "poisson"
    seed: int = 0
    drain_s: float = 10.0


class Traffic(Protocol):
    """What is sent."""

    def open(self, number: int) -> None:
        """Request `number` is going to be sent; numbers ascend from 0."""
        ...

    def request(self, number: int, now_ms: int) -> bytes:
        """Return the bytes of request `number`, head and body; the same for the same arguments."""
        ...

    def settle(
        self, number: int, response: Response | None, *, is_doubtful: bool
    ) -> tuple[int, int]:
        """Take the outcome of a request; return how many batches and events were acknowledged."""
        ...


class _Job:
    """One request on its way. `is_doubtful`: an attempt may have been stored unanswered."""

    __slots__ = ("attempts", "is_doubtful", "number", "sent_ms", "start")

    def __init__(self, number: int, start: float) -> None:
        self.number = number
        self.start = start
        self.sent_ms = 0  # of the first attempt; a retry sends the same bytes
        self.attempts = 0
        self.is_doubtful = False


class Driver:
    """Drives one run; `measured` can be looked at while it goes."""

    def __init__(
        self, target: Target, traffic: Traffic, options: DriveOptions, clock: Clock
    ) -> None:
        self.measured = Measurements()
        self._traffic = traffic
        self._options = options
        self._clock = clock
        self._now = clock.monotonic
        self._channels = [Channel(target) for _ in range(options.connections)]
        self._started = 0.0
        self._numbers = iter(range(2**63))
        self._due: asyncio.Queue[_Job] = asyncio.Queue()
        self._unfinished: dict[int, _Job] = {}
        self._is_over = False
        self._drained = asyncio.Event()

    async def run(self) -> Measurements:
        """Send for the given time, wait for the answers, and return what was measured."""
        self._started = self._now()
        is_open = self._options.requests_per_second is not None
        work = self._work_open if is_open else self._work_closed
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(work(channel)) for channel in self._channels]
                if is_open:
                    tasks.append(group.create_task(self._arrive()))
                await asyncio.sleep(self._options.seconds)
                await self._drain()
                for task in tasks:
                    task.cancel()
        finally:
            for channel in self._channels:
                channel.close()
        for job in list(self._unfinished.values()):
            self._finish(job, None)
        return self.measured

    async def _work_closed(self, channel: Channel) -> None:
        while not self._is_over:
            job = self._begin(self._now())
            while True:
                delay = await self._attempt(channel, job)
                if delay is None:
                    break
                await asyncio.sleep(delay)

    async def _work_open(self, channel: Channel) -> None:
        loop = asyncio.get_running_loop()
        while True:
            job = await self._due.get()
            delay = await self._attempt(channel, job)
            if delay is not None:  # waits without holding the connection
                loop.call_later(delay, self._due.put_nowait, job)

    async def _arrive(self) -> None:
        assert self._options.requests_per_second is not None
        for offset in arrival_times(self._options.requests_per_second, self._options):
            start = self._started + offset
            if (wait := start - self._now()) > 0:
                await asyncio.sleep(wait)
            if self._is_over:
                return
            self._due.put_nowait(self._begin(start))

    def _begin(self, start: float) -> _Job:
        job = _Job(next(self._numbers), start)
        self._traffic.open(job.number)
        self._unfinished[job.number] = job
        return job

    async def _attempt(self, channel: Channel, job: _Job) -> float | None:
        """Send a request; return after how many seconds to send it again, `None` if it is over."""
        if self._is_over and not job.is_doubtful:
            return None  # the end has settled it already
        if not job.attempts:
            job.sent_ms = self._clock.now_ms()
        job.attempts += 1
        was_doubtful, job.is_doubtful = job.is_doubtful, True
        try:
            response = await channel.exchange(self._traffic.request(job.number, job.sent_ms))
        except OSError:
            return self._again(job, "connection", None)
        self.measured.statuses[response.status] += 1
        if response.status in (429, 503):
            self.measured.without_retry_after += response.retry_after_s is None
        if response.status == 503:
            return self._again(job, "503", response.retry_after_s)
        job.is_doubtful = was_doubtful
        if response.status == 429:
            return self._again(job, "429", response.retry_after_s)
        self._finish(job, response)
        return None

    def _again(self, job: _Job, reason: str, retry_after_s: float | None) -> float | None:
        if self._is_over and not job.is_doubtful:
            self._finish(job, None)
            return None
        self.measured.retries[reason] += 1
        if retry_after_s is not None:
            return retry_after_s
        return min(_FIRST_BACKOFF_S * 2.0 ** min(job.attempts - 1, 10), _LONGEST_BACKOFF_S)

    def _finish(self, job: _Job, response: Response | None) -> None:
        del self._unfinished[job.number]
        now = self._now()
        batches = events = 0
        if job.attempts:
            batches, events = self._traffic.settle(
                job.number, response, is_doubtful=job.is_doubtful
            )
        else:
            self.measured.unsent += 1
        self.measured.record(now - self._started, now - job.start, batches, events)
        if self._is_over and not self._unfinished:
            self._drained.set()

    async def _drain(self) -> None:
        """Settle what is surely not stored; give the rest time to be answered."""
        self._is_over = True
        for job in list(self._unfinished.values()):
            if not job.is_doubtful:
                self._finish(job, None)
        if self._unfinished:
            try:
                async with asyncio.timeout(self._options.drain_s):
                    await self._drained.wait()
            except TimeoutError:
                return  # the caller settles the rest as not known


def arrival_times(rate: float, options: DriveOptions) -> Iterator[float]:
    """Return when requests are due, in seconds since the start, until the end of the run.

    There are as many as the rate says, whether at random times or evenly spaced.
    """
    if options.arrivals == "fixed":
        yield from (number / rate for number in range(int(np.ceil(rate * options.seconds))))
        return
    # A Poisson process of which it is known how many arrive: a short one has seldom its rate.
    count = max(round(rate * options.seconds), 1)
    offsets = np.sort(np.random.default_rng(options.seed).random(count)) * options.seconds
    for start in range(0, count, _ARRIVALS_AT_ONCE):
        yield from offsets[start : start + _ARRIVALS_AT_ONCE].tolist()
