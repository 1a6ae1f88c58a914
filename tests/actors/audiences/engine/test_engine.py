"""What a shard may rely on when it calls the engine."""

from random import Random

from actors.audiences.criteria import Named, Node, Prediction
from actors.audiences.criteria import Test as ValueTest
from actors.audiences.engine.costs import engine_cost
from actors.audiences.engine.engine import Engine
from actors.audiences.engine.records import Change, Kept, Loaded
from actors.audiences.engine.sources import Derived
from tests.actors.audiences.engine.worlds import (
    derived_of,
    engine_of,
    engine_of_world,
    fill,
    key_of,
    members,
)
from tests.oracle.audiences.build import attribute, both, event, negated, within_last
from tests.oracle.audiences.fixture import DAY, HOUR, NOW, WORKSPACE, custom, make_users
from tests.oracle.audiences.generators import make_world
from tests.oracle.audiences.users import Users

PREMIUM = attribute("status", "string", "equals", "premium")
PLAYED = event("Clip Played", within_last(3 * DAY))
PLAYED_TWICE = event("Clip Played", within_last(3 * DAY), ("greater_or_equal", 2))
ONE = 1


def engine_of_users(users: Users, audiences: dict[int, Node], revision: int = 0) -> Engine:
    """Return an engine with users that were evaluated at `NOW`."""
    engine = engine_of(WORKSPACE, audiences)
    fill(engine, users.people(), NOW, revision)
    evaluate(engine, NOW)
    return engine


def evaluate(engine: Engine, now_ms: int) -> list[Change]:
    """Evaluate everybody."""
    return [change for rows in engine.slices(64) for change in engine.evaluate(rows, now_ms)]


def test_a_start_from_the_records_gives_the_same() -> None:
    """Packed entries and memberships are all that has to be kept."""
    for seed in range(20):
        world = make_world(Random(seed))
        engine = engine_of_world(world)
        packed = {}
        for person in world.people:
            key = key_of(person.mpid, person.workspace)
            engine.load(key, person.profile, Kept(), derived_of(person))
            packed[key] = engine.rebuild_events(key, person.batches, 1, world.now_ms)
        evaluate(engine, world.now_ms)
        again = engine_of_world(world)
        for person in world.people:
            key = key_of(person.mpid, person.workspace)
            kept = Kept(packed[key], engine.audiences_of(key), 1)
            again.load(key, person.profile, kept, derived_of(person))
        assert evaluate(again, world.now_ms) == []
        for later_ms in (world.now_ms + HOUR, world.now_ms + 20 * DAY):
            assert evaluate(engine, later_ms) == evaluate(again, later_ms)


def test_a_start_that_takes_many_at_once_gives_the_same() -> None:
    """Due at once are those alone of whom something has changed meanwhile."""
    for seed in range(30):
        world = make_world(Random(seed))
        engine = engine_of_world(world)
        packed = {}
        for person in world.people:
            key = key_of(person.mpid, person.workspace)
            engine.load(key, person.profile, Kept(), derived_of(person))
            packed[key] = engine.rebuild_events(key, person.batches, 1, world.now_ms)
        evaluate(engine, world.now_ms)
        for start_ms in (world.now_ms, world.now_ms + HOUR, world.now_ms + 20 * DAY):
            again, one_by_one = engine_of_world(world), engine_of_world(world)
            loaded = []
            for person in world.people:
                key = key_of(person.mpid, person.workspace)
                kept = Kept(packed[key], engine.audiences_of(key), 1)
                loaded.append(Loaded(key, person.profile, kept, derived_of(person)))
                one_by_one.load(*loaded[-1])
            again.load_new(loaded[:3], start_ms)
            again.load_new(loaded[3:], start_ms)
            sizes = [again.size(audience) for audience in again.audiences]
            assert sizes == [engine.size(audience) for audience in engine.audiences]
            rows = again.due(start_ms)
            due = again.evaluate(rows, start_ms)
            assert {change.key for change in due} == set(again.keys_of(rows))
            assert sorted(due, key=_order) == sorted(evaluate(one_by_one, start_ms), key=_order)
            for later_ms in (start_ms + HOUR, start_ms + 20 * DAY):
                some = again.evaluate(again.due(later_ms), later_ms)
                assert sorted(some, key=_order) == sorted(
                    evaluate(one_by_one, later_ms), key=_order
                )


