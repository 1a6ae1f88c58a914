"""The engine finds the members that the oracle finds (spec/audiences.md, worked case 53).

Random definitions over random users at random instants, always the same ones; with the partition
of the users over shards, and the way by which an engine comes to know them, changing.
"""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from actors.audiences.engine.engine import Engine
from actors.audiences.engine.records import Change, Kept
from tests.actors.audiences.engines import (
    arrive,
    derived_of,
    evaluate_all,
    key_of,
    load,
    make_engine,
    members,
    numbered,
)
from tests.oracle.audiences.evaluate import is_member
from tests.oracle.audiences.expiration import expiration_timestamp_ms
from tests.oracle.audiences.fixture import DAY, HOUR
from tests.oracle.audiences.generators import World, make_world
from tests.oracle.audiences.people import Person

WORLDS, DEFINITIONS, PARTS = 500, 20, 10  # 10,000 triples
EXPIRATIONS = 2  # of the first definitions of each world; the oracle takes long

Filling = Callable[[Engine, World, list[Person]], None]


def from_store(engine: Engine, world: World, people: list[Person]) -> None:
    """Know users as after a start: from their records and stored batches."""
    load(engine, people, world.now_ms)


def from_batches(engine: Engine, _: World, people: list[Person]) -> None:
    """Know users by their batches, in the order in which all users' arrived."""
    for person in people:
        engine.load(key_of(person), person.profile, Kept(), derived_of(person))
    arrivals = [(stored, person) for person in people for stored in person.batches]
    for stored, person in sorted(arrivals, key=lambda each: each[0].log_id):
        arrive(engine, person, stored)


def check_members(world: World, engines: list[Engine]) -> int:
    """Compare all audiences; return how many tell users apart."""
    telling = 0
    for number, node in numbered(world).items():
        expected = {
            each.mpid for each in world.people if is_member(node, each, world.around, world.now_ms)
        }
        assert members(engines, number) == expected, (number, node)
        telling += 0 < len(expected) < len(world.people)
    return telling


def check_expirations(world: World, changes: list[Change]) -> None:
    """Compare when the members of the first definitions will cease to be, if nothing comes."""
    audiences, people = numbered(world), {each.mpid: each for each in world.people}
    for change in changes:
        if change.entered and change.audience <= EXPIRATIONS:
            node, person = audiences[change.audience], people[change.key.mpid]
            expected = expiration_timestamp_ms(node, person, world.around, world.now_ms)
            assert change.expiration_ms == expected, (change, node)


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize(
    ("shards", "fill"),
    [
        pytest.param(1, from_store, id="one shard"),
        pytest.param(8, from_store, id="eight shards"),
        pytest.param(1, from_batches, id="one shard by batches"),
    ],
)
def test_53_engine_and_oracle_find_the_same_members(shards: int, fill: Filling, part: int) -> None:
    """Case 53: and the instants at which members will cease to be are the same."""
    telling = 0
    for seed in range(part, WORLDS, PARTS):
        world = make_world(Random(seed), DEFINITIONS)
        engines, changes = [make_engine(world) for _ in range(shards)], []
        for shard, engine in enumerate(engines):
            people = [each for each in world.people if each.mpid % shards == shard]
            fill(engine, world, people)
            changes += evaluate_all(engine, world.now_ms)
        telling += check_members(world, engines)
        if shards == 1 and fill is from_store:
            check_expirations(world, changes)
    assert telling > DEFINITIONS * WORLDS // PARTS // 3


def test_as_of_an_earlier_instant_later_events_are_hidden() -> None:
    """The evaluation endpoint's `as_of` (14): 4,000 triples."""
    telling = 0
    for seed in range(WORLDS, WORLDS + WORLDS // 5):
        randomness = Random(seed)
        world = make_world(randomness, DEFINITIONS)
        as_of_ms = world.now_ms - randomness.choice((1, HOUR, DAY, 8 * DAY))
        engine = make_engine(world)
        for person in world.people:
            key = key_of(person)
            engine.load(key, person.profile, Kept(), derived_of(person))
            engine.rebuild_events(key, person.batches, 0, as_of_ms, as_of_ms)
        evaluate_all(engine, as_of_ms)
        telling += check_members(replace(world, now_ms=as_of_ms), [engine])
    assert telling > DEFINITIONS * WORLDS // 5 // 3
