"""Audiences over several workspaces: the engine finds the members that the oracle finds.

Random definitions, some criteria of which are narrowed to one workspace, over random users who are
in both workspaces or in one.
"""

from random import Random

import pytest

from actors.audiences.engine.joint import JointEngine
from actors.audiences.engine.records import Kept
from actors.audiences.engine.sources import Derived
from actors.model.batches import StoredBatch
from actors.model.workspaces import WorkspaceInfo
from tests.actors.audiences.engines import evaluate_all, key_of, members, numbered
from tests.oracle.audiences.generators import World
from tests.oracle.audiences.joint import JointPerson, is_joint_member, make_joint_world
from tests.oracle.audiences.vocabulary import CALCULATED, GROUPS

WORLDS, DEFINITIONS, PARTS = 100, 20, 5
ELSEWHERE = 100  # what calculated attributes of the second workspace are numbered from


def derived_of(person: JointPerson) -> Derived:
    """Return what others have made of a user; calculated attributes have names in common only."""
    home, *_ = person.parts
    parts = {}
    for number, part in person.parts.items():
        beyond = 0 if number == home else ELSEWHERE
        parts[number] = Derived(
            calculated={
                each + beyond: value for each, value in part.calculated.items() if value is not None
            },
            predictions=part.predictions,
            segments=part.segments,
            names={f"ca{each}": each + beyond for each in CALCULATED},
            groups=GROUPS,
        )
    return Derived(audiences=person.parts[home].memberships, workspaces=parts)


def batches_of(person: JointPerson) -> list[StoredBatch]:
    return [stored for each in person.parts.values() for stored in each.batches]


def make_engine(world: World, workspaces: tuple[WorkspaceInfo, ...]) -> JointEngine:
    engine = JointEngine(workspaces, world.around.lookback_ms)
    over = [each.number for each in workspaces]
    for number, node in numbered(world).items():
        engine.activate_over(number, "production", node, over)
    return engine


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("is_live", [False, True], ids=["from the store", "by batches"])
def test_engine_and_oracle_find_the_same_members(part: int, is_live: bool) -> None:
    """Case 53 over two workspaces: 2,000 triples."""
    telling = 0
    for seed in range(part, WORLDS, PARTS):
        world, people, workspaces = make_joint_world(Random(seed), DEFINITIONS)
        engine = make_engine(world, workspaces)
        for person in people:
            key, derived = key_of(person.parts[workspaces[0].number]), derived_of(person)
            engine.load(key, person.profile, Kept(), derived)
            if not is_live:
                engine.rebuild_events(key, batches_of(person), 0, world.now_ms)
        if is_live:
            arrivals = [(stored, each) for each in people for stored in batches_of(each)]
            for stored, person in sorted(arrivals, key=lambda each: each[0].log_id):
                key = key_of(person.parts[workspaces[0].number])
                engine.observe(key, person.profile, stored, derived_of(person))
        evaluate_all(engine, world.now_ms)
        for number, node in numbered(world).items():
            expected = {
                each.mpid
                for each in people
                if is_joint_member(node, each, world.around, world.now_ms)
            }
            assert members([engine], number) == expected, (seed, number, node)
            telling += 0 < len(expected) < len(people)
    assert telling > DEFINITIONS * WORLDS // PARTS // 4
