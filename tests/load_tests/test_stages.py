"""Accounting of processes by role."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil  # type: ignore[import-untyped]
import pytest

from load_tests.client import Target
from load_tests.stages import GENERATOR, Accountant, find_server, role_of

_BUSY = (
    "import sys\n"
    "list(range(200_000))\n"
    "print('ready', flush=True)\n"
    "for line in sys.stdin:\n"
    "    sum(range(int(line)))\n"
    "    print('done', flush=True)\n"
)
_LISTENING = (
    "import socket, sys\n"
    "s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()\n"
    "print(s.getsockname()[1], flush=True)\n"
    "sys.stdin.read()\n"
)


@contextmanager
def _process(code: str, title: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run code in a process that has `title` in its command line; yield it and its first line."""
    command = [sys.executable, "-c", code, title]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("command_line", "role"),
    [
        ("ray::Edge.run", "edge"),
        ("ray::Shard.commit", "shard"),
        ("ray::shard-0:Shard.commit", "shard"),
        ("ray::Forwarder", "forwarder"),
        ("ray::Coordinator.resolve", "coordinator"),
        ("ray::IDLE", "other actors"),
        ("/venv/lib/ray/core/src/ray/raylet/raylet --store_socket=x", "ray"),
        ("/venv/lib/ray/core/src/ray/gcs/gcs_server --log", "ray"),
        ("python -u /venv/lib/ray/dashboard/agent.py", "ray"),
        ("python /home/headwater serve/.venv/lib/ray/_private/log_monitor.py", "ray"),
        ("/venv/bin/python /venv/bin/headwater serve --port 8080", "serve"),
        ("python -m server serve", "serve"),
        ("bash", None),
    ],
)
def test_a_process_is_recognised_by_what_it_calls_itself(
    command_line: str, role: str | None
) -> None:
    """One table decides."""
    assert role_of(command_line) == role


def test_processor_time_is_shared_out_per_event_and_role() -> None:
    """A server process works after the first sample; the time it takes is charged to its role."""
    with _process(_BUSY, "headwater serve") as (process, _):
        accountant = Accountant(psutil.Process(process.pid))
        accountant.sample()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("10000000\n")
        process.stdin.flush()
        process.stdout.readline()
        accountant.sample()
        usage = accountant.usage(events=1000)
    assert usage["serve"].processes == 1
    assert usage["serve"].cpu_us_per_event >= 20  # ten million additions take over 20 ms
    assert usage["serve"].peak_rss_bytes > usage["serve"].peak_own_bytes > 2**20
    assert usage[GENERATOR].peak_rss_bytes > 2**20


def test_a_process_that_ends_keeps_its_share() -> None:
    """Its last sample counts, and the next samples go on without it."""
    with _process(_BUSY, "headwater serve") as (process, _):
        accountant = Accountant(psutil.Process(process.pid))
        accountant.sample()
    accountant.sample()
    assert accountant.usage(events=1)["serve"].processes == 1


def test_without_events_there_is_no_time_per_event() -> None:
    """Nothing is divided by zero."""
    accountant = Accountant(None)
    accountant.sample()
    assert accountant.usage(events=0)[GENERATOR].cpu_us_per_event == 0


def test_the_server_is_found_by_the_port_it_listens_on() -> None:
    """On this machine only: a server elsewhere is not looked for."""
    with _process(_LISTENING, "headwater serve") as (process, port):
        found = find_server(Target("127.0.0.1", int(port), False, ""), None)
        assert found is not None
        assert found.pid == process.pid
        assert find_server(Target("192.0.2.1", int(port), False, ""), None) is None


def test_a_process_id_that_nobody_has_is_refused() -> None:
    """The largest process id is not in use."""
    with pytest.raises(ValueError, match="no process"):
        find_server(Target("127.0.0.1", 80, False, ""), 2**22 + 1)
