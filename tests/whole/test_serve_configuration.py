"""Configurations that change under load in a real deployment, while its processes are killed."""

import os
import re
import signal
import threading
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil  # type: ignore[import-untyped]
import pytest

from actors.clock import SystemClock
from load_tests.server_process import ServerProcess
from tests.serving import KEY, WORKSPACE, Served, eventually

pytestmark = pytest.mark.ray

BASE = "/platform/v2/workspaces/1"
USERS = [f"u{number}" for number in range(8)]
TAKES_EFFECT_S = 5.0
CLOCK = SystemClock()
OUTPUT = {
    "id": "second",
    "kind": "event",
    "module": "file",
    "name": "Second",
    "settings": {"format": "ndjson", "roll": {"max_wait_s": 0.2}},
}


class Load:
    """Sends events of a few users one after the other, each until it is acknowledged."""

    def __init__(self, served: Served) -> None:
        self.acknowledged: dict[str, list[int]] = {user: [] for user in USERS}
        self.key: tuple[str, str] = (KEY, "test-secret")
        self._served = served
        self._is_ending = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(user,)) for user in USERS]

    def __enter__(self) -> "Load":
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_ending.set()
        for each in self._threads:
            each.join()

    @property
    def count(self) -> int:
        return sum(map(len, self.acknowledged.values()))

    def _send(self, user: str) -> None:
        number = 0
        key = self.key
        while not self._is_ending.is_set():
            event = {"event_type": "custom_event", "data": {"event_name": f"n{number}"}}
            body = {
                "user_identities": {"customer_id": user},
                "events": [event],
                "source_request_id": f"{user}-{number}",
            }
            try:
                status, _ = self._served.post("/v2/events", body, *key)
            except OSError:  # the edge has been killed
                continue
            if status == 202:
                self.acknowledged[user].append(number)
                number += 1
                key = self.key  # repeats come with the same one: they are known by it


def killed(served: Served, title: str) -> None:
    """Kill the process of an actor by its own id, found among the deployment's."""
    top = psutil.Process(served.process.pid)
    [found] = [
        each for each in top.children(recursive=True) if re.match(title, _title(each)) is not None
    ][:1]
    os.kill(found.pid, signal.SIGKILL)


def _title(process: Any) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def revisions(served: Served) -> set[float]:
    """Return the revisions that processes report."""
    with urlopen(f"{served.process.admin_url}/metrics", timeout=10) as answer:
        page = answer.read().decode()
    found = re.findall(r'headwater_config_revision\{[^}]*role="(\w+)"[^}]*\} ([\d.]+)', page)
    return {float(revision) for _, revision in found}


def manage(served: Served, method: str, path: str, body: Any = None) -> Any:
    """Change something, however often it takes while processes are away."""

    def ask() -> tuple[int, Any]:
        try:
            return served.manage(method, BASE + path, body)
        except OSError:
            return 0, None

    status, answer = eventually(ask, lambda found: found[0] not in (0, 503))
    assert status in (200, 201, 204, 409, 422), answer
    return answer


def events(batches: list[dict[str, Any]]) -> dict[int, list[str]]:
    """Return the event names of each user, in the order in which they were stored."""
    found: dict[int, list[tuple[int, str]]] = {}
    for batch in batches:
        for event in batch["events"]:
            entry = (event["data"]["event_id"], event["data"]["event_name"])
            found.setdefault(batch["mpid"], []).append(entry)
    return {mpid: [name for _, name in sorted(entries)] for mpid, entries in found.items()}


