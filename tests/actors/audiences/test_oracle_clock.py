"""At every instant the engine has the members that the oracle has (spec/audiences.md, 7).

Batches arrive and a clock goes from border to border of all windows. The engine looks only at
users with a new batch and at those that are due; the oracle looks at everybody, always.
"""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.audiences.engine.engine import Engine
from actors.audiences.engine.records import Kept
from tests.actors.audiences.engines import (
    arrive,
    derived_of,
    due,
    evaluate_all,
    key_of,
    make_engine,
    members,
    numbered,
)
from tests.oracle.audiences.evaluate import is_member
from tests.oracle.audiences.expiration import instants
from tests.oracle.audiences.generators import World, make_world, worlds
from tests.oracle.audiences.people import Person

WORLDS, PARTS = 100, 10
WHOLE = 40  # worlds of which every instant is looked at, at which anything could change
LOOKED_AT = 40  # of each other, of about a thousand


def known_at(person: Person, now_ms: int) -> Person:
    """Return a user with the batches that have been received."""
    batches = tuple(each for each in person.batches if each.received_ms <= now_ms)
    return replace(person, batches=batches)


def check(world: World, engine: Engine, now_ms: int) -> int:
    """Compare the members of all audiences; return how many there are."""
    people = [known_at(each, now_ms) for each in world.people]
    count = 0
    for number, node in numbered(world).items():
        expected = {each.mpid for each in people if is_member(node, each, world.around, now_ms)}
        assert members([engine], number) == expected, (now_ms, number, node)
        count += len(expected)
    return count


def step_through(world: World, randomness: Random, *, is_whole: bool = False) -> int:
    """Let all batches arrive and the time pass; return how many memberships were seen."""
    engine = make_engine(world)
    arrivals = [
        (each.received_ms, person, each) for person in world.people for each in person.batches
    ]
    arrivals.sort(key=lambda each: (each[0], each[2].log_id))
    start_ms = arrivals[0][0] if arrivals else world.now_ms
    for person in world.people:
        engine.load(key_of(person), person.profile, Kept(), derived_of(person))
    evaluate_all(engine, start_ms - 1)
    borders = {
        each
        for person in world.people
        for node in world.definitions
        for each in instants(node, person, world.around, start_ms)
    }
    some = len(borders) if is_whole else min(LOOKED_AT, len(borders))
    looked_at = set(randomness.sample(sorted(borders), some))
    seen = 0
    for now_ms in sorted(looked_at | {each for each, _, _ in arrivals}):
        while (due_ms := engine.next_due_ms()) is not None and due_ms < now_ms:
            due(engine, due_ms)
            seen += check(world, engine, due_ms)
        touched = []
        while arrivals and arrivals[0][0] == now_ms:
            _, person, stored = arrivals.pop(0)
            arrive(engine, person, stored)
            touched.append(key_of(person))
        engine.evaluate(engine.rows_of(touched), now_ms)
        due(engine, now_ms)
        seen += check(world, engine, now_ms)
    return seen


@pytest.mark.parametrize("part", range(PARTS))
def test_members_are_right_at_every_instant(part: int) -> None:
    """Also in the millisecond before and after each border."""
    seen = 0
    for seed in range(part, WORLDS, PARTS):
        randomness = Random(seed)
        world = make_world(randomness, definitions=4, people=3)
        seen += step_through(world, randomness, is_whole=seed < WHOLE)
    assert seen > WORLDS // PARTS * LOOKED_AT


@given(worlds(2, 2), st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_members_are_right_in_any_history(world: World, randomness: Random) -> None:
    """The same with histories that are not always the same ones, and that shrink."""
    step_through(world, randomness)
