"""Engines over the people of the oracle."""

from collections.abc import Iterable, Mapping

from actors.audiences.criteria import Node
from actors.audiences.engine.engine import Engine
from actors.audiences.engine.records import Kept
from actors.audiences.engine.sources import Derived
from actors.groups.membership import NO_GROUPS
from actors.model.profiles import ProfileKey
from actors.model.workspaces import WorkspaceInfo
from actors.profiles.retention import DAY_MS
from tests.oracle.audiences.generators import World
from tests.oracle.audiences.people import Person

FIRST = 10_000  # number of a world's first definition; those that it may name have less


def key_of(mpid: int, workspace: WorkspaceInfo) -> ProfileKey:
    """Return the key of one of the oracle's people."""
    return ProfileKey(workspace.scope, "production", mpid)


def derived_of(person: Person) -> Derived:
    """Return what others make of a person."""
    return Derived(
        {number: value for number, value in person.calculated.items() if value is not None},
        person.predictions,
        person.segments,
        person.memberships,
    )


def fill(engine: Engine, people: Iterable[Person], now_ms: int, revision: int = 0) -> None:
    """Load people with all their events."""
    for person in people:
        key = key_of(person.mpid, person.workspace)
        engine.load(key, person.profile, Kept(), derived_of(person))
        engine.rebuild_events(key, person.batches, revision, now_ms)


def engine_of(
    workspace: WorkspaceInfo, audiences: Mapping[int, Node], groups: Mapping[int, str] = NO_GROUPS
) -> Engine:
    """Return an engine with audiences and without people."""
    engine = Engine(workspace, workspace.audience_event_days * DAY_MS, groups)
    for number, node in audiences.items():
        engine.activate(number, "production", node)
    return engine


def engine_of_world(world: World) -> Engine:
    """Return an engine with all audiences of a world; its definitions count from `FIRST`."""
    definitions = dict(enumerate(world.definitions, FIRST))
    audiences = {**world.around.audiences, **definitions}
    return engine_of(world.around.workspace, audiences, world.around.groups)


def members(engine: Engine, audience: int) -> set[int]:
    """Return the MPIDs of an audience's members."""
    return {key.mpid for key in engine.members(audience)}