def test_changes_under_load_are_everywhere_in_time_and_lose_nothing(tmp_path: Path) -> None:
    """A key, an output and its connection, while a shard and an edge are killed with `kill -9`."""
    document = WORKSPACE.replace("  name: W1", "  name: W1\n  config: {allow_api_edits: true}")
    served = Served(tmp_path, workspace=document)
    served.start()
    with Load(served) as load:
        eventually(lambda: load.count, lambda count: count > 50)
        pair = manage(served, "POST", "/inputs/backend/keys")
        url = f"file://{served.data_dir}/second"
        body = {**OUTPUT, "settings": {**OUTPUT["settings"], "url": url}}  # type: ignore[dict-item]
        manage(served, "POST", "/outputs", body)
        killed(served, r"ray::Shard")
        manage(
            served, "POST", "/output-connections", {"input_id": "backend", "output_id": "second"}
        )
        killed(served, r"ray::Edge")
        load.key = (pair["key"], pair["secret"])
        eventually(lambda: revisions(served), lambda found: len(found) == 1 and min(found) >= 4)
        manage(served, "DELETE", f"/inputs/backend/keys/{KEY}")
        body = {"user_identities": {"customer_id": "late"}, "events": []}
        began = CLOCK.monotonic()
        eventually(lambda: served.post("/v2/events", body)[0], lambda status: status == 403)
        assert CLOCK.monotonic() - began < TAKES_EFFECT_S
        before = load.count
        eventually(lambda: load.count, lambda count: count > before + 100)
        manage(served, "PUT", "/outputs/files", {"name": "Renamed", "max_in_flight": 8})
        before = load.count
        eventually(lambda: load.count, lambda count: count > before + 50)
    for user in USERS:
        names = [each["data"]["event_name"] for each in served.events(user)]
        assert names == [f"n{number}" for number in load.acknowledged[user]][-len(names) :]
    wanted = {
        served.find(user)[0]: [f"n{number}" for number in numbers]
        for user, numbers in load.acknowledged.items()
    }
    eventually(lambda: events(served.delivered()), lambda found: found == wanted)
    assert served.delivered("second")
    assert served.process.stop() == 0

    # Without its file the deployment serves what was applied last.
    served.process = ServerProcess(served.data_dir, CLOCK)
    served.start()
    body = {"user_identities": {"customer_id": "late"}, "events": []}
    assert served.post("/v2/events", body)[0] == 403
    assert served.post("/v2/events", body, *load.key)[0] == 202
    manage(served, "DELETE", "/outputs/second?force=true")
    eventually(lambda: roles(served).count("forwarder"), lambda count: count == 1)
    assert served.process.stop() == 0


def roles(served: Served) -> list[str]:
    _, status = served.get_from(served.process.admin_url, "/admin/status")
    return [each["role"] for each in status["actors"]]


def test_sighup_applies_the_files_and_a_faulty_one_changes_nothing(tmp_path: Path) -> None:
    """spec/connections.md, 10."""
    served = Served(tmp_path)
    served.start()
    file = tmp_path / "workspace.yaml"
    former = "{key: us1-test-backend-key, secret: test-secret}"
    changed = WORKSPACE.replace(former, former + ", {key: us1-new-key, secret: new-secret}")
    file.write_text(changed)
    os.kill(served.process.pid, signal.SIGHUP)
    body = {"user_identities": {"customer_id": "ann"}, "events": []}
    eventually(
        lambda: served.post("/v2/events", body, "us1-new-key", "new-secret")[0],
        lambda status: status == 202,
    )
    file.write_text(changed.replace("output: files", "output: nowhere"))
    os.kill(served.process.pid, signal.SIGHUP)
    metric = "headwater_config_last_apply_success"
    eventually(lambda: last_apply(served, metric), lambda value: value == 0)
    assert served.post("/v2/events", body, "us1-new-key", "new-secret")[0] == 202
    file.write_text(changed)
    os.kill(served.process.pid, signal.SIGHUP)
    eventually(lambda: last_apply(served, metric), lambda value: value == 1)
    assert "connections[0].output" in served.process.text()
    assert served.process.stop() == 0


def last_apply(served: Served, metric: str) -> float:
    with urlopen(f"{served.process.admin_url}/metrics", timeout=10) as answer:
        [value] = re.findall(metric + r"\{[^}]*\} ([\d.]+)", answer.read().decode())
    return float(value)
