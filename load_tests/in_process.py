"""A deployment in this process: real edge code behind the HTTP, shards, coordinator and stores.

No Ray and no sockets, so that what is measured is what the code costs and nothing else.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec

from actors.clock import Clock, SystemRandomness
from actors.coordinator import Coordinator
from actors.handles import CoordinatorHandle, ShardHandle
from actors.identity.findings import Findings, Question
from actors.identity.sequencer import Sequencer
from actors.identity.state import identity_rules
from actors.identity.waiting import Waiting
from actors.metric_groups import CoordinatorMetrics, ShardMetrics
from actors.model.batches import BatchContext
from actors.model.micro_batches import EventName, EventNames, MicroBatch, Result, Unresolved
from actors.shard import Shard
from actors.shard_options import ShardOptions, StoreOptions
from actors.shard_state import ShardState
from actors.store.environment import Store
from actors.store.identities import IdentityChange, Term
from config.compiled_connections import connection_infos, queue_limits
from config.load import parse_workspace
from config.numbers import Numbers, assign_numbers
from config.settings import Settings
from config.workspace_info import workspace_info
from server.deployment import FinalResult
from server.ingestion import Ingestion
from server.microbatch import QueueOptions, ShardQueue
from server.routing import Router

MAP_SIZE_BYTES = 64 * 1024**3  # address space; the file takes what it uses
KEY = "us1-load-in-process-key"

_decode_micro = msgspec.msgpack.Decoder(MicroBatch).decode
_encode_results = msgspec.msgpack.Encoder().encode


def document(**identity: Any) -> dict[str, Any]:
    """Return a workspace document with these identity settings.

    As that of `make load` it has one input, whose batches wait for one output.
    """
    return {
        "version": 1,
        "account": {"id": "load", "name": "Load"},
        "workspace": {
            "id": "load",
            "name": "Load",
            "regulations": {
                "gdpr": {"enabled": True, "purposes": ["marketing", "analytics"]},
                "ccpa": {"enabled": True},
            },
        },
        "identity": identity,
        "inputs": [
            {
                "id": "load",
                "kind": "feed",
                "name": "Load",
                "keys": [{"key": KEY, "secret": "load-secret"}],
            }
        ],
        "outputs": [
            {
                "id": "files",
                "kind": "event",
                "module": "file",
                "name": "Files",
                "settings": {"url": "file:///nothing-is-sent", "format": "ndjson"},
            }
        ],
        "connections": [{"id": "load-files", "input": "load", "output": "files"}],
    }


class Commit(NamedTuple):
    """How long a micro-batch has kept its shard, decoding it and encoding the results included.

    Attributes:
        batches: in it.
        cpu_s: seconds of processor time.
        wall_s: seconds by the clock, waiting for the disk included.
    """

    batches: int
    cpu_s: float
    wall_s: float


class _LocalShard:
    """A shard as an edge and the coordinator call it; micro-batches come and go encoded.

    Attributes:
        watch: reads processor time and the clock, in seconds, if commits are to be timed.
        commits: that were.
    """

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self.watch: Callable[[], tuple[float, float]] | None = None
        self.commits: list[Commit] = []

    async def commit(self, micro: bytes) -> bytes:
        begun = None if self.watch is None else self.watch()
        results: list[Result] = self._shard.commit(_decode_micro(micro))
        encoded = _encode_results(results)
        if begun is not None and self.watch is not None:
            ended = self.watch()
            self.commits.append(Commit(len(results), ended[0] - begun[0], ended[1] - begun[1]))
        return encoded

    async def read_identities(
        self, term: Term, questions: Sequence[Question], candidates: Sequence[int]
    ) -> Findings:
        return self._shard.identities.read_identities(term, questions, candidates)

    async def write_identities(
        self, term: Term, write: int, changes: Sequence[IdentityChange]
    ) -> None:
        self._shard.identities.write_identities(term, write, changes)


class _CountedCoordinator:
    """The coordinator as an edge calls it."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator
        self.resolutions = 0

    async def resolve(self, requests: Sequence[Unresolved]) -> list[int]:
        self.resolutions += len(requests)
        return await self._coordinator.resolve(requests)

    async def admit_event_names(self, names: Sequence[EventName]) -> EventNames:
        return await self._coordinator.admit_event_names(names)


