"""What the engine foresees, and what it says of one definition, is what the oracle finds."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.audiences.criteria import CartAbandonment, Condition, EventFilter, Named, Node
from actors.audiences.engine.engine import Engine
from tests.actors.audiences.engine.worlds import (
    FIRST,
    engine_of,
    engine_of_world,
    fill,
    members,
)
from tests.oracle.audiences.build import either, event, passing, within_last
from tests.oracle.audiences.evaluate import is_member
from tests.oracle.audiences.expiration import expiration_timestamp_ms
from tests.oracle.audiences.fixture import DAY, HOUR, NOW, WORKSPACE, commerce, custom
from tests.oracle.audiences.generators import World, make_world
from tests.oracle.audiences.people import Surroundings
from tests.oracle.audiences.users import Users


def evaluate_all(engine: Engine, now_ms: int) -> dict[tuple[int, int], int | None]:
    """Evaluate everybody; return (MPID, audience) to expiration of all who entered."""
    changes = [change for rows in engine.slices(5) for change in engine.evaluate(rows, now_ms)]
    assert all(change.entered for change in changes)
    return {(change.key.mpid, change.audience): change.expiration_ms for change in changes}


def expected(world: World, now_ms: int) -> set[tuple[int, int]]:
    """Return (MPID, audience) of all members by the oracle."""
    return {
        (person.mpid, number)
        for number, node in enumerate(world.definitions, FIRST)
        for person in world.people
        if is_member(node, person, world.around, now_ms)
    }


@pytest.mark.parametrize("seed", range(2000, 2008))
def test_memberships_expire_when_the_oracle_says(seed: int) -> None:
    """`expiration_timestamp_ms` of spec/audiences.md, 7."""
    world = make_world(Random(seed))
    engine = engine_of_world(world)
    fill(engine, world.people, world.now_ms)
    people = {person.mpid: person for person in world.people}
    for (mpid, number), expiration_ms in evaluate_all(engine, world.now_ms).items():
        if number >= FIRST:
            node = world.definitions[number - FIRST]
            found = expiration_timestamp_ms(node, people[mpid], world.around, world.now_ms)
            assert expiration_ms == found, (mpid, node)


_DUE = Condition("due", "event_attribute", passing("date", "older_than", 1, unit="days"))


@pytest.mark.parametrize(
    "returning",
    [
        event(EventFilter("custom_event", ("Bill",), where=_DUE), within_last(2 * DAY)),
        Named(
            CartAbandonment(
                EventFilter("commerce_event", commerce_actions=("add_to_cart",), where=_DUE),
                0,
                within_last(2 * DAY),
            )
        ),
    ],
    ids=["event", "cart_abandonment"],
)
def test_what_begins_to_count_by_itself_keeps_a_user_in(returning: Node) -> None:
    """One event counts until 2 days, another from 2.5 to 3.5 days; what bridges them until 3."""
    node = either(returning, event("Login", within_last(2 * DAY)))
    users = Users(WORKSPACE)
    for hours, due_hours in ((0, -48), (24, None), (36, 36)):
        at_ms = NOW + hours * HOUR
        events = [custom("Login", at_ms)]
        if due_hours is not None:
            due = {"due": str(NOW + due_hours * HOUR)}
            events = [custom("Bill", at_ms, **due), commerce("add_to_cart", at_ms)]
            events[1]["data"]["custom_attributes"] = due
        users.send(1, {"events": events}, at_ms)
    now_ms = NOW + 38 * HOUR
    engine = engine_of(WORKSPACE, {FIRST: node})
    fill(engine, users.people(), now_ms)
    around = Surroundings(WORKSPACE, {})
    expected_ms = expiration_timestamp_ms(node, users.person(1), around, now_ms)
    assert expected_ms == NOW + 84 * HOUR
    assert evaluate_all(engine, now_ms) == {(1, FIRST): expected_ms}


@given(st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_a_clock_stepped_through_what_is_due_misses_nothing(seed: int) -> None:
    """At each due instant, and at any other between, the members are those of the oracle."""
    randomness = Random(seed)
    world = make_world(randomness, definitions=8, people=4)
    engine = engine_of_world(world)
    fill(engine, world.people, world.now_ms)
    evaluate_all(engine, world.now_ms)
    now_ms = world.now_ms
    for _ in range(40):
        next_ms = engine.next_due_ms()
        until_ms = now_ms + 40 * 86_400_000 if next_ms is None else next_ms
        assert until_ms > now_ms
        for between_ms in {until_ms - 1, randomness.randrange(now_ms, until_ms)}:
            assert present(engine, world) == expected(world, between_ms)
        if next_ms is None:
            break
        now_ms = next_ms
        engine.evaluate(engine.due(now_ms), now_ms)
        assert present(engine, world) == expected(world, now_ms)


def present(engine: Engine, world: World) -> set[tuple[int, int]]:
    """Return (MPID, audience) of all memberships that an engine has."""
    return {
        (mpid, number)
        for number, _ in enumerate(world.definitions, FIRST)
        for mpid in members(engine, number)
    }


def test_evaluation_is_the_same_in_slices_of_any_size() -> None:
    """A full pass may take the rows as it likes."""
    world = make_world(Random(7), people=70)
    found = []
    for size in (1, 64, 1000):
        engine = engine_of_world(world)
        fill(engine, world.people, world.now_ms)
        for rows in engine.slices(size):
            engine.evaluate(np.asarray(rows), world.now_ms, expiring=())
        found.append(present(engine, world))
    assert found[0] == found[1] == found[2] == expected(world, world.now_ms)
