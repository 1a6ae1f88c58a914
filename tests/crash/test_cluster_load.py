"""Two nodes of a Ray cluster under load, of which one is lost and comes back."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from operator import eq
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest

from actors.store.keys import shard_of_slot, slot_of_mpid
from tests.opened import batch, memberships, workspace_with
from tests.ray_cluster import RayCluster, ray_cluster
from tests.serving import Served, eventually
from tests.webhook_receiver import Receiver, receiving

pytestmark = pytest.mark.ray

USERS = 12
LOSSES = 2
PATIENCE_S = 120.0


class Sender:
    """A user's client: a batch after the other, each until it is acknowledged.

    Attributes:
        acknowledged: how many were.
        statuses: of all attempts; 0 if an edge died before it answered.
    """

    def __init__(self, user: str) -> None:
        self.user = user
        self.acknowledged = 0
        self.statuses: list[int] = []

    def send(self, served: Served) -> int:
        """Send the next batch, or again the one that was not acknowledged."""
        try:
            status, _ = served.post("/v2/events", batch(self.user, self.acknowledged))
        except (URLError, ConnectionError):
            status = 0
        self.statuses.append(status)
        self.acknowledged += status == 202
        return status

    def keep_sending(self, served: Served, is_over: threading.Event) -> None:
        """Send until it is over, and until the last one is acknowledged."""
        while self.send(served) != 202 or not is_over.wait(0.1):
            pass


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[RayCluster]:
    with ray_cluster(tmp_path, "alpha", "beta") as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def served(
    tmp_path: Path, cluster: RayCluster, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Served]:
    monkeypatch.setenv("HEADWATER_EGRESS_ALLOW", "127.0.0.0/8")
    settings = tmp_path / "settings.yaml"
    settings.write_text("nodes: [alpha, beta]\nshard_timeout_s: 2.0\n")
    flags = ("--address", cluster.address, "--settings", str(settings))
    workspace = workspace_with(receiver)
    served = Served(tmp_path, *flags, workspace=workspace, environ=cluster.environ)
    served.start()
    yield served
    if served.process.is_running:
        served.process.kill()


def each_has_more(senders: Sequence[Sender], status: int, more: int) -> None:
    """Wait until each was answered so many times more with a status."""
    before = [each.statuses.count(status) for each in senders]
    eventually(
        lambda: [each.statuses.count(status) for each in senders],
        lambda now: all(count >= known + more for count, known in zip(now, before, strict=True)),
        PATIENCE_S,
    )


def delivered(receiver: Receiver, user: str) -> list[int]:
    """Return the numbers of a user's batches as they came; what has a known id is a repeat."""
    with receiver.lock:
        payloads = dict(receiver.requests).values()
    events = [event for payload in payloads for event in payload["events"]]
    named = [event["data"]["custom_attributes"]["of"].partition("/") for event in events]
    return [int(number) for name, _, number in named if name == user]


def kept(served: Served, receiver: Receiver, user: str) -> dict[str, Any]:
    """Return what log, profile, calculated attribute, audience and output have of a user."""
    [mpid] = served.find(user)
    _, profile = served.get(f"/userprofile/v1/1/1/1/{mpid}?fields=user_attributes")
    attributes = profile["user_attributes"]
    return {
        "events": [each["data"]["custom_attributes"]["of"] for each in served.events(user)],
        "last": attributes["last"],
        "opened": attributes["opened"],
        "audiences": memberships(served, user),
        "delivered": delivered(receiver, user),
    }


def expected(sender: Sender) -> dict[str, Any]:
    """Return that of a user all of whose batches are applied, once and in order."""
    count = sender.acknowledged
    return {
        "events": [f"{sender.user}/{number}" for number in range(count)],
        "last": str(count - 1),
        "opened": str(count),
        "audiences": ["openers"],
        "delivered": [*range(count)],
    }


def begin(served: Served, senders: Sequence[Sender]) -> tuple[list[Sender], list[Sender]]:
    """Send everybody's first batch; return those of the one shard, and of the other."""
    of_shards: tuple[list[Sender], list[Sender]] = [], []
    for each in senders:
        eventually(partial(each.send, served), partial(eq, 202))
        [mpid] = served.find(each.user)
        of_shards[shard_of_slot(slot_of_mpid(mpid), 2)].append(each)
    return of_shards


def test_what_is_acknowledged_while_a_node_goes_and_comes_back_is_everywhere_once(
    cluster: RayCluster, served: Served, receiver: Receiver
) -> None:
    senders = [Sender(f"user-{number}") for number in range(USERS)]
    of_alpha, of_beta = begin(served, senders)
    assert of_alpha
    assert of_beta
    is_over = threading.Event()
    with ThreadPoolExecutor(USERS) as pool:
        sending = [pool.submit(each.keep_sending, served, is_over) for each in senders]
        try:
            for _ in range(LOSSES):
                each_has_more(senders, 202, 3)
                cluster.lose("beta")
                each_has_more(of_beta, 503, 1)
                each_has_more(of_alpha, 202, 10)
                cluster.add("beta")
                each_has_more(senders, 202, 3)
        finally:
            is_over.set()
        for each in sending:
            each.result()
    for sender in of_alpha:
        assert set(sender.statuses) <= {202, 0}, "those of the other node are not disturbed"
    for sender in senders:
        eventually(partial(kept, served, receiver, sender.user), partial(eq, expected(sender)))
    assert served.process.stop() == 0
