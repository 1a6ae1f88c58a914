"""Processor time per event and memory, by the role that a process has in the server.

Works where the server runs on this machine. Roles are recognised by what a process calls itself.
"""

import ipaddress
import os
import re

import psutil  # type: ignore[import-untyped]
from msgspec import Struct

from load_tests.client import Target

# (part of the command line, role): the first that fits decides.
_ROLES = (
    ("ray::Edge", "edge"),
    ("ray::Shard", "shard"),
    ("ray::Forwarder", "forwarder"),
    ("ray::Coordinator", "coordinator"),
    ("ray::", "other actors"),
    ("gcs_server", "ray"),
    ("raylet", "ray"),
    ("/ray/", "ray"),  # agents, monitors, workers without an actor
    ("headwater serve", "serve"),
    ("-m server serve", "serve"),
)
# An actor that does something, such as `ray::shard-0:Shard.commit`, names itself before its class.
_NAMED = re.compile(r"\bray::[^: ]*:")
GENERATOR = "generator"


class RoleUsage(Struct):
    """What the processes of one role took.

    Attributes:
        peak_rss_bytes: resident memory, pages shared or mapped included.
        peak_own_bytes: without those, which the operating system takes back when it needs to.
    """

    processes: int
    cpu_us_per_event: float
    peak_rss_bytes: int
    peak_own_bytes: int


def role_of(command_line: str) -> str | None:
    """Return the role of a process, `None` if it has no part in a server."""
    title = _NAMED.sub("ray::", command_line)
    return next((role for part, role in _ROLES if part in title), None)


def find_server(target: Target, pid: int | None) -> psutil.Process | None:
    """Find the process at the top of the server.

    Args:
        target: the server; whoever listens on its port is the server, if this is its machine.
        pid: the process itself, where it is known.

    Returns:
        `None` if the server is on another machine, or does not belong to this user.

    Raises:
        ValueError: there is no process `pid`.
    """
    if pid is not None:
        try:
            return psutil.Process(pid)
        except psutil.NoSuchProcess as error:
            raise ValueError(f"no process has the id {pid}") from error
    if not _is_loopback(target.host):
        return None
    try:
        sockets = psutil.net_connections(kind="tcp")
        listeners = (
            socket.pid
            for socket in sockets
            if socket.status == psutil.CONN_LISTEN and socket.laddr.port == target.port
        )
        found = next((pid for pid in listeners if pid is not None), None)
        return None if found is None else _top(psutil.Process(found))
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _top(process: psutil.Process) -> psutil.Process:
    """Climb from a listener, which may be an actor, to the process that started everything."""
    top = process
    for parent in process.parents():
        if role_of(_command_line(parent)) is None:
            break
        top = parent
    return top


def _command_line(process: psutil.Process) -> str:
    return " ".join(process.cmdline())


class _Seen:
    __slots__ = ("cpu_s", "first_cpu_s", "role")

    def __init__(self, role: str, first_cpu_s: float) -> None:
        self.role = role
        self.first_cpu_s = first_cpu_s
        self.cpu_s = first_cpu_s


class Accountant:
    """Samples the processes of a server, and this one; `sample` first when the clock starts."""

    def __init__(self, server: psutil.Process | None) -> None:
        self._server = server
        self._own = psutil.Process(os.getpid())
        self._seen: dict[psutil.Process, _Seen] = {}
        self._peak: dict[str, int] = {}
        self._own_peak: dict[str, int] = {}
        self._has_begun = False

    def sample(self) -> None:
        """Look at all processes once; costs some milliseconds, so call it outside event loops."""
        rss: dict[str, int] = {}
        own: dict[str, int] = {}
        for process, role in self._processes():
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    memory = process.memory_info()
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue  # it has ended since it was listed: what was seen of it counts
            cpu_s = times.user + times.system
            seen = self._seen.get(process)
            if seen is None:
                # All time of a process that began during the run belongs to the run.
                seen = self._seen[process] = _Seen(role, 0.0 if self._has_begun else cpu_s)
            seen.role = role  # a worker has its title once it has become an actor
            seen.cpu_s = cpu_s
            rss[role] = rss.get(role, 0) + memory.rss
            own[role] = own.get(role, 0) + memory.rss - getattr(memory, "shared", 0)
        for role, size in rss.items():
            self._peak[role] = max(self._peak.get(role, 0), size)
            self._own_peak[role] = max(self._own_peak.get(role, 0), own[role])
        self._has_begun = True

    def usage(self, events: int) -> dict[str, RoleUsage]:
        """Return what each role took between the first sample and the last, for these events."""
        result = {}
        for role in sorted(self._peak):
            seen = [each for each in self._seen.values() if each.role == role]
            cpu_s = sum(each.cpu_s - each.first_cpu_s for each in seen)
            cpu_us = cpu_s * 1e6 / events if events else 0.0
            result[role] = RoleUsage(len(seen), cpu_us, self._peak[role], self._own_peak[role])
        return result

    def _processes(self) -> list[tuple[psutil.Process, str]]:
        listed = [(self._own, GENERATOR)]
        if self._server is None:
            return listed
        try:
            members = [self._server, *self._server.children(recursive=True)]
        except psutil.NoSuchProcess:
            return listed
        for process in members:
            if process == self._own:
                continue
            try:
                listed.append((process, role_of(_command_line(process)) or "other"))
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return listed
