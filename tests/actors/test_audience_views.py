"""What a shard answers about definitions (spec/audiences.md, 7 and 14, and its worked cases)."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from actors.audience_members import MemberViews
from actors.audience_questions import QuestionViews
from actors.audience_worker import AudienceWorker
from actors.audiences.calls import AudienceShard
from actors.audiences.criteria import (
    AudienceMembership,
    CartAbandonment,
    EventFilter,
    Named,
    Node,
)
from actors.clock import ManualClock
from tests.actors.audience_shards import (
    Asked,
    audience,
    fixture_shard,
    keep_world,
    query,
)
from tests.oracle.audiences import event_cases, user_cases
from tests.oracle.audiences.build import attribute, both, event, named, negated, within_last
from tests.oracle.audiences.evaluate import holds, is_member
from tests.oracle.audiences.expiration import expiration_timestamp_ms
from tests.oracle.audiences.fixture import (
    APP,
    DAY,
    HOUR,
    MINUTE,
    NOW,
    PEOPLE,
    SHOP,
    at,
    commerce,
    custom,
)
from tests.oracle.audiences.generators import make_world
from tests.oracle.audiences.people import Surroundings

PREMIUM = attribute("status", "string", "equals", "premium")
LOGINS = event("Login", frequency=("greater_or_equal", 2))
CASES = [*user_cases.CASES, *event_cases.CASES]


def abandoned(wait_ms: int) -> Node:
    """Make a criterion on an abandoned cart."""
    added = EventFilter("commerce_event", commerce_actions=("add_to_cart",))
    return named(CartAbandonment(added, wait_ms))


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """Open the users of the worked cases two days after their instant; not to be changed."""
    with fixture_shard(tmp_path_factory.mktemp("shard"), NOW + 2 * DAY) as asked:
        asked.send(1003, {"events": [custom("Login", NOW + DAY)]})
        yield asked


@pytest.fixture
def shard(tmp_path: Path) -> Iterator[Asked]:
    """Open the users of the worked cases at their instant."""
    with fixture_shard(tmp_path) as asked:
        yield asked


# -- Evaluation -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("node", "members"), [pytest.param(*rest, id=id_) for id_, *rest in CASES])
def test_the_members_of_the_worked_case_are_found_as_of_then(
    later: Asked, node: Node, members: set[int]
) -> None:
    """Cases 1 to 18, 20 and 22 to 27, evaluated later: what came meanwhile is hidden."""
    assert later.matching(node, PEOPLE, NOW) == members


def test_an_abandoned_cart_is_found_until_something_is_bought(shard: Asked) -> None:
    """Case 19."""
    assert shard.matching(abandoned(2 * HOUR), PEOPLE, NOW) == {1003}
    assert shard.matching(abandoned(121 * MINUTE), PEOPLE, NOW) == set()
    shard.send(1003, {"events": [commerce("purchase", at("03-10T12:30"))]})
    assert shard.matching(abandoned(2 * HOUR), PEOPLE, NOW) == set()


def test_events_of_other_inputs_are_not_seen(later: Asked) -> None:
    """Case 21, the part that is evaluated."""
    for source, members in ((APP, {1001, 1002}), (SHOP, set())):
        played = EventFilter("custom_event", ("Clip Played",), inputs=(source,))
        assert later.matching(event(played), PEOPLE, NOW) == members


def test_an_instant_hides_what_is_later_and_ends_the_lookback(later: Asked) -> None:
    """Case 12's logins: 03-04, 03-06 and two of the days after."""
    for as_of, mpids in (("03-06T12:59", set()), ("03-06T13:00", {1004}), ("03-10T13:00", {1004})):
        assert later.matching(LOGINS, PEOPLE, at(as_of)) == mpids, as_of
    ever = event("Login")
    assert later.matching(ever, PEOPLE, at("04-07T13:00")) == {1003, 1004}
    assert later.matching(ever, PEOPLE, at("04-08T12:00")) == {1003}
    assert later.matching(ever, PEOPLE, None) == {1003, 1004}


