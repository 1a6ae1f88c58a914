"""A backup of a deployment that serves, and a deployment that serves a backup."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import Served, serving

pytestmark = pytest.mark.ray

EVENT = {"event_type": "custom_event", "data": {"event_name": "Opened"}}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    yield from serving(tmp_path)


def headwater(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "server", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_backup_has_all_that_was_acknowledged_before_it_and_no_half_of_anything(
    served: Served, tmp_path: Path
) -> None:
    acknowledged = 0
    is_over = threading.Event()

    def send() -> None:
        nonlocal acknowledged
        while not is_over.is_set():
            number = acknowledged
            body = {
                "user_identities": {"customer_id": f"u{number}"},
                "user_attributes": {"n": number},
                "events": [EVENT],
            }
            status, answer = served.post("/v2/events", body)
            assert status == 202, answer
            acknowledged = number + 1

    sender = threading.Thread(target=send)
    sender.start()
    try:
        while acknowledged < 50:
            is_over.wait(0.05)
        before = acknowledged
        copy = tmp_path / "copy"
        made = headwater("data", "backup", str(copy), "--data-dir", str(served.data_dir))
    finally:
        is_over.set()
        sender.join()
    assert made.returncode == 0, made.stderr
    checked = headwater("data", "check", "--data-dir", str(served.data_dir))
    assert checked.returncode == 0, checked.stdout  # while it is served
    served.process.kill()

    (tmp_path / "second").mkdir()
    again = Served(tmp_path / "second")
    restored = headwater("data", "restore", str(copy), "--data-dir", str(again.data_dir))
    assert restored.returncode == 0, restored.stderr
    again.start()
    try:
        for number in range(before):
            profile = again.profile(f"u{number}")
            assert profile["user_attributes"] == {"n": str(number)}
            assert len(again.events(f"u{number}")) == 1
        late = [number for number in range(before, acknowledged) if again.find(f"u{number}")]
        assert late == list(range(before, before + len(late)))  # none without those before it
        assert again.post("/v2/events", {"events": [EVENT]})[0] == 202
    finally:
        again.process.kill()


def test_a_damaged_store_is_named_at_start(served: Served) -> None:
    assert served.process.stop() == 0
    [file] = served.data_dir.glob("shards-*/shard-0001/data.mdb")
    file.write_bytes(file.read_bytes()[: 5 * 4096])
    with pytest.raises(RuntimeError, match="shard-0001 is damaged"):
        served.start()
