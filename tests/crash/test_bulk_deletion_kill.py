"""Bulk deletions of a deployment whose processes are killed meanwhile (spec/profiles.md, 10)."""

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving import KEY, SECRET, Served, eventually, serving
from tests.whole.bulk_deletions import PATH, over
from tests.whole.world import basic

pytestmark = pytest.mark.ray

ROUNDS = 2
OF_ROUND = 3  # requests
OF_REQUEST = 300  # MPIDs
KEPT = [f"bob{number}" for number in range(6)]


def sent(name: str) -> dict[str, Any]:
    event = {"event_type": "custom_event", "data": {"event_name": "Seen"}}
    return {
        "user_identities": {"customer_id": name},
        "user_attributes": {"name": name},
        "events": [event] * 5,
    }


def come(served: Served, names: list[str]) -> None:
    for start in range(0, len(names), 100):
        batches = [sent(name) for name in names[start : start + 100]]
        status, answer = served.post("/v2/bulkevents", batches)
        assert status == 202, answer


def standing(served: Served, request_id: str) -> dict[str, Any]:
    path, headers = f"{PATH}/{request_id}", basic(f"{KEY}:{SECRET}")
    status, shown = served.ask("GET", path, None, headers)
    assert status == 200, shown
    return {name: value for name, value in shown.items() if name != "request_id"}


def wait_until(moment_s: float) -> None:
    eventually(time.monotonic, lambda now: now >= moment_s)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    yield from serving(tmp_path)


def test_deletions_complete_and_are_counted_however_often_everything_is_killed(
    served: Served,
) -> None:
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    names = [f"zoe{number}" for number in range(ROUNDS * OF_ROUND * OF_REQUEST)]
    come(served, [*names, *KEPT])
    batches = eventually(served.delivered, lambda found: len(found) == len(names) + len(KEPT))
    mpid_of = {each["user_attributes"]["name"]: each["mpid"] for each in batches}
    mpids = [mpid_of[name] for name in names]
    before = {name: (served.profile(name), served.events(name)) for name in KEPT}
    ids: list[str] = []
    for _ in range(ROUNDS):
        for _ in range(OF_ROUND):
            start = len(ids) * OF_REQUEST
            status, answer = served.post(PATH, {"mpids": [*mpids[start : start + OF_REQUEST], 999]})
            assert status == 202, answer
            ids.append(answer["request_id"])
        wait_until(time.monotonic() + chance.random() * 0.6)  # of about a second for all of them
        print("killed after", [standing(served, each)["status"] for each in ids[-OF_ROUND:]])
        served.process.kill()
        served.start()
    expected = [over(OF_REQUEST, 1)] * len(ids)
    eventually(
        lambda: [standing(served, each) for each in ids], lambda shown: shown == expected, 60.0
    )
    assert [served.find(name) for name in names[::50]] == [[]] * (len(names) // 50)
    assert before == {name: (served.profile(name), served.events(name)) for name in KEPT}
    come(served, names[:10])
    assert not {served.find(name)[0] for name in names[:10]} & set(mpids)
