"""A deployment that is started again whenever it ends, as a service manager does."""

import asyncio
import contextlib
import re
import socket
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from actors.clock import Clock
from load_tests.client import Target
from load_tests.faults.plan import ROLES
from load_tests.faults.ray_logs import RayLogs
from load_tests.faults.wall_clock import WallClock
from load_tests.server_process import ServerProcess

EDGES = 2  # so that clients who lose one go on by the other
SHARDS = 2
SHARD_TIMEOUT_S = 2.0  # that edges wait for a shard: some clients give up before, some after
ORPHANS_S = 30.0  # that processes may take to notice that the deployment has ended
# That Ray's agents may take: for a minute they tell a control service that is no more that their
# raylet is. A new deployment does not wait for them.
AGENTS_S = 75.0
_AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")
_LOOK_S = 0.1
_STARTS = 5
# `ray::Shard`, and while it does something `ray::shard-0:Shard.commit`.
_ROLE = re.compile(rf"ray::(?:[^:]*:)?({'|'.join(ROLES)})\b")
_MARK = "HEADWATER_FAULTS_RUN"


class NotServing(Exception):
    """The deployment does not come back. Holds what it printed."""


class KeptDeployment:
    """Runs `headwater serve` on a folder until `end`.

    Attributes:
        orphans: names of processes that outlived a deployment by `ORPHANS_S`, and of Ray's agents
            that outlived the last one by `AGENTS_S`.
        starts: how often it was started.
        longest_start_s: how long the longest start took.
        logs: what Ray has written.
        wall_clock: the time of day that its processes read.
    """

    def __init__(self, folder: Path, workspace: Path, clock: Clock) -> None:
        """Args: `folder`: short, as Ray puts sockets below it."""
        self.data_dir = folder / "data"
        self.orphans: list[str] = []
        self.starts = 0
        self.longest_start_s = 0.0
        self._clock = clock
        self._mark = f"{folder}"
        self.logs = RayLogs(folder / "ray", folder / "ray-logs")
        self.wall_clock = WallClock(folder / "clock")
        port, admin_port = _free_ports(2)
        self.target = Target("127.0.0.1", port, is_tls=False, prefix="")
        self.admin = Target("127.0.0.1", admin_port, is_tls=False, prefix="")
        self.server = ServerProcess(
            self.data_dir,
            clock,
            *("--port", str(port), "--admin-port", str(admin_port)),
            *("--workspace", str(workspace)),
            *("--edges", str(EDGES), "--shards", str(SHARDS)),
            environ={
                "HEADWATER_LOG_LEVEL": "warning",
                "HEADWATER_EGRESS_ALLOW": "127.0.0.1",
                "HEADWATER_SHARD_TIMEOUT_S": str(SHARD_TIMEOUT_S),
                "HEADWATER_SHUTDOWN_GRACE_S": "0.2",  # so that clients still send when it ends
                "RAY_TMPDIR": str(self.logs.ray_dir),
                _MARK: self._mark,
                **self.wall_clock.environ(),
            },
        )
        self._keeping: asyncio.Task[None] | None = None
        self._whole: Counter[str] = Counter()
        self._is_up = asyncio.Event()

    async def begin(self) -> None:
        """Start it, and keep it running from now on. Raises NotServing."""
        await self._start()
        self._whole = await asyncio.to_thread(self._actors)
        self._keeping = asyncio.create_task(self._keep())

    async def end(self) -> None:
        """Stop it for good. Raises NotServing, if it could not be kept running."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        if self.server.is_running:
            try:
                await asyncio.to_thread(self.server.stop)
            except subprocess.TimeoutExpired:
                self.orphans.append("the deployment did not stop")
        await self._bury()
        await self._await_end(lambda: self.processes(""), AGENTS_S)

    async def up(self) -> None:
        """Wait until it serves. Raises NotServing."""
        assert self._keeping is not None, "it has not begun"
        waiting = asyncio.create_task(self._is_up.wait())
        await asyncio.wait((waiting, self._keeping), return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            self._keeping.result()

    async def whole(self, patience_s: float) -> str:
        """Wait until it serves with all its actors; return whom it lacks or has too many of.

        Raises NotServing.
        """
        deadline_s = self._clock.monotonic() + patience_s
        while True:
            await self.up()
            actors = await asyncio.to_thread(self._actors)
            if actors == self._whole:
                return ""
            if self._clock.monotonic() > deadline_s:
                return f"{dict(actors)} run, where there were {dict(self._whole)}"
            await asyncio.sleep(_LOOK_S)

    def actors(self, role: str) -> list[psutil.Process]:
        """Return the processes of a role's actors."""
        return [process for process, found in self._roles() if found == role]

    def _actors(self) -> Counter[str]:
        return Counter(role for _, role in self._roles())

    def _roles(self) -> Iterator[tuple[psutil.Process, str]]:
        for process in self.processes("ray::"):
            with contextlib.suppress(psutil.Error):
                found = _ROLE.match(" ".join(process.cmdline()))
                if found is not None:
                    yield process, found[1]

    def processes(self, words: str) -> list[psutil.Process]:
        """Return its processes whose command line has some words; all of them with `""`."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if words in " ".join(process.cmdline()) and self._is_own(process):
                    found.append(process)
        return found

    def _is_own(self, process: psutil.Process) -> bool:
        environ = process.environ()
        if environ:
            return bool(environ.get(_MARK) == self._mark)
        # The titles of Ray's agents lie over their environment. They have the time of day mapped.
        return process.name().startswith("ray::") and self.wall_clock.is_read_by(process.pid)

    def _without_agents(self) -> list[psutil.Process]:
        return [each for each in self.processes("") if not _is_agent(each)]

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            if not self.server.is_running:
                self._is_up.clear()
                await self._start()

    async def _start(self) -> None:
        printed = ""
        for _ in range(_STARTS):
            await self._bury()
            began_s = self._clock.monotonic()
            self.starts += 1
            try:
                await asyncio.to_thread(self.server.start)
            except RuntimeError as error:  # such as when it is killed while it starts
                printed = str(error)
                continue
            self.longest_start_s = max(self.longest_start_s, self._clock.monotonic() - began_s)
            self._is_up.set()
            return
        raise NotServing(printed)

    async def _bury(self) -> None:
        """Wait for the end of all processes but Ray's agents, and see to what they have left."""
        await self._await_end(self._without_agents, ORPHANS_S)
        await asyncio.to_thread(self.logs.set_aside)

    async def _await_end(
        self, running: Callable[[], list[psutil.Process]], patience_s: float
    ) -> None:
        """Wait for the end of processes; count and kill those that do not end."""
        deadline_s = self._clock.monotonic() + patience_s
        while left := await asyncio.to_thread(running):
            if self._clock.monotonic() > deadline_s:
                for process in left:
                    with contextlib.suppress(psutil.Error):
                        self.orphans.append(" ".join(process.cmdline()).strip()[:100])
                        process.kill()
                return
            await asyncio.sleep(_LOOK_S)


def _is_agent(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline()).strip().startswith(_AGENTS)
    return True  # it has ended just now


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
