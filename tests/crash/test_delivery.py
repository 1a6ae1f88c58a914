"""Deliveries of a real deployment: over HTTP in, to a real receiver out, with processes killed.

`HEADWATER_ACTOR_KILLS=50` makes as many kills of the forwarder's process; otherwise a few.
"""

import operator
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.serving import WORKSPACE, Served, eventually
from tests.webhook_receiver import Receiver, names, receiving

pytestmark = pytest.mark.ray

KILLS = int(os.environ.get("HEADWATER_ACTOR_KILLS", "2"))
USERS = 5
CONNECTION = "/platform/v2/workspaces/1/output-connections/backend-hook"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def serve(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Served]]:
    """Start a deployment with one webhook; it is killed at the end."""
    monkeypatch.setenv("HEADWATER_EGRESS_ALLOW", "127.0.0.0/8")
    started: list[Served] = []

    def start(settings: str, output: str = "") -> Served:
        url = f"http://127.0.0.1:{receiver.server_port}/in"
        document = f"""
{WORKSPACE.partition("outputs:")[0]}
outputs:
  - {{id: hook, kind: event, module: webhook, name: Hook, settings: {{url: "{url}"}}, {output}}}
connections:
  - {{id: backend-hook, input: backend, output: hook, settings: {settings}}}
"""
        served = Served(tmp_path, "--shards", "1", workspace=document)
        served.start()
        started.append(served)
        return served

    yield start
    for each in started:
        if each.process.is_running:
            each.process.kill()


def send(served: Served, user: int, name: str, **data: Any) -> None:
    event = {"event_type": "custom_event", "data": {"event_name": name, **data}}
    body = {"user_identities": {"customer_id": f"u{user}"}, "events": [event]}
    assert served.post("/v2/events", body)[0] == 202


def test_case_20_a_forwarder_that_is_killed_after_the_200_sends_the_same_again(
    serve: Callable[..., Served], receiver: Receiver
) -> None:
    """Every payload arrives, repeats carry the same id, and each user's order holds."""
    served = serve("{}")
    killed: set[int] = set()
    turn = threading.Lock()

    def kill_once(round_number: int) -> None:
        with turn:
            victims = served.process.actors("Forwarder")[:1]
            if len(killed) == round_number and victims and victims[0].pid not in killed:
                killed.add(victims[0].pid)
                victims[0].kill()

    sent: dict[int, list[str]] = defaultdict(list)
    for round_number in range(KILLS):
        receiver.on_answer = partial(kill_once, round_number)
        for number in range(20):
            user = number % USERS
            sent[user].append(f"u{user}-{round_number}-{number}")
            send(served, user, sent[user][-1])
        eventually(lambda: len(killed), partial(operator.lt, round_number))
    receiver.on_answer = lambda: None
    every = {name for own in sent.values() for name in own}
    eventually(receiver.names, lambda found: set(found) >= every)
    ids: dict[str, set[str]] = defaultdict(set)
    for delivery_id, payload in receiver.requests:
        [name] = names(payload)
        ids[name].add(delivery_id)
    assert {len(own) for own in ids.values()} == {1}
    assert len({delivery_id for [delivery_id] in ids.values()}) == len(every)
    for user, own in sent.items():
        assert [name for name in receiver.names() if name.startswith(f"u{user}-")] == own


def test_case_38_a_full_queue_never_refuses_a_batch_and_loses_nothing(
    serve: Callable[..., Served], receiver: Receiver
) -> None:
    """A queue of 1 MiB, a dead webhook, 2 MiB of payloads; then it comes back."""
    receiver.status = 503
    served = serve(
        "{}", "queue: {max_bytes: 1048576}, retry: {base: 1s, cap: 1s}, breaker: {open_for: 1s}"
    )
    every = [f"e{number}" for number in range(40)]
    for number, name in enumerate(every):
        send(served, number % USERS, name, custom_attributes={"padding": "x" * 50, **PADDING})
    _, page = served.get(f"{CONNECTION}/dlq?limit=1000")
    letters = page["items"]
    assert {each["reason"] for each in letters} == {"queue_full"}
    assert 10 < len(letters) < 30
    alerts = [line for line in served.process.text().splitlines() if "Queue Full" in line]
    assert len(alerts) == 1
    receiver.status = 200
    found = eventually(receiver.names, lambda found: len(found) >= 40 - len(letters))
    assert len(found) == 40 - len(letters)
    status, _ = served.manage("POST", f"{CONNECTION}/dlq/replay", {"all": True})
    assert status in (200, 202)
    found = eventually(receiver.names, lambda found: len(found) >= 40)
    assert set(found) == set(every)
    assert len({delivery_id for delivery_id, _ in receiver.requests}) == 40


PADDING = {f"k{number}": "x" * 1000 for number in range(50)}


def test_what_is_collected_of_a_device_outlives_a_crash_and_comes_once(
    serve: Callable[..., Served], receiver: Receiver
) -> None:
    """spec/connections.md, 3.6: a pending batch is durable."""
    served = serve("{send_as_batch: true, batch: {max_wait_s: 20}}")
    for number in range(3):
        send(served, 0, f"a{number}")
    served.process.kill()
    served.start()
    send(served, 0, "a3")
    eventually(receiver.names, lambda found: len(found) >= 4)
    payloads = [names(payload) for _, payload in receiver.requests]
    assert payloads[0][:3] == ["a0", "a1", "a2"]  # the last one may have come too late for it
    assert [name for some in payloads for name in some] == ["a0", "a1", "a2", "a3"]


def test_a_faulted_connection_stays_so_when_all_is_killed_until_it_is_resumed(
    serve: Callable[..., Served], receiver: Receiver
) -> None:
    """spec/connections.md, 1.3: 20 refusals in a row are a fault, and nothing is lost by it."""
    receiver.status = 401
    served = serve("{}")
    for number in range(25):
        send(served, number, f"e{number}")

    def status() -> Any:
        code, shown = served.get(CONNECTION)
        return shown["status"] if code == 200 else code

    eventually(status, lambda shown: shown == "faulted")
    served.process.kill()
    receiver.status = 200
    served.start()
    assert eventually(status, lambda shown: shown in ("active", "faulted")) == "faulted"
    send(served, 99, "late")
    assert receiver.requests == []
    assert served.manage("POST", f"{CONNECTION}/resume")[0] == 204
    _, page = served.get(f"{CONNECTION}/dlq?limit=1000")
    dead = len(page["items"])
    assert 20 <= dead <= 25
    found = eventually(receiver.names, lambda found: len(found) >= 26 - dead)
    assert len(found) == 26 - dead
    assert "late" in found
