"""Audiences over several workspaces, one user at a time (spec/audiences.md, 5, rule 12)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random

from msgspec.structs import replace as with_members

from actors.audiences.criteria import (
    AudienceMembership,
    CartAbandonment,
    EventCriterion,
    Named,
    Node,
    Prediction,
    SegmentMembership,
    Sequence,
)
from actors.model.profiles import Profile
from actors.model.workspaces import WorkspaceInfo
from tests.oracle.audiences.evaluate import criterion_holds, is_in_population
from tests.oracle.audiences.generators import World, make_world
from tests.oracle.audiences.people import Person, Surroundings
from tests.oracle.audiences.windows import Now

_LOG_IDS = 1_000_000  # those of the second workspace are greater
_ABSENT = 0.2


@dataclass(frozen=True)
class JointPerson:
    """One user: a profile, and the user as each workspace sees it, by number; the first one has
    the audience."""

    profile: Profile
    parts: Mapping[int, Person]

    @property
    def mpid(self) -> int:
        """The user's."""
        return next(iter(self.parts.values())).mpid

    def is_live(self, workspace: int) -> bool:
        """Tell whether the user has a live section."""
        section = self.parts[workspace].section
        return section is not None and not section.is_aged_out

    def pooled(self, workspaces: tuple[int, ...]) -> Person:
        """Return the user with the events of some workspaces as one history."""
        first = next(iter(self.parts.values()))
        batches = [
            with_members(stored, workspace=first.workspace.number)
            for each in workspaces
            for stored in self.parts[each].batches
        ]
        return replace(first, batches=tuple(batches))


def is_joint_member(node: Node, person: JointPerson, around: Surroundings, now: Now) -> bool:
    """Tell whether a user belongs to an audience over all of the workspaces."""
    is_in = any(is_in_population(each, around, now) for each in person.parts.values())
    return is_in and _holds(node, person, around, now)


def _holds(node: Node, person: JointPerson, around: Surroundings, now: Now) -> bool:
    if isinstance(node, Named):
        return _criterion_holds(node, person, around, now)
    results = [_holds(each, person, around, now) for each in node.nodes]
    match node.op:
        case "and":
            return all(results)
        case "or":
            return any(results)
        case "not":
            return not results[0]
        case "exclude":
            return results[0] and not any(results[1:])


def _criterion_holds(named: Named, person: JointPerson, around: Surroundings, now: Now) -> bool:
    criterion, home = named.criterion, next(iter(person.parts))
    workspaces = named.workspaces or tuple(person.parts)
    match criterion:
        case AudienceMembership(audience, is_wanted):
            target = around.audiences.get(audience)
            if target is None:
                return (audience in person.parts[home].memberships) == is_wanted
            return is_joint_member(target, person, around, now) == is_wanted
        case EventCriterion() | CartAbandonment() | Sequence():
            return criterion_holds(criterion, person.pooled(workspaces), around, now)
        case Prediction() | SegmentMembership():
            workspaces = tuple(each for each in workspaces if each == home)
    return any(
        criterion_holds(criterion, person.parts[each], around, now)
        for each in workspaces
        if person.is_live(each)
    )


def make_joint_world(
    randomness: Random, definitions: int, people: int = 8
) -> tuple[World, list[JointPerson], tuple[WorkspaceInfo, WorkspaceInfo]]:
    """Return a world whose definitions are narrowed here and there, its users, its workspaces.

    A user is made of two of the world's: what is the profile's is of the first.
    """
    world = make_world(randomness, definitions, 2 * people)
    first = world.around.workspace
    second = with_members(first, number=first.number + 1)
    numbers = (first.number, second.number)

    def narrowed(node: Node) -> Node:
        if isinstance(node, Named):
            choice = randomness.choice(((), (), numbers[:1], numbers[1:], numbers))
            return with_members(node, workspaces=choice)
        return with_members(node, nodes=tuple(map(narrowed, node.nodes)))

    around = replace(
        world.around,
        audiences={number: narrowed(each) for number, each in world.around.audiences.items()},
    )
    changed = replace(world, around=around, definitions=tuple(map(narrowed, world.definitions)))
    pairs = zip(world.people[:people], world.people[people:], strict=True)
    return changed, [_joined(randomness, *pair, second) for pair in pairs], (first, second)


def _joined(randomness: Random, one: Person, other: Person, second: WorkspaceInfo) -> JointPerson:
    first, profile = one.workspace, one.profile
    section = other.section
    if section is not None and randomness.random() > _ABSENT:
        profile.workspaces[second.number] = section
    if second.number in profile.workspaces and randomness.random() < _ABSENT:
        profile.workspaces.pop(first.number, None)
    own = one.batches if first.number in profile.workspaces else ()
    theirs = tuple(
        with_members(each, workspace=second.number, mpid=one.mpid, log_id=each.log_id + _LOG_IDS)
        for each in (other.batches if second.number in profile.workspaces else ())
    )
    return JointPerson(
        profile,
        {
            first.number: replace(one, batches=own),
            second.number: replace(
                other, mpid=one.mpid, profile=profile, workspace=second, batches=theirs
            ),
        },
    )