def _order(change: Change) -> tuple[int, int]:
    return change.key.mpid, change.audience


def test_after_a_failed_commit_loading_undoes_everything() -> None:
    """As if the batch had never come; a profile that has no record is forgotten."""
    users = make_users()
    engine = engine_of_users(users, {ONE: both(PREMIUM, PLAYED_TWICE), 2: PLAYED})
    key, new = key_of(1002, WORKSPACE), key_of(7, WORKSPACE)
    person = users.person(1002)
    packed = b"".join(
        engine_of(WORKSPACE, {ONE: PLAYED}).observe(key, person.profile, each)
        for each in person.batches
    )
    kept = Kept(packed, engine.audiences_of(key))
    before = engine.expirations_of(key, NOW)
    other = make_users()
    played = {"events": [custom("Clip Played", NOW)], "user_attributes": {"status": "gold"}}
    for mpid in (1002, 7):
        stored = other.send(mpid, played, NOW)
        engine.observe(key_of(mpid, WORKSPACE), other.profiles[mpid], stored)
    engine.evaluate(engine.rows_of([key, new]), NOW)
    engine.load(key, person.profile, kept)
    engine.forget(new)
    assert engine.audiences_of(key) == list(kept.audiences)
    assert engine.expirations_of(key, NOW) == before
    assert engine.rows_of([new]).tolist() == []
    assert members(engine, 2) == {1001, 1002}


def test_an_edit_waits_for_the_walk_of_each_user() -> None:
    """Old memberships stay in force until then (spec/audiences.md, 2.1)."""
    users = make_users()
    engine = engine_of_users(users, {ONE: PREMIUM}, revision=1)
    assert members(engine, ONE) == {1001, 1002}
    engine.activate(ONE, "production", PLAYED_TWICE, revision=2)
    assert evaluate(engine, NOW) == []
    left = users.person(1002)
    key = key_of(1002, WORKSPACE)
    engine.refresh(key, left.profile)
    engine.rebuild_events(key, left.batches, 2, NOW)
    assert evaluate(engine, NOW) == [Change(key, ONE, entered=False)]
    fill(engine, users.people(), NOW, revision=2)
    evaluate(engine, NOW)
    assert members(engine, ONE) == {1001}


def test_what_only_a_former_audience_needed_goes_with_it() -> None:
    """Columns, streams, and the bit of every member."""
    engine = engine_of_users(make_users(), {ONE: both(PREMIUM, PLAYED_TWICE), 2: PREMIUM})
    engine.deactivate(ONE)
    cost = engine_cost(engine)
    assert (cost.leaves, cost.streams, len(cost.sources)) == (1, 0, 1)
    engine.activate(3, "production", negated(PREMIUM))
    assert members(engine, 3) == set()
    assert members(engine, 2) == {1001, 1002}


def test_a_row_is_used_again_without_a_trace() -> None:
    """By somebody who has none of what was there."""
    users = make_users()
    engine = engine_of_users(users, {ONE: PREMIUM, 2: PLAYED})
    engine.forget(key_of(1001, WORKSPACE))
    users.send(9, {"events": [custom("Login", NOW)]}, NOW)
    key = key_of(9, WORKSPACE)
    engine.observe(key, users.profiles[9], users.batches[9][0])
    assert engine.evaluate(engine.rows_of([key]), NOW) == []
    assert members(engine, ONE) == members(engine, 2) == {1002}
    assert len(engine.rows_of(key_of(mpid, WORKSPACE) for mpid in (*range(1001, 1006), 9))) == 5


