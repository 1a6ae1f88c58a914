"""Real processes, really killed: what was acknowledged is there afterwards, once."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.serving import WORKSPACE, Served, eventually, serving

pytestmark = pytest.mark.ray

ROUNDS = 3


def batch(customer_id: str, name: str, **more: object) -> dict[str, object]:
    event = {"event_type": "custom_event", "data": {"event_name": name}}
    return {
        "user_identities": {"customer_id": customer_id},
        "user_attributes": {"last": name},
        "events": [event],
        **more,
    }


def names(events: list[dict[str, Any]]) -> list[str]:
    return [event["data"]["event_name"] for event in events]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    yield from serving(tmp_path)


def test_what_was_acknowledged_survives_the_death_of_every_process(served: Served) -> None:
    """spec/events-api.md, worked cases 53 and 57; spec/profiles.md, worked case 28.

    The whole process group is killed right after a 202, several times on the same folder; the event
    is in profile, timeline and output, once, and a repeat of the upload is known.
    """
    expected: list[str] = []
    for number in range(ROUNDS):
        name = f"event-{number}"
        upload = batch("ann", name, source_request_id=name)
        assert served.post("/v2/events", upload)[0] == 202
        served.process.kill()
        served.start()
        expected.append(name)
        assert served.post("/v2/events", upload)[0] == 202  # a repeat
        assert names(served.events("ann")) == expected
        assert served.profile("ann")["user_attributes"] == {"last": name}
    delivered = eventually(served.delivered, lambda batches: len(batches) >= ROUNDS)
    ids = Counter(each["source_request_id"] for each in delivered)
    assert ids == Counter(expected)


def test_a_thousand_users_are_there_after_a_crash(served: Served) -> None:
    """spec/profiles.md, worked case 28."""
    for start in range(0, 1000, 100):
        batches = [batch(f"u{number}", f"e{number}") for number in range(start, start + 100)]
        assert served.post("/v2/bulkevents", batches)[0] == 202
    served.process.kill()
    served.start()
    for number in range(1000):
        assert served.profile(f"u{number}")["user_attributes"] == {"last": f"e{number}"}


def test_the_same_bulk_request_sent_twenty_times_at_once_is_applied_once(served: Served) -> None:
    """spec/events-api.md, worked case 53, with 50 users in the request."""
    batches = [batch(f"u{n}", "Opened", source_request_id=f"r{n}") for n in range(50)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: served.post("/v2/bulkevents", batches), range(20)))
    assert {status for status, _ in answers} == {202}
    for number in range(50):
        assert names(served.events(f"u{number}")) == ["Opened"]
    delivered = eventually(served.delivered, lambda batches: len(batches) >= 50)
    assert len(delivered) == 50


@pytest.mark.parametrize("role", ["Shard", "Edge", "Coordinator", "Forwarder"])
def test_an_actor_that_is_killed_comes_back_and_nothing_acknowledged_is_lost(
    served: Served, role: str
) -> None:
    """Uploads go on meanwhile; those refused are sent again, as a client does."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    generator = random.Random(seed)
    acknowledged: list[str] = []
    victim_at = generator.randrange(20, 60)
    for number in range(80):
        if number == victim_at:
            for process in served.process.actors(role)[:1]:
                process.kill()
        user = f"u{generator.randrange(10)}"
        name = f"{user}-{number}"
        _send(served, batch(user, name, source_request_id=name))
        acknowledged.append(name)
    for number in range(10):
        own = [name for name in acknowledged if name.startswith(f"u{number}-")]
        if own:
            assert names(served.events(f"u{number}")) == own
    delivered = eventually(
        served.delivered, lambda batches: len({each["batch_id"] for each in batches}) >= 80
    )
    assert {each["source_request_id"] for each in delivered} == set(acknowledged)


def _send(served: Served, upload: dict[str, object]) -> None:
    """Send an upload until it is acknowledged."""

    def status() -> int:
        try:
            return served.post("/v2/events", upload)[0]
        except OSError:  # the edge is gone
            return 0

    eventually(status, lambda answered: answered == 202)


class _Receiver(BaseHTTPRequestHandler):
    """A webhook's receiver that refuses whatever it is told to."""

    received: list[dict[str, Any]]
    status = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).received.append(json.loads(body))
        self.send_response(type(self).status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Stay silent."""


@pytest.fixture
def receiver() -> Iterator[tuple[str, type[_Receiver]]]:
    handler = type("Receiver", (_Receiver,), {"received": [], "status": 200})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/in", handler
    server.shutdown()
    server.server_close()


def test_dead_letters_survive_a_crash_and_are_replayed_by_a_command(
    tmp_path: Path,
    receiver: tuple[str, type[_Receiver]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A webhook answers 400: a dead letter; mended, the same delivery arrives, by `replay`."""
    url, handler = receiver
    handler.status = 400
    monkeypatch.setenv("HEADWATER_EGRESS_ALLOW", "127.0.0.0/8")
    document = "\n".join(
        [
            WORKSPACE.partition("outputs:")[0],
            "outputs:",
            "  - {id: hook, kind: event, module: webhook, name: Hook, "
            f'settings: {{url: "{url}"}}}}',
            "connections:",
            "  - {id: backend-hook, input: backend, output: hook}",
        ]
    )
    served = Served(tmp_path, workspace=document)
    served.start()
    assert served.post("/v2/events", batch("ann", "Opened"))[0] == 202
    letters = eventually(lambda: _dead_letters(served), bool)
    assert [letter["reason"] for letter in letters] == ["fatal_response"]
    served.process.kill()
    served.start()
    assert _dead_letters(served) == letters
    handler.status = 200
    handler.received.clear()
    _command(served, "replay", "backend-hook", letters[0]["delivery_id"])
    assert "1 replayed" in capsys.readouterr().out
    [payload] = eventually(lambda: list(handler.received), bool)
    assert payload["events"][0]["data"]["event_name"] == "Opened"
    eventually(lambda: _dead_letters(served), lambda letters: letters == [])
    served.process.stop()


def _dead_letters(served: Served) -> list[dict[str, Any]]:
    _, page = served.get("/platform/v2/workspaces/1/output-connections/backend-hook/dlq")
    items: list[dict[str, Any]] = page["items"]
    return items


def _command(served: Served, *arguments: str) -> None:
    from server.cli import main

    access = ["--url", served.process.url, "--client-id", "ops", "--client-secret", "ops-secret"]
    main(["dead-letters", *arguments, *access], standalone_mode=False)
