"""A definition tried on some people without being activated: estimates, dry runs, `evaluate`.

It is done in an engine of its own, so that it neither disturbs nor needs what is mirrored.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from actors.audiences.criteria import Node
from actors.audiences.engine.engine import Engine, Kept
from actors.audiences.engine.explain import Explained, explain
from actors.audiences.engine.sources import NO_DERIVED, Derived
from actors.model import Environment, Profile, ProfileKey, StoredBatch, WorkspaceInfo

_TRIED = -1  # numbers of audiences are positive


class Tried(Struct, frozen=True):
    """Somebody to try a definition on.

    `batches`: all that are stored of the user and may have events inside the lookback.
    """

    key: ProfileKey
    profile: Profile
    batches: list[StoredBatch]
    derived: Derived = NO_DERIVED


class Trial:
    """One definition, for any number of people, a few at a time.

    Args:
        workspace: as for an engine.
        lookback_ms: ends at the instant of evaluation.
        environment: of the definition.
        node: the definition.
        others: definitions of audiences that it refers to; static and standard ones are in
            `Tried.derived`.
        groups: as for an engine.
    """

    def __init__(
        self,
        workspace: WorkspaceInfo,
        lookback_ms: int,
        environment: Environment,
        node: Node,
        others: Mapping[int, Node],
        groups: Mapping[int, str],
    ) -> None:
        self._environment = environment
        self._node = node
        self._engine = Engine(workspace, lookback_ms, groups)
        for number, other in others.items():
            self._engine.activate(number, environment, other)
        self._engine.activate(_TRIED, environment, node)

    def members(self, people: Iterable[Tried], now_ms: int) -> list[ProfileKey]:
        """Return who of some people the definition selects.

        Args:
            people: a handful up to some thousands.
            now_ms: the instant; events after it are hidden.
        """
        keys = self._load(people, now_ms)
        rows = self._engine.rows_of(keys)
        self._engine.evaluate(rows, now_ms, only=[_TRIED], expiring=())
        members = self._engine.members(_TRIED)
        for key in keys:
            self._engine.forget(key)
        return members

    def explain(self, person: Tried, now_ms: int) -> Explained:
        """Return what the definition says of somebody, criterion by criterion."""
        (key,) = self._load([person], now_ms)
        found = explain(self._engine, key, _TRIED, self._environment, self._node, now_ms)
        assert found is not None, "the profile was just loaded"
        self._engine.forget(key)
        return found

    def _load(self, people: Iterable[Tried], now_ms: int) -> list[ProfileKey]:
        keys = []
        for person in people:
            self._engine.load(person.key, person.profile, Kept(), person.derived)
            self._engine.rebuild_events(person.key, person.batches, 0, now_ms, until_ms=now_ms)
            keys.append(person.key)
        return keys