def test_who_opts_out_leaves_all_and_comes_back() -> None:
    """Rule 10 of spec/audiences.md, 5."""
    users = make_users()
    engine = engine_of_users(users, {ONE: PREMIUM, 2: PLAYED})
    key, profile = key_of(1001, WORKSPACE), users.profiles[1001]
    profile.is_opted_out = True
    engine.refresh(key, profile)
    left = engine.evaluate(engine.rows_of([key]), NOW)
    assert [(each.audience, each.entered) for each in left] == [(ONE, False), (2, False)]
    profile.is_opted_out = False
    engine.refresh(key, profile)
    came = engine.evaluate(engine.rows_of([key]), NOW)
    assert [(each.audience, each.entered) for each in came] == [(ONE, True), (2, True)]


def test_users_of_another_environment_are_not_in_the_audience() -> None:
    """Each audience has one environment (spec/audiences.md, 2)."""
    users = make_users()
    engine = engine_of(WORKSPACE, {})
    engine.activate(ONE, "development", PREMIUM)
    fill(engine, users.people(), NOW)
    assert evaluate(engine, NOW) == []


def test_only_some_audiences_can_be_evaluated_and_be_given_an_expiration() -> None:
    """A new audience walks all users; nobody else is told anything."""
    users = make_users()
    engine = engine_of(WORKSPACE, {ONE: PREMIUM, 2: PLAYED})
    fill(engine, users.people(), NOW)
    rows = engine.rows_of([key_of(1001, WORKSPACE)])
    assert [each.audience for each in engine.evaluate(rows, NOW, only=[2])] == [2]
    assert len(engine.due(NOW)) > 0, "the other audience is still to be evaluated"
    (change,) = engine.evaluate(engine.rows_of([key_of(1002, WORKSPACE)]), NOW, [2], expiring=())
    assert change.expiration_ms is None


def test_equal_criteria_are_there_once() -> None:
    """Whatever audience they are in."""
    engine = engine_of(WORKSPACE, {number: both(PREMIUM, PLAYED) for number in range(5)})
    cost = engine_cost(engine)
    assert (cost.leaves, cost.streams) == (2, 1)


def test_an_engine_without_audiences_takes_everything() -> None:
    """As before the first audience, and after the last."""
    users = make_users()
    engine = engine_of_users(users, {})
    users.send(1001, {"events": [custom("Login", NOW)]}, NOW)
    key = key_of(1001, WORKSPACE)
    assert engine.observe(key, users.profiles[1001], users.batches[1001][-1]) == b""
    assert engine.evaluate(engine.rows_of([key]), NOW) == []
    engine.activate(ONE, "production", PREMIUM)
    engine.refresh(key, users.profiles[1001])
    (change,) = engine.evaluate(engine.rows_of([key]), NOW)
    assert change == Change(key, ONE, entered=True)
    engine.deactivate(ONE)
    assert evaluate(engine, NOW) == []
    assert engine.audiences_of(key) == []


def test_a_criterion_on_a_prediction_is_false_for_users_without_a_score() -> None:
    """Whatever it tests; `not` of it holds for them (spec/audiences.md, 9)."""
    users = make_users()
    for operator in ("exists", "not_exists", "empty", "less_than"):
        value = 1.0 if operator == "less_than" else None
        scored = Named(Prediction(81, "score", ValueTest("number", operator, value)))
        engine = engine_of(WORKSPACE, {ONE: scored, 2: negated(scored)})
        for person in users.people():
            derived = Derived(predictions={(81, "score"): 0.5} if person.mpid == 1001 else {})
            engine.load(key_of(person.mpid, WORKSPACE), person.profile, Kept(b"", (), 1), derived)
        evaluate(engine, NOW)
        holding = {1001} if operator in ("exists", "less_than") else set()
        assert members(engine, ONE) == holding
        assert members(engine, 2) == {1001, 1002, 1003, 1004, 1005} - holding
