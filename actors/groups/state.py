"""What the coordinator keeps of groups: definitions and runs, in one record of its store."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

import msgspec
from msgspec import Struct, field

from actors.groups.definitions import KeptDefinition
from actors.groups.live import LiveDefinition, LiveGroups
from actors.groups.runs import GroupRun, Phase
from actors.store.environment import Store

_KEY = b"groups_state"


class QueuedRun(Struct, array_like=True):
    """A run that waits for its turn; definitions by number."""

    run_id: str
    definitions: list[int]
    dropped: list[int] = field(default_factory=list)


class CurrentRun(Struct, array_like=True):
    """The run under way. `merged`: key of the last group that was merged."""

    run_id: str
    run: GroupRun
    phase: Phase
    merged: bytes = b""


class GroupState(Struct, array_like=True):
    """All of it. `version` counts changes that shards have to know of; `job_ms`: last daily job."""

    version: int = 0
    next_definition: int = 1
    next_run: int = 1
    job_ms: int | None = None
    definitions: list[KeptDefinition] = field(default_factory=list)
    queue: list[QueuedRun] = field(default_factory=list)
    current: CurrentRun | None = None

    def by_id(self, definition_id: str) -> KeptDefinition | None:
        """Return a definition."""
        return next((e for e in self.definitions if e.definition.id == definition_id), None)

    def forget(self, number: int, run_id: str) -> None:
        """Take a definition out, and queue that all that is kept of it is deleted."""
        self.definitions = [each for each in self.definitions if each.number != number]
        for queued in self.queue:
            queued.definitions = [each for each in queued.definitions if each != number]
        self.queue = [each for each in self.queue if each.definitions or each.dropped]
        dropping = next((each for each in self.queue if each.dropped), None)
        if dropping is None:
            self.queue.append(QueuedRun(run_id, [], [number]))
        else:
            dropping.dropped.append(number)

    def put_back(self, current: CurrentRun) -> None:
        """Let the run under way begin again, as the next one and under another number."""
        numbers = [each.number for each in current.run.definitions]
        self.queue.insert(0, QueuedRun(current.run_id, numbers, list(current.run.dropped)))
        self.current = None

    def live(self) -> LiveGroups:
        """Return what the shards have to know."""
        return LiveGroups(
            self.version,
            tuple(
                LiveDefinition(
                    each.number,
                    each.definition.id,
                    each.run,
                    each.definition.names | each.names_of_run,
                )
                for each in self.definitions
            ),
        )


class GroupKeeper:
    """Holds the state; what it shows is on disk."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._encode = msgspec.msgpack.Encoder().encode
        with store.read() as txn:
            encoded = txn.get("meta", _KEY)
        self.state = (
            GroupState() if encoded is None else msgspec.msgpack.decode(encoded, type=GroupState)
        )

    @contextmanager
    def changing(self) -> Iterator[GroupState]:
        """Hand out a copy to be changed, and write it at the end. Raises StoreFull."""
        changed = deepcopy(self.state)
        yield changed
        with self._store.write() as txn:
            txn.put("meta", _KEY, self._encode(changed))
        self.state = changed
