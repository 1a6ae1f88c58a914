"""Slots that move between shards while a deployment serves, by `headwater cluster`."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from actors.store.keys import SLOTS, slot_of_mpid
from actors.store.slots import even, owners_of
from tests.opened import batch, memberships, workspace_with
from tests.serving import Served, eventually, serving
from tests.webhook_receiver import Receiver, receiving

pytestmark = pytest.mark.ray

SHARDS = 3
USERS = 30
MOST = 150  # of a user: with more behind one that is refused the output gives up their order
OWNERS = owners_of(even(SHARDS))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An output that takes nothing yet."""
    with receiving() as running:
        running.status = 503
        yield running


@pytest.fixture
def served(tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("HEADWATER_EGRESS_ALLOW", "127.0.0.0/8")
    flags = ("--shards", str(SHARDS))
    yield from serving(tmp_path, *flags, workspace=workspace_with(receiver))


def cluster(served: Served, *arguments: str) -> "subprocess.CompletedProcess[str]":
    access = ("--url", served.process.url, "--client-id", "ops", "--client-secret", "ops-secret")
    command = [sys.executable, "-m", "server", "cluster", *arguments, *access]
    command += ["--admin-url", served.process.admin_url]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def send(served: Served, user: str, number: int) -> int:
    status, _ = served.post("/v2/events", batch(user, number))
    return status


def told(served: Served, user: str) -> dict[str, Any]:
    """Return all that the deployment says of a user, but for when it was asked."""
    [mpid] = served.find(user)
    _, by_email = served.get(f"/platform/v2/workspaces/1/users/search?q={user}%40example.com")
    path = f"/userprofile/v1/1/1/1/{mpid}"
    fields = "user_identities,user_attributes,device_identities,consent_state,audience_memberships"
    _, profile = served.get(f"{path}?fields={fields}")
    _, history = served.get(f"/platform/identity/1/production/mpids/{mpid}/history")
    return {
        "mpid": mpid,
        "by_email": [row["mpid"] for row in by_email],
        "profile": {key: value for key, value in profile.items() if key != "timestamp_ms"},
        "events": served.events(user),
        "history": history,
    }


def delivered(receiver: Receiver) -> dict[str, list[int]]:
    """Return the numbers of each user's batches as they came, each once."""
    with receiver.lock:
        payloads = [payload for _, payload in receiver.requests]
    found: dict[str, dict[int, None]] = {}
    for payload in payloads:
        for event in payload["events"]:
            user, _, number = event["data"]["custom_attributes"]["of"].partition("/")
            found.setdefault(user, {})[int(number)] = None
    return {user: list(numbers) for user, numbers in found.items()}


def posted(served: Served, first: int, last: int, to: int) -> tuple[int, Any]:
    body = json.dumps({"first": first, "last": last, "to": to}).encode()
    url = served.process.admin_url
    return served.ask("POST", "/admin/slots", body, served._bearer(), url)


def test_users_move_with_all_that_belongs_to_them_and_nobody_notices(
    served: Served, receiver: Receiver
) -> None:
    users = [f"user-{number}" for number in range(USERS)]
    for number in range(3):
        for user in users:
            assert send(served, user, number) == 202
    for user in users:
        eventually(
            partial(memberships, served, user), lambda shown: shown == ["openers"], patience_s=120
        )
    before = {user: told(served, user) for user in users}
    owners = {user: OWNERS[slot_of_mpid(before[user]["mpid"])] for user in users}
    assert set(owners.values()) == set(range(SHARDS))
    senders = [next(user for user in users if owners[user] == shard) for shard in range(SHARDS)]
    is_over = threading.Event()

    def keep_sending(user: str) -> list[int]:
        statuses, number = [], 3
        while not is_over.wait(0.3) and number < MOST:
            statuses.append(send(served, user, number))
            number += statuses[-1] == 202
        return statuses

    half = SLOTS // SHARDS
    with ThreadPoolExecutor(SHARDS) as pool:
        sending = [pool.submit(keep_sending, user) for user in senders]
        moved = cluster(served, "rebalance", "--move", "0", str(half), "1")
        shown = cluster(served, "status")
        back = cluster(served, "rebalance")
        is_over.set()
        outcomes = [each.result() for each in sending]
    assert moved.returncode == 0, moved.stdout + moved.stderr
    assert "100 % of them are on shard 1" in moved.stdout
    assert f"slots 0 to {half} go to shard 1" in moved.stdout
    assert "nothing is moving" in shown.stdout
    assert shown.stdout.splitlines()[-1] == "slots by shard: 0: 0, 1: 43691, 2: 21845"
    assert back.returncode == 0, back.stdout + back.stderr
    assert back.stdout.splitlines()[-1] == "slots by shard: 0: 21846, 1: 21845, 2: 21845"
    for statuses in outcomes[:2]:
        assert set(statuses) <= {202, 503}
        assert statuses.count(202) > 3
    assert set(outcomes[2]) == {202}, "others are not disturbed"
    for user in users:
        after = told(served, user)
        if user not in senders:
            assert after == before[user]
        else:
            expected = 3 + outcomes[owners[user]].count(202)
            assert len(after["events"]) == expected
            assert after["profile"]["user_attributes"]["last"] == str(expected - 1)
            assert after["profile"]["user_attributes"]["opened"] == str(expected)
            assert after["mpid"] == before[user]["mpid"]
    # What waited all the time for an output that was away comes once, in each user's order.
    total = sum(len(after) for after in map(served.events, users))
    receiver.status = 200
    eventually(lambda: delivered(receiver), lambda came: sum(map(len, came.values())) >= total)
    for user, numbers in delivered(receiver).items():
        assert numbers == list(range(len(served.events(user))))
    again = cluster(served, "rebalance")
    assert again.returncode == 0
    assert again.stdout.splitlines()[0] == "nothing has to move"
    assert served.process.stop() == 0


def test_what_cannot_move_is_refused_and_says_why(served: Served) -> None:
    dry = cluster(served, "rebalance", "--empty", "2", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert dry.stdout.splitlines()[-1] == "slots by shard: 0: 21846, 1: 21845, 2: 21845"
    assert "go to shard 0" in dry.stdout
    for arguments, why in (
        (("--move", "0", "9", "3"), "there are shards 0 to 2"),
        (("--move", "9", "0", "1"), "there are slots 0 to 65535"),
        (("--empty", "7"), "there is no shard 7"),
        (("--empty", "0", "--empty", "1", "--empty", "2"), "a shard has to be left"),
        (("--empty", "0", "--move", "0", "9", "1"), "--empty has no say"),
    ):
        refused = cluster(served, "rebalance", *arguments)
        assert refused.returncode != 0
        assert why in refused.stderr
    status, answer = posted(served, 0, SLOTS - 1, 1)
    assert (status, answer["errors"][0]["message"]) == (
        409,
        "The slots are not of one other shard, but of 0, 1, 2.",
    )
    [frozen] = [each for each in served.process.processes() if _runs_shard(each, 1)]
    frozen.send_signal(signal.SIGSTOP)
    try:
        status, answer = posted(served, 0, 9, 1)
    finally:
        frozen.send_signal(signal.SIGCONT)
    assert status == 503
    assert "No slots have moved: shard 1 is not ready" in answer["errors"][0]["message"]
    # Of two at once one waits for nobody: it is refused.
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(posted, served, 0, 9, 1) for _ in range(2)]
        statuses = sorted(each.result()[0] for each in both)
    assert statuses == [200, 409]


def _runs_shard(process: Any, number: int) -> bool:
    """Whether a process has the store of a shard open."""
    paths = [each.path for each in process.memory_maps()] if "ray::Shard" in process.name() else []
    return any(f"shard-{number:04d}" in path for path in paths)
