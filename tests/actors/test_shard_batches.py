"""What batches carry of the audiences that they bring their users into."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from actors.audience_worker import AudienceWorker
from actors.audiences.told import LiveAudience, LiveAudiences
from actors.clock import ManualClock
from actors.model.micro_batches import Accepted
from actors.pipeline.connection import Collecting
from actors.pipeline.settings import PipelineSettings, Takes
from actors.steps.payload import WHOLE
from tests.actors.audience_shards import audience
from tests.actors.forwarding.support import connection
from tests.actors.profiles.builders import BACKEND, MINUTE, NOW
from tests.actors.shards import item, micro, open_shard, opened
from tests.oracle.audiences.build import attribute, event, negated

ANN, BOB = 4411, 4412
PLAIN, SHOWN = 1, 2  # connections
OPENERS, QUIET, GONE = 11, 12, 13  # audiences
AUDIENCES = (audience(OPENERS, event("Opened")), audience(QUIET, negated(event("Opened"))))


class World:
    """A shard with a connection of raw batches and one that shows audiences."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.clock = ManualClock(NOW)
        connections = (
            connection(PLAIN, input=BACKEND),
            replace(connection(SHOWN, input=BACKEND, settings=WHOLE), **changes),
        )
        self.shard = open_shard(
            folder,
            clock=self.clock,
            connections=connections,
            queue_limits=dict.fromkeys((PLAIN, SHOWN), 1 << 30),
        )
        self.worker = AudienceWorker(self.shard, self.clock)
        self._sent = 0
        self._version = 0

    def define(self, *audiences: LiveAudience) -> None:
        """Let these audiences be live."""
        self._version += 1
        self.worker.set_audiences(LiveAudiences(version=self._version, audiences=audiences))
        while self.worker.audience_step():
            pass

    def send(self, *bodies: dict[str, Any]) -> None:
        """Commit one micro-batch."""
        self._sent += 1
        results = self.shard.commit(micro(self._sent, *map(item, bodies)))
        assert all(isinstance(each, Accepted) for each in results)

    def out(self, number: int = SHOWN) -> list[dict[str, Any]]:
        """Return the payloads of a connection, in order."""
        found = self.shard.outbox.read_outbox(number, 0, 1000, 1 << 30)
        return [orjson.loads(each.payload) for each in found]

    def shown(self) -> list[list[int]]:
        return [each["audience_ids"] for each in self.out()]


Make = Callable[..., World]


@pytest.fixture
def make(tmp_path: Path, request: pytest.FixtureRequest) -> Make:
    """Open the one shard of a test."""

    def opened_world(**changes: Any) -> World:
        world = World(tmp_path, **changes)
        request.addfinalizer(world.shard.state.close)
        return world

    return opened_world


def renamed(name: str, **members: Any) -> dict[str, Any]:
    return opened(ANN, name=name, **members)


def test_a_batch_carries_the_memberships_that_it_has_brought_about(make: Make) -> None:
    """spec/profiles.md, 3, steps 9 and 10: who enters and leaves with it has entered and left."""
    world = make()
    world.define(*AUDIENCES)
    world.send(renamed("Closed"))
    world.send(renamed("Opened"), opened(BOB, name="Closed"))
    assert world.shown() == [[QUIET], [OPENERS], [QUIET]]


def test_audiences_that_are_gone_are_not_shown(make: Make) -> None:
    """As the Profile API does, though a profile says so until it is walked."""
    world = make()
    world.define(audience(GONE, event("Opened")), audience(OPENERS, event("Opened")))
    world.send(renamed("Opened"))
    live = LiveAudiences(version=9, audiences=(audience(OPENERS, event("Opened")),))
    world.worker.set_audiences(live)
    world.send(renamed("Closed"))
    assert world.shown() == [[OPENERS, GONE], [OPENERS]]


def test_waiting_for_memberships_changes_no_order(make: Make) -> None:
    """Neither of the connection that shows them nor of the others of its input."""
    takes = Takes(event_types=frozenset({"session_start"}))
    world = make(pipeline=PipelineSettings(takes=takes))
    world.define(*AUDIENCES)
    start = {"event_type": "session_start", "data": {}}
    world.send(*(renamed("Opened", user_attributes={"n": n}) for n in range(3)))
    world.send({**renamed("Opened"), "events": [start]}, renamed("Closed"))
    names = [
        [event["data"].get("event_name") for event in batch["events"]] for batch in world.out(PLAIN)
    ]
    assert names == [["Opened"]] * 3 + [[None], ["Closed"]]


def test_what_else_a_batch_says_of_its_user_is_as_it_was_then(make: Make) -> None:
    """A later one of the same micro-batch does not change it."""
    world = make()
    world.define(*AUDIENCES)
    world.send(*(renamed("Opened", user_attributes={"n": str(n)}) for n in range(3)))
    assert [each["user_attributes"] for each in world.out()] == [{"n": str(n)} for n in range(3)]


def test_collected_batches_carry_them_as_well(make: Make) -> None:
    how = Collecting(MINUTE, max_events=2, max_bytes=1 << 20)
    world = make(collecting=how)
    world.define(*AUDIENCES)
    world.send(renamed("Closed"), renamed("Opened"))
    assert world.shown() == [[OPENERS]]
    [both] = world.out()
    assert [each["data"]["event_name"] for each in both["events"]] == ["Closed", "Opened"]


def test_a_payload_is_cut_by_what_it_has_in_the_end(make: Make) -> None:
    """The numbers of many audiences count towards the most that the receiver takes."""
    most = 2000
    takes = Takes(max_payload_bytes=most)
    world = make(pipeline=PipelineSettings(takes=takes))
    numbers = range(10**8, 10**8 + 100)
    world.define(*(audience(each, attribute("vip", "string", "equals", "y")) for each in numbers))
    twice = renamed("Opened", user_attributes={"vip": "y"})
    world.send({**twice, "events": twice["events"] * 2})
    found = world.out()
    assert [len(each["events"]) for each in found] == [1, 1]
    assert all(each["audience_ids"] == list(numbers) for each in found)


def test_nobodys_batch_is_in_no_audience(make: Make) -> None:
    world = make()
    world.define(*AUDIENCES)
    world.send(opened())
    assert world.shown() == [[]]
