"""Two nodes of a Ray cluster: what the loss of one stops, and what comes back with it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import URLError

import pytest

from actors.store.keys import shard_of_slot, slot_of_mpid
from actors.store.placement import NodeFolder
from tests.ray_cluster import RayCluster, ray_cluster
from tests.serving import Served, eventually

pytestmark = pytest.mark.ray

USERS = 12


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[RayCluster]:
    with ray_cluster(tmp_path, "alpha", "beta") as running:
        yield running


@pytest.fixture
def served(tmp_path: Path, cluster: RayCluster) -> Iterator[Served]:
    settings = tmp_path / "settings.yaml"
    settings.write_text("nodes: [alpha, beta]\nshard_timeout_s: 2.0\n")
    flags = ("--address", cluster.address, "--settings", str(settings))
    served = Served(tmp_path, *flags, environ=cluster.environ)
    served.start()
    yield served
    if served.process.is_running:
        served.process.kill()


def batch(user: str, number: int) -> dict[str, Any]:
    return {
        "environment": "production",
        "user_identities": {"customer_id": user},
        "user_attributes": {"last": number},
        "events": [{"event_type": "custom_event", "data": {"event_name": f"Event {number}"}}],
        "source_request_id": f"{user}-{number}",
    }


def send(served: Served, user: str, number: int) -> int:
    """Return the status; that of an edge which is just dying is 0."""
    try:
        status, _ = served.post("/v2/events", batch(user, number))
    except (URLError, ConnectionError):
        return 0
    return status


def accept(served: Served, user: str, number: int) -> None:
    eventually(lambda: send(served, user, number), lambda status: status == 202)


class User(NamedTuple):
    """Whom a batch names, and whose it turned out to be."""

    name: str
    mpid: int


def names(served: Served, user: User) -> list[str]:
    """Return the names of a user's events, asked for by MPID: a search asks all shards."""
    status, page = served.get(f"/platform/v2/workspaces/1/users/{user.mpid}/events")
    assert status == 200, page
    items = reversed(page["items"])
    return [event["name"] for item in items for event in item["events"]]


def begin(served: Served) -> tuple[User, User]:
    """Send some users' first batches; return one of the one shard, and one of the other."""
    found: dict[int, User] = {}
    for number in range(USERS):
        accept(served, f"user-{number}", 0)
        [mpid] = served.find(f"user-{number}")
        found[shard_of_slot(slot_of_mpid(mpid), 2)] = User(f"user-{number}", mpid)
    return found[0], found[1]


def told(served: Served, event: str) -> list[dict[str, Any]]:
    lines = served.process.text().splitlines()
    return [json.loads(line)["ctx"] for line in lines if f'"{event}"' in line]


def test_the_loss_of_a_node_stops_its_slots_alone_and_they_come_back_with_it(
    cluster: RayCluster, served: Served
) -> None:
    of_alpha, of_beta = begin(served)
    stores = {
        name: [each.name for each in cluster.data_dir(name).glob("shards-1/*")]
        for name in ("alpha", "beta")
    }
    assert stores == {"alpha": ["shard-0000"], "beta": ["shard-0001"]}
    cluster.lose("beta")
    for number in range(1, 6):
        accept(served, of_alpha.name, number)
    assert names(served, of_alpha) == [f"Event {number}" for number in range(6)]
    assert send(served, of_beta.name, 1) == 503
    # A node that comes back with another's disk: its shard does not begin anew, and stops nobody.
    other = cluster.data_dir("other")
    NodeFolder(other, "another deployment").take({})
    cluster.add("beta", other)
    [waits] = eventually(lambda: told(served, "store_missing"), bool)
    assert waits["shard"] == 1
    assert waits["reason"] == f"{other} belongs to another deployment"
    assert send(served, of_beta.name, 1) == 503
    accept(served, of_alpha.name, 6)
    cluster.lose("beta")
    cluster.add("beta")
    accept(served, of_beta.name, 1)
    assert names(served, of_beta) == ["Event 0", "Event 1"]
    assert served.profile(of_beta.name)["user_attributes"]["last"] == "1"
    assert names(served, of_alpha) == [f"Event {number}" for number in range(7)]
    assert served.process.stop() == 0


def rebalance(served: Served, *arguments: str) -> str:
    command = [sys.executable, "-m", "server", "cluster", "rebalance", *arguments]
    command += ["--url", served.process.url, "--admin-url", served.process.admin_url]
    command += ["--client-id", "ops", "--client-secret", "ops-secret"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


def test_a_node_may_go_when_its_slots_have_moved_and_a_new_shard_gets_some(
    tmp_path: Path, cluster: RayCluster, served: Served
) -> None:
    of_alpha, of_beta = begin(served)
    assert rebalance(served, "--empty", "1") == "slots by shard: 0: 65536, 1: 0"
    cluster.lose("beta")
    for number in (1, 2):
        for user in (of_alpha, of_beta):
            accept(served, user.name, number)
    for user in (of_alpha, of_beta):
        assert names(served, user) == ["Event 0", "Event 1", "Event 2"]
    assert served.process.stop() == 0
    cluster.add("beta")
    flags = ("--address", cluster.address, "--settings", str(tmp_path / "settings.yaml"))
    grown = Served(tmp_path, *flags, "--shards", "3", environ=cluster.environ)
    grown.start()
    try:
        accept(grown, of_beta.name, 3)
        assert rebalance(grown) == "slots by shard: 0: 21846, 1: 21845, 2: 21845"
        stores = {
            name: {each.name for each in cluster.data_dir(name).glob("shards-1/*")}
            for name in ("alpha", "beta")
        }
        assert stores == {"alpha": {"shard-0000", "shard-0002"}, "beta": {"shard-0001"}}
        accept(grown, of_alpha.name, 3)
        for user in (of_alpha, of_beta):
            assert names(grown, user) == [f"Event {number}" for number in range(4)]
        assert grown.process.stop() == 0
    finally:
        if grown.process.is_running:
            grown.process.kill()


def test_a_deployment_starts_without_a_node_and_has_its_slots_when_it_comes(
    cluster: RayCluster, served: Served
) -> None:
    of_alpha, of_beta = begin(served)
    served.process.kill()
    cluster.lose("beta")
    served.process.start(is_ready=False)
    accept(served, of_alpha.name, 1)
    assert send(served, of_beta.name, 1) == 503
    # It comes late, with another's disk: its shard has not served in this run, and stops nobody.
    other = cluster.data_dir("other")
    NodeFolder(other, "another deployment").take({})
    cluster.add("beta", other)
    [waits] = eventually(lambda: told(served, "store_missing"), bool)
    assert waits["reason"] == f"{other} belongs to another deployment"
    accept(served, of_alpha.name, 2)
    cluster.lose("beta")
    cluster.add("beta")
    accept(served, of_beta.name, 1)
    assert names(served, of_alpha) == ["Event 0", "Event 1", "Event 2"]
    assert names(served, of_beta) == ["Event 0", "Event 1"]
    assert served.process.stop() == 0
