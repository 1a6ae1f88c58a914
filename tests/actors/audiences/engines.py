"""Engines over generated worlds, as shards would have them."""

from collections.abc import Iterable

from actors.audiences.criteria import Node
from actors.audiences.engine.engine import Engine
from actors.audiences.engine.records import Change, Kept
from actors.audiences.engine.sources import Derived
from actors.model.batches import StoredBatch
from actors.model.profiles import ProfileKey
from tests.oracle.audiences.generators import World
from tests.oracle.audiences.people import Person

FIRST = 1  # number of the first definition of a world
SLICE = 5  # rows: a world is more than one slice


def key_of(person: Person) -> ProfileKey:
    """Return the key of a user."""
    return ProfileKey(person.workspace.scope, "production", person.mpid)


def derived_of(person: Person) -> Derived:
    """Return what others have made of a user."""
    calculated = {number: value for number, value in person.calculated.items() if value is not None}
    return Derived(
        calculated=calculated,
        predictions=person.predictions,
        segments=person.segments,
        audiences=person.memberships,
    )


def make_engine(world: World) -> Engine:
    """Return an engine with the audiences of a world, without users."""
    around = world.around
    engine = Engine(around.workspace, around.lookback_ms, around.groups)
    for number, node in numbered(world).items():
        engine.activate(number, "production", node)
    return engine


def numbered(world: World) -> dict[int, Node]:
    """Return all audiences of a world: those that others name, and the definitions."""
    return {**world.around.audiences, **dict(enumerate(world.definitions, FIRST))}


def load(engine: Engine, people: Iterable[Person], now_ms: int) -> None:
    """Let an engine take users and their stored batches, as on a start or a new definition."""
    for person in people:
        engine.load(key_of(person), person.profile, Kept(), derived_of(person))
        engine.rebuild_events(key_of(person), person.batches, 0, now_ms)


def arrive(engine: Engine, person: Person, stored: StoredBatch) -> None:
    """Let an engine take one batch of a user."""
    engine.observe(key_of(person), person.profile, stored, derived_of(person))


def evaluate_all(engine: Engine, now_ms: int) -> list[Change]:
    """Evaluate all rows."""
    return [change for part in engine.slices(SLICE) for change in engine.evaluate(part, now_ms)]


def members(engines: Iterable[Engine], audience: int) -> set[int]:
    """Return the members of an audience over all shards."""
    return {key.mpid for engine in engines for key in engine.members(audience)}


def due(engine: Engine, now_ms: int) -> list[Change]:
    """Evaluate the rows that are due, as a shard does."""
    return engine.evaluate(engine.pass_time(engine.due(now_ms), now_ms), now_ms)