class InProcess:
    """Takes batches as an edge does, and resolves them as the coordinator does, until `close`.

    Attributes:
        shards: in order.
        coordinator: the only writer of identities.
        settings: of this installation.
    """

    def __init__(
        self,
        folder: Path,
        workspace: Mapping[str, Any],
        shards: int,
        clock: Clock,
        **members: Any,
    ) -> None:
        """Begin on a folder.

        Args:
            workspace: a document, see `document`.
            members: of `config.settings.Settings`, where they are not the defaults.
        """
        parsed = parse_workspace(dict(workspace))
        numbers = assign_numbers(parsed, Numbers())
        settings = Settings(data_dir=folder, map_size_bytes=MAP_SIZE_BYTES, **members)
        self.settings = settings
        info = workspace_info(parsed, numbers, settings)
        self._clock = clock
        self._input = numbers.inputs["load"]
        self._stack = ExitStack()
        self.shards: list[Shard] = []
        for number in range(shards):
            state = ShardState(
                StoreOptions(
                    number=number,
                    of=shards,
                    folder=folder / f"shard-{number}",
                    map_size_bytes=settings.map_size_bytes,
                    profile_cache_bytes=settings.profile_cache_bytes,
                ),
                clock,
            )
            self._stack.callback(state.close)
            options = ShardOptions(
                workspace=info,
                connections=connection_infos(parsed, numbers),
                queue_limits=queue_limits(parsed, numbers, shards),
            )
            shard = Shard(state, options, clock, ShardMetrics("load"), wake=lambda _: None)
            shard.forget_micro_batches()  # a folder may be opened again, by another edge
            self.shards.append(shard)
        self._local_shards = [_LocalShard(each) for each in self.shards]
        handles = [cast(ShardHandle, each) for each in self._local_shards]
        self.store = Store(folder / "coordinator", settings.map_size_bytes)
        self._stack.callback(self.store.close)
        sequencer = Sequencer(
            self.store,
            handles,
            info.scope,
            clock,
            SystemRandomness(),
            CoordinatorMetrics("load"),
            Waiting(),
        )
        self._stack.callback(sequencer.close)
        self.coordinator = Coordinator(
            sequencer,
            handles,
            info.number,
            identity_rules(info),
            self.store,
            info.limits.unique_event_names,
            clock,
        )
        queues = QueueOptions(
            calls_in_flight=settings.calls_in_flight,
            max_micro_batch_bytes=settings.max_micro_batch_bytes,
            max_queue_bytes=settings.max_queue_bytes,
        )
        self._counted = _CountedCoordinator(self.coordinator)
        self._ingestion = Ingestion(
            Router(info.scope, info.priority, info.login_ids, info.unique_ids, frozenset()),
            [ShardQueue(1, handle, queues, clock) for handle in handles],
            cast(CoordinatorHandle, self._counted),
        )

    @property
    def resolutions(self) -> int:
        """How many batches the coordinator was asked about."""
        return self._counted.resolutions

    async def apply(self, batches: Sequence[bytes]) -> list[FinalResult]:
        """Apply the batches of one request; they are on disk when this returns."""
        context = BatchContext(self._input, KEY, "server_to_server", self._clock.now_ms())
        return await self._ingestion.apply(batches, context)

    @contextmanager
    def timed(self, cpu: Callable[[], float]) -> Iterator[list[Commit]]:
        """Time the commits of all shards; the list has them once the block has ended.

        Args:
            cpu: returns the seconds of processor time that this process has taken.
        """
        found: list[Commit] = []
        for each in self._local_shards:
            each.watch = lambda: (cpu(), self._clock.monotonic())
        try:
            yield found
        finally:
            for each in self._local_shards:
                each.watch = None
                found += each.commits
                each.commits.clear()

    def close(self) -> None:
        """Let go of the stores."""
        self._stack.close()
