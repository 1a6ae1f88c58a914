"""What is made of users who are known without an event, when something new holds."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from actors.audience_worker import AudienceWorker
from actors.audiences.told import LiveAudiences
from actors.calculated.calls import Planting
from actors.calculated.definition import Attribute, LiveAttributes
from actors.calculated.state import Seed
from actors.calculated.worker import CalculatedWorker
from actors.clock import ManualClock
from actors.profiles.retention import DAY_MS
from tests.actors.audience_shards import Asked, audience
from tests.actors.calculated.builders import AS_OF_MS, definition
from tests.actors.shards import profile_of
from tests.oracle.audiences.build import event
from tests.oracle.audiences.fixture import WORKSPACE

LOGIN = {"event_name": "Login"}
SUM = definition("sum", "amt", datapoint=LOGIN, cutoff="2026-03-01")
CUTOFF_MS = SUM.cutoff_ms or 0
LTV = Attribute(1, "LTV", 1, SUM)


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    asked = Asked(tmp_path, ManualClock(AS_OF_MS), workspace=WORKSPACE)
    yield asked
    asked.shard.state.close()


def calculate(asked: Asked, *attributes: Attribute) -> None:
    """Let these be the active attributes, and do all that is due."""
    version = asked.shard.audiences.in_force.attributes.version + 1
    asked.worker.set_calculated_attributes(LiveAttributes(version, attributes, next_number=9))
    asked.settle()


def seed(asked: Asked, mpid: int, number: float) -> None:
    """Have a user seeded whom identities have led to."""
    seeds = {1: Seed("LTV", "sum", CUTOFF_MS, number=number)}
    planting = Planting("production", mpid, True, seeds, {}, asked.clock.now_ms())
    assert CalculatedWorker(asked.shard, asked.clock).plant_seeds([planting]) == 0


def log_in(asked: Asked, mpid: int, amt: str) -> None:
    data = LOGIN | {"custom_event_type": "other", "custom_attributes": {"amt": amt}}
    asked.send(mpid, {"events": [{"event_type": "custom_event", "data": data}]})


def kept(asked: Asked, mpid: int) -> dict[int, object]:
    """Return what a user has of attributes, by number."""
    profile = profile_of(asked.shard, mpid)
    assert profile is not None
    section = profile.workspaces[WORKSPACE.number]
    return {number: state.value for number, state in section.calculated.items()}


def test_seeds_of_a_draft_take_effect_for_who_has_no_event_when_it_is_activated(
    asked: Asked,
) -> None:
    """spec/calculated-attributes.md, 8."""
    seed(asked, 1, 100)
    assert kept(asked, 1) == {1: None}
    calculate(asked, LTV)
    assert kept(asked, 1) == {1: "100"}
    log_in(asked, 1, "5")
    assert kept(asked, 1) == {1: "105"}


def test_an_edit_reaches_who_has_a_seed_and_no_event(asked: Asked) -> None:
    """Case 28: another cut-off date makes the seed invalid."""
    calculate(asked, LTV)
    seed(asked, 1, 100)
    assert kept(asked, 1) == {1: "100"}
    later = definition("sum", "amt", datapoint=LOGIN, cutoff="2026-03-02")
    calculate(asked, replace(LTV, revision=2, definition=later))
    assert kept(asked, 1) == {}
    log_in(asked, 1, "5")
    assert kept(asked, 1) == {1: "5"}


def test_a_deleted_attribute_leaves_no_seed_with_who_has_no_event(asked: Asked) -> None:
    """spec/calculated-attributes.md, 5 (case 29)."""
    calculate(asked, LTV)
    seed(asked, 1, 100)
    calculate(asked)
    assert kept(asked, 1) == {}


def test_a_seed_that_comes_during_a_walk_for_something_else_has_effect_at_once(
    asked: Asked,
) -> None:
    for mpid in (1, 2):
        log_in(asked, mpid, "1")
    calculate(asked, LTV)
    worker = AudienceWorker(asked.shard, asked.clock, slice_size=1)
    worker.set_audiences(LiveAudiences(version=1, audiences=(audience(1, event("Login")),)))
    for mpid in (1, 2):
        seed(asked, mpid, 100)
        assert kept(asked, mpid) == {1: "101"}
    while worker.audience_step():
        pass
    for mpid in (1, 2):
        assert kept(asked, mpid) == {1: "101"}
        log_in(asked, mpid, "5")
        assert kept(asked, mpid) == {1: "106"}


def test_who_has_no_event_is_not_counted_as_entering_with_the_first_pass(asked: Asked) -> None:
    """spec/audiences.md, 7."""
    never = event("Login", frequency=("equals", 0))
    asked.define(audience(1, never))
    seed(asked, 1, 100)
    asked.settle()
    asked.define(audience(1, never), audience(2, never))
    now_ms = asked.clock.now_ms()
    assert {each: asked.shard.audiences.engine.size(each) for each in (1, 2)} == {1: 1, 2: 1}
    changes = asked.shard.audiences.changes
    assert [changes.last_day(each, now_ms)[0] for each in (1, 2)] == [1, 0]


@pytest.mark.parametrize(
    ("function", "name", "left"), [("count", None, "0"), ("sum", "amt", "0"), ("max", "amt", None)]
)
def test_a_rolling_value_stays_as_events_that_it_has_lost_are_not_seen_any_more(
    tmp_path: Path, function: str, name: str | None, left: str | None
) -> None:
    """Of a user with more than real-time evaluation sees (spec/calculated-attributes.md, 4)."""
    limits = replace(WORKSPACE.limits, real_time_bytes_per_user=4000)
    workspace = replace(WORKSPACE, limits=limits)
    rolling = definition(
        function,
        name,
        datapoint=LOGIN,
        period={"type": "within", "within": 1, "within_unit": "days"},
    )
    asked = Asked(tmp_path, ManualClock(AS_OF_MS), workspace=workspace)
    with closing(asked.shard.state):
        calculate(asked, Attribute(1, "recent", 1, rolling))
        log_in(asked, 1, "5")
        asked.clock.advance(2 * DAY_MS)
        asked.settle()
        assert kept(asked, 1) == {1: left}
        ping = {"event_name": "Ping", "custom_attributes": {"text": "x" * 250}}
        for _ in range(30):
            asked.send(1, {"events": [{"event_type": "custom_event", "data": ping}]})
        profile = profile_of(asked.shard, 1)
        assert profile is not None
        assert profile.workspaces[WORKSPACE.number].recent_from_id
        assert kept(asked, 1).get(1) == left
