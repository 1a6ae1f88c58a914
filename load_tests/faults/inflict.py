"""Does to a deployment and its outputs what a plan says."""

import asyncio
import contextlib
import errno
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from actors.clock import Clock
from load_tests.faults.kept import KeptDeployment
from load_tests.faults.plan import ROLES, Fault
from load_tests.faults.receivers import WELL, FaultyReceiver

_BALLAST = "ballast"
_LARGEST, _SMALLEST = 1024**3, 4096  # bytes that are taken at once


class Inflictor:
    """Makes faults happen, and takes back those that last.

    Attributes:
        missed: faults whose victim was away just then.
    """

    def __init__(
        self,
        kept: KeptDeployment,
        receivers: Sequence[FaultyReceiver],
        clock: Clock,
        when_full: Callable[[], Awaitable[None]],
    ) -> None:
        """Args: `when_full` is awaited once the disk is full, which it stays meanwhile."""
        self._kept = kept
        self._receivers = receivers
        self._clock = clock
        self._when_full = when_full
        self.missed: list[Fault] = []

    async def run(self, faults: Sequence[Fault]) -> None:
        """Inflict all, each at its time; return once the last is over."""
        began_s = self._clock.monotonic()

        async def one(fault: Fault) -> None:
            await asyncio.sleep(max(began_s + fault.at_s - self._clock.monotonic(), 0.0))
            await self._inflict(fault)

        async with asyncio.TaskGroup() as group:
            for fault in faults:
                group.create_task(one(fault))

    async def _inflict(self, fault: Fault) -> None:
        if fault.kind == "output":
            receiver = self._receivers[fault.pick % len(self._receivers)]
            try:
                await receiver.turn(fault.target)
                await asyncio.sleep(fault.seconds)
            finally:
                await receiver.turn(WELL)
        elif fault.kind == "clock":
            clock = self._kept.wall_clock
            try:
                clock.jump(int(fault.target))
                await asyncio.sleep(fault.seconds)
            finally:
                clock.jump(0)
        elif fault.kind == "disk":
            await self._fill(fault.seconds)
        else:
            victims = await asyncio.to_thread(self._victims, fault)
            if not victims:
                self.missed.append(fault)
            if fault.kind == "stop":
                try:
                    _send(victims, signal.SIGSTOP)
                    await asyncio.sleep(fault.seconds)
                finally:
                    _send(victims, signal.SIGCONT)
            elif fault.kind == "freeze":
                try:
                    _send(victims, signal.SIGSTOP)
                    await asyncio.sleep(fault.seconds)
                finally:
                    _send(victims, signal.SIGKILL)
            elif fault.kind == "restart":
                _send(victims, signal.SIGTERM)
            else:
                _send(victims, signal.SIGKILL)

    def _victims(self, fault: Fault) -> list[psutil.Process]:
        """Return whom a fault befalls; nobody, if they are away just then.

        Of several it is chosen by name, so that a seed hits the same again.
        """
        if fault.target == "everything":
            found = self._kept.processes("")
            _send(found, signal.SIGSTOP)  # so that none sees another one go
            return found
        if fault.target in ("driver", "deployment"):
            top = self._kept.server
            with contextlib.suppress(psutil.NoSuchProcess):
                return [psutil.Process(top.pid)] if top.is_running else []
            return []
        if fault.target in ROLES:
            found = self._kept.actors(fault.target)
        else:
            words = f"/{fault.target}"
            found = [p for p in self._kept.processes(words) if _is_called(p, fault.target)]
        # Who begins just now has no name yet, and comes last.
        names = {process: self._kept.logs.name_of(process.pid) for process in found}
        found.sort(key=lambda process: (not names[process], names[process], process.pid))
        return [found[fault.pick % len(found)]] if found else []

    async def _fill(self, seconds: float) -> None:
        """Leave no room on the disk of the data folder for a while."""
        ballast = self._kept.data_dir.parent / _BALLAST
        try:
            await asyncio.to_thread(_fill_up, ballast)
            await asyncio.gather(asyncio.sleep(seconds), self._when_full())
        finally:
            ballast.unlink(missing_ok=True)


def _fill_up(ballast: Path) -> None:
    """Take all room, a part and then a smaller one: to write as much would take longer."""
    size, end = _LARGEST, 0
    with ballast.open("wb") as file:
        while size >= _SMALLEST:
            try:
                os.posix_fallocate(file.fileno(), end, size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                size //= 2
            else:
                end += size


def _send(processes: Sequence[psutil.Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _is_called(process: psutil.Process, name: str) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(process.name() == name)
    return False
