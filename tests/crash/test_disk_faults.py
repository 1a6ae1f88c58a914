"""Disks that become read-only, or fail to sync, under a deployment that serves.

`strace` lets the system calls of the stores' files fail in the running processes, and takes that
back.
"""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.installing import install
from tests.serving import PATIENCE_S, PAUSE_S, Served, eventually, serving

pytestmark = pytest.mark.ray

WRITES = "writev,pwritev,pwrite64"
# How calls fail, with the reason that is to be read in the log and at /readyz.
READ_ONLY = pytest.param(WRITES, "EROFS", "Read-only file system", id="read-only")
NO_SYNC = pytest.param("fdatasync,fsync", "EIO", "Input/output error", id="no fsync")
FULL = pytest.param(WRITES, "ENOSPC", "No space left on device", id="full")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    yield from serving(tmp_path)


@pytest.fixture(scope="module", autouse=True)
def strace() -> None:
    """Have strace, installed if it is not there."""
    if shutil.which("strace") is None and not install("strace"):
        pytest.skip("there is no strace, and it could not be installed")


@contextmanager
def failing(served: Served, calls: str, error: str) -> Iterator[None]:
    """Let calls on the files of all stores fail."""
    files = [str(each) for each in served.data_dir.rglob("data.mdb")]
    processes = [*served.process.actors("Shard"), *served.process.actors("Coordinator")]
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject={calls}:error={error}"]
    command += [word for file in files for word in ("-P", file)]
    command += [word for each in processes for word in ("-p", str(each.pid))]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        _, said = tracer.communicate(timeout=30)
        if "not permitted" in said:
            pytest.skip(said)


def batch(number: int) -> dict[str, object]:
    """Make what is sent as number so and so."""
    return {
        "user_identities": {"customer_id": "ann"},
        "user_attributes": {"last": f"{number}"},
        "events": [{"event_type": "custom_event", "data": {"event_name": f"e{number}"}}],
        "source_request_id": f"r{number}",
    }


def readiness(served: Served) -> tuple[int, str]:
    """Ask for /readyz."""
    try:
        with urlopen(f"{served.process.admin_url}/readyz", timeout=20) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize(("calls", "error", "reason"), [READ_ONLY, NO_SYNC, FULL])
def test_nothing_is_taken_or_lost_while_the_disk_fails_and_all_goes_on_afterwards(
    served: Served, calls: str, error: str, reason: str
) -> None:
    acknowledged = []
    assert served.post("/v2/events", batch(0))[0] == 202
    acknowledged.append(0)
    with failing(served, calls, error):
        deadline_s = time.monotonic() + PATIENCE_S
        number = 0
        while True:  # until strace has come
            number += 1
            status, _ = served.post("/v2/events", batch(number))
            if status != 202:
                break
            acknowledged.append(number)
            assert time.monotonic() < deadline_s
            time.sleep(PAUSE_S)
        refused = [number]
        assert status == 503
        for _ in range(20):
            number += 1
            assert served.post("/v2/events", batch(number))[0] == 503
            refused.append(number)
        status, body = eventually(lambda: readiness(served), lambda answer: answer[0] == 503)
        assert reason in json.loads(body)["checks"]["storage"]
        assert served.profile("ann")["user_attributes"] == {"last": f"{acknowledged[-1]}"}
        assert reason in served.process.text()
    eventually(lambda: readiness(served), lambda answer: answer[0] == 200)
    for each in refused:  # as their senders do
        assert served.post("/v2/events", batch(each))[0] == 202
    events = [event["data"]["event_name"] for event in served.events("ann")]
    assert events == [f"e{each}" for each in (*acknowledged, *refused)]
    command = [sys.executable, "-m", "server", "data", "check", "--data-dir", str(served.data_dir)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_failure_in_the_middle_of_a_commit_ends_a_process_and_nothing_else(
    served: Served,
) -> None:
    """The page that makes a commit hold may or may not be written: the store is opened anew."""
    assert served.post("/v2/events", batch(0))[0] == 202
    with failing(served, "pwrite64", "EIO"):
        eventually(lambda: served.post("/v2/events", batch(1))[0], lambda status: status != 202)
    eventually(lambda: served.post("/v2/events", batch(1))[0], lambda status: status == 202)
    events = [event["data"]["event_name"] for event in served.events("ann")]
    assert events == ["e0", "e1"]