def test_users_whom_nobody_knows_have_no_result(later: Asked) -> None:
    found = later.questions.evaluate_audience(query(PREMIUM), [42, 1001], NOW)
    assert [(each.mpid, each.result, each.criteria) for each in found] == [
        (42, None, ()),
        (1001, True, (True,)),
    ]
    other = replace(query(PREMIUM), environment="development")
    [unknown] = later.questions.evaluate_audience(other, [1001], NOW)
    assert unknown.result is None


def test_criteria_have_their_own_results_and_the_whole_an_end(shard: Asked) -> None:
    """Case 32: it expires at t + 3 600 000."""
    pinged_ms = NOW - HOUR + 10_000
    shard.send(1001, {"events": [custom("Ping", pinged_ms)]})
    node = both(event("Ping", within_last(HOUR)), negated(event("Login")), PREMIUM)
    first, second = shard.questions.evaluate_audience(query(node), [1001, 1004], None)
    assert (first.result, first.criteria) == (True, (True, False, True))
    assert first.expiration_ms == pinged_ms + HOUR
    assert (second.result, second.criteria, second.expiration_ms) == (
        False,
        (False, True, False),
        None,
    )


def test_memberships_are_the_current_ones(shard: Asked) -> None:
    """Section 14: also with an instant before there was a membership."""
    inside = named(AudienceMembership(7, is_member=True))
    assert shard.matching(inside, PEOPLE, NOW) == set()
    shard.define(audience(7, PREMIUM), audience(8, None))
    shard.worker.change_list(1, 8, [1004], [])
    assert shard.matching(inside, PEOPLE, NOW - DAY) == {1001, 1002}
    assert shard.matching(named(AudienceMembership(8, is_member=True)), PEOPLE, NOW) == {1004}


@pytest.mark.parametrize("seed", range(12))
def test_53_a_shard_and_the_oracle_evaluate_alike(tmp_path: Path, seed: int) -> None:
    """Case 53, through the call that `POST .../evaluate` makes; with ends and each criterion."""
    randomness = Random(seed)
    world = make_world(randomness, definitions=4, people=6)
    as_of_ms = world.now_ms - randomness.choice((0, HOUR, DAY, 3 * DAY))
    clock = ManualClock(world.now_ms)
    asked = Asked(tmp_path, clock, workspace=world.around.workspace)
    people = {each.mpid: each for each in keep_world(asked, world)}
    around = Surroundings(world.around.workspace)
    for node in world.definitions:
        found = asked.questions.evaluate_audience(query(node), list(people), as_of_ms)
        for each in found:
            person = people[each.mpid]
            if person.section is None:
                assert each.result is None
                continue
            assert each.result == is_member(node, person, around, as_of_ms, as_of_ms), node
            expected = tuple(
                holds(one, person, around, as_of_ms, as_of_ms) for one in criteria_in(node)
            )
            assert each.criteria == expected
            if each.result and as_of_ms == world.now_ms:
                end_ms = expiration_timestamp_ms(node, person, around, as_of_ms)
                assert each.expiration_ms == end_ms
    asked.shard.state.close()


def criteria_in(node: Node) -> list[Named]:
    """Return the criteria of a definition in their order."""
    if isinstance(node, Named):
        return [node]
    return [named for each in node.nodes for named in criteria_in(each)]


def test_a_shard_answers_all_that_it_is_asked() -> None:
    """The processes of shards look methods up by name: arguments are to be those of the calls."""
    for name, asked in vars(AudienceShard).items():
        if inspect.iscoroutinefunction(asked):
            parts = (MemberViews, QuestionViews, AudienceWorker)
            answering = [part for part in parts if hasattr(part, name)]
            assert len(answering) == 1, name
            answered = inspect.signature(getattr(answering[0], name))
            assert answered.parameters == inspect.signature(asked).parameters, name
