"""A forwarder killed between its receiver's 200 and the acknowledgement.

`HEADWATER_KILLS=200` makes as many kills as spec/connections.md, 3, is to be proved with; otherwise
there are a few.
"""

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from actors.store import outbox
from actors.store.environment import Store
from tests.actors.forwarding.support import delivery
from tests.crash.forwarder_process import MAP_SIZE_BYTES

KILLS = int(os.environ.get("HEADWATER_KILLS", "8"))
USERS = 7
MOST_PER_ROUND = 40  # requests that a forwarder may make before it is killed
PATIENCE_S = 120.0


class Receiver(ThreadingHTTPServer):
    """Answers 200 to everything, and wakes whoever waits for a number of requests.

    Attributes:
        requests: (run, delivery id, MPID, number of the batch) in the order of coming.
            A run is one life of the forwarder, and part of the URL that it posts to.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[int, str, int, int]] = []
        self.changed = threading.Condition()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of connections that end with a kill."""

    def await_requests(self, count: int) -> bool:
        """Wait until so many requests were answered; tell whether they were."""
        with self.changed:
            return self.changed.wait_for(lambda: len(self.requests) >= count, PATIENCE_S)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        payload = json.loads(body)
        identifier = self.headers["X-CDP-Delivery-Id"]
        with self.server.changed:
            self.server.requests.append(
                (int(self.path.strip("/")), identifier, payload["mpid"], payload["batch_id"])
            )
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.wfile.flush()
        with self.server.changed:
            self.server.changed.notify_all()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_case_20_nothing_is_lost_renamed_or_disordered_however_often_it_is_killed(
    tmp_path: Path, receiver: Receiver
) -> None:
    """Every payload comes at least once, repeats under their id, each user's in order."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    generator = random.Random(seed)
    count = KILLS * MOST_PER_ROUND
    made = [delivery(n, mpid=1 + generator.randrange(USERS)) for n in range(1, count + 1)]
    store = Store(tmp_path, MAP_SIZE_BYTES)
    outbox.begin_sums(store)
    with store.write() as txn:
        outbox.add_all(txn, made)
    store.close()
    url = f"http://127.0.0.1:{receiver.server_address[1]}"
    command = [sys.executable, "-m", "tests.crash.forwarder_process", str(tmp_path)]

    for run in range(KILLS):
        wanted = len(receiver.requests) + generator.randrange(1, MOST_PER_ROUND)
        process = subprocess.Popen([*command, f"{url}/{run}"])
        answered = receiver.await_requests(wanted)
        time.sleep(generator.random() * 0.01)  # a random point, not a wait for anything
        process.kill()
        process.wait()
        assert answered, f"{len(receiver.requests)} of {wanted} requests came"
    last = [*command, f"{url}/{KILLS}"]
    assert subprocess.run(last, timeout=PATIENCE_S, check=False).returncode == 0

    ids = {each.delivery_id: (each.mpid, each.sequence) for each in made}
    assert {identifier for _, identifier, _, _ in receiver.requests} == ids.keys()
    for _, identifier, mpid, number in receiver.requests:
        assert ids[identifier] == (mpid, number)
    first_seen: dict[int, list[int]] = defaultdict(list)
    by_run: dict[tuple[int, int], list[int]] = defaultdict(list)
    for run, _, mpid, number in receiver.requests:
        if number not in first_seen[mpid]:
            first_seen[mpid].append(number)
        by_run[run, mpid].append(number)
    for numbers in [*first_seen.values(), *by_run.values()]:
        assert numbers == sorted(set(numbers)), "a user's deliveries came out of order"
    repeated = len(receiver.requests) - len(made)
    print(f"{KILLS} kills, {len(made)} deliveries, {repeated} of them came again")
    assert repeated > 0, "no kill came between a 200 and its acknowledgement"
