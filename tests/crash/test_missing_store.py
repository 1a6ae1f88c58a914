"""A store that goes in the first run of a folder, with the process that had it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving import Served, eventually, serving

pytestmark = pytest.mark.ray


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    yield from serving(tmp_path)


def waiting(served: Served) -> list[dict[str, Any]]:
    lines = served.process.text().splitlines()
    return [json.loads(line)["ctx"] for line in lines if '"store_missing"' in line]


@pytest.mark.parametrize(
    ("role", "lost"),
    [
        ("Shard", "shards-1/shard-0000"),
        ("Coordinator", "coordinator/workspace-1"),
        ("Coordinator", "coordinator/scope-1"),
    ],
)
def test_nobody_begins_anew_in_its_place(
    served: Served, tmp_path: Path, role: str, lost: str
) -> None:
    """Whoever comes back waits for it, and goes on with what it has."""
    event = {"event_type": "custom_event", "data": {"event_name": "Seen"}}
    sent = {"user_identities": {"customer_id": "zoe"}, "events": [event]}
    assert served.post("/v2/events", sent)[0] == 202
    [zoe] = eventually(lambda: served.find("zoe"), bool)
    store, elsewhere = served.data_dir / lost, tmp_path / "elsewhere"
    store.rename(elsewhere)
    for process in served.process.actors(role):
        process.kill()
    [told] = eventually(lambda: waiting(served), bool)
    assert told["reason"].startswith(f"{store} is not there, as it was before")
    assert not store.exists()
    elsewhere.rename(store)
    assert eventually(lambda: served.post("/v2/events", sent)[0], lambda status: status == 202)
    assert served.find("zoe") == [zoe]
    assert len(served.events("zoe")) == 2
    assert served.process.stop() == 0
