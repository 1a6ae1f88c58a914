"""Erasures of a deployment whose processes are killed meanwhile (spec/privacy.md, case 17)."""

import random
import time
from pathlib import Path
from typing import Any

import pytest

from actors.store.environment import TABLES, Store
from actors.store.layout import stores_of
from tests.serving import KEY, SECRET, WORKSPACE, Served, eventually
from tests.whole.subject_requests import new_id

pytestmark = pytest.mark.ray

ROUNDS = 2
ERASED = [f"zoe{number}" for number in range(12)]
KEPT = [f"bob{number}" for number in range(6)]
DOCUMENT = WORKSPACE.replace(
    "  regulations:\n",
    """  dsr_credentials: {key: us1-test-privacy-key, secret: test-secret}
  privacy:
    dsr:
      erasure_waiting_seconds: 2
      run_interval_seconds: 1
      completion_margin_seconds: 1
  regulations:
""",
)
MAP_SIZE_BYTES = 64 * 1024**3


def sent(name: str, number: int) -> dict[str, Any]:
    event = {"event_type": "custom_event", "data": {"event_name": f"E{number}"}}
    return {
        "user_identities": {"customer_id": name, "email": f"{name}@needle.test"},
        "user_attributes": {"note": f"{name}@needle.test"},
        "events": [event] * 20,
    }


def erase(served: Served, name: str) -> str:
    request_id = new_id()
    body = {
        "regulation": "gdpr",
        "subject_request_id": request_id,
        "subject_request_type": "erasure",
        "submitted_time": "2024-03-05",
        "subject_identities": {"controller_customer_id": {"value": name, "encoding": "raw"}},
    }
    status, answer = served.post("/v3/requests", body, "us1-test-privacy-key")
    assert status == 201, answer
    return request_id


def places_of(text: str, data_dir: Path) -> list[str]:
    """Return where a text is found in the stores of a deployment that has ended."""
    needle = text.encode()
    found = []
    for folder in stores_of(data_dir):
        store = Store(data_dir / folder, MAP_SIZE_BYTES, 1)
        for view in (store, store.of(1)):
            with view.read() as txn:
                for table in TABLES:
                    entries = txn.scan(table)
                    found += [f"{folder}:{table}" for pair in entries if needle in b"".join(pair)]
        store.close()
    return found


def wait_until(moment_s: float) -> None:
    eventually(time.monotonic, lambda now: now >= moment_s)


def test_case_17_erasures_complete_however_often_everything_is_killed(tmp_path: Path) -> None:
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    served = Served(tmp_path, workspace=DOCUMENT)
    served.start()
    for name in (*ERASED, *KEPT):
        for number in range(3):
            status, answer = served.post("/v2/events", sent(name, number), KEY, SECRET)
            assert status == 202, answer
    before = {name: (served.profile(name), served.events(name)) for name in KEPT}
    eventually(served.delivered, lambda batches: len(batches) == 3 * len(ERASED + KEPT))
    ids = [erase(served, name) for name in ERASED]
    began = time.monotonic()
    for _ in range(ROUNDS):
        wait_until(began + 2.0 + chance.random() * 1.5)  # the run takes some hundred milliseconds
        served.process.kill()
        served.start()
        began = time.monotonic() - 2.0

    def left() -> list[str]:
        statuses = [report(served, each)["request_status"] for each in ids]
        return [each for each in statuses if each != "completed"]

    eventually(left, lambda found: not found)
    for request_id in ids:
        shown = report(served, request_id)
        stores = [each["store"] for each in shown["stages"]]
        assert (shown["profiles"], len(stores), len(set(stores))) == (1, 9, 9)
    assert [served.find(name) for name in ERASED] == [[]] * len(ERASED)
    assert before == {name: (served.profile(name), served.events(name)) for name in KEPT}
    assert served.process.stop() == 0
    for name in ERASED:
        assert places_of(f"{name}@needle.test", served.data_dir) == []
    assert places_of(f"{KEPT[0]}@needle.test", served.data_dir) != []


def report(served: Served, request_id: str) -> dict[str, Any]:
    status, shown = served.get(f"/platform/v2/workspaces/1/dsr/{request_id}/report")
    assert status == 200, shown
    found: dict[str, Any] = shown
    return found
