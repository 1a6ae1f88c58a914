"""What a process can ask of the actors in other processes.

Every call raises `ShardUnavailable` when the actor does not answer in time; it may then have been
done. All of them can be repeated without harm; handles that repeat calls of desks which cannot name
them (`actors.once`). `actors.remote_handles` makes such handles of Ray's; tests make them of plain
objects.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from actors.deletions.requests import BulkDeletion
from actors.identity.alias_calls import AliasShard
from actors.identity.aliases import Alias
from actors.identity.calls import (
    AliasRequest,
    IdentityAnswer,
    IdentityCall,
    IdentityProblem,
    ModifyAnswer,
    ModifyCall,
)
from actors.identity.explain import Explanation
from actors.identity.index import IndexShard
from actors.identity.keys import IdentityName
from actors.identity.state import IdentityRecord
from actors.model.deliveries import DeadLetter, Delivery, Settlement
from actors.model.micro_batches import EventName, EventNames, Rejected, Unresolved
from actors.model.workspaces import Environment
from actors.pipeline.points import DataPoint
from actors.profiles.timeline import TimelineQuery
from actors.repeats import Begun
from actors.store.identities import Holder
from actors.store.requests import KeptAnswer
from actors.store.trail import TrailEntry

if TYPE_CHECKING:  # to be back soon after its death, an edge imports nothing of a shard
    from actors.preview import Subject


class ShardHandle(IndexShard, AliasShard, Protocol):
    """A shard. What calls do is told where they are implemented: `Shard`, `ShardViews`."""

    async def holders(
        self, environment: Environment, names: Sequence[IdentityName]
    ) -> list[list[Holder]]:
        """See `ShardViews.holders`."""
        ...

    async def commit(self, micro: bytes) -> bytes:
        """Apply an encoded `MicroBatch`; return its encoded list of `Result`. Raises StoreFull."""
        ...

    async def profile(
        self, mpid: int, environment: Environment | None, fields: Sequence[str]
    ) -> dict[str, Any] | None:
        """See `ShardViews.profile`."""
        ...

    async def user(self, mpid: int, environment: Environment | None) -> dict[str, Any] | None:
        """See `ShardViews.user`."""
        ...

    async def user_rows(
        self, users: Sequence[tuple[Environment, int]]
    ) -> list[dict[str, Any] | None]:
        """See `ShardViews.user_rows`."""
        ...

    async def timeline(
        self, mpid: int, environment: Environment | None, query: TimelineQuery
    ) -> dict[str, Any] | None:
        """See `ShardViews.timeline`. Raises CursorInvalid."""
        ...

    async def read_outbox(
        self, connection: int, after_sequence: int, limit: int, max_bytes: int
    ) -> list[Delivery]:
        """See `Shard.read_outbox`."""
        ...

    async def settle(self, settlement: Settlement) -> None:
        """See `Shard.settle`. Raises StoreFull."""
        ...

    async def dead_letters(
        self, connection: int, after_sequence: int, limit: int
    ) -> list[DeadLetter]:
        """See `ShardViews.dead_letters`."""
        ...

    async def dead_letter(self, connection: int, delivery_id: str) -> DeadLetter | None:
        """See `ShardViews.dead_letter`."""
        ...

    async def replay(self, connection: int, delivery_ids: Sequence[str]) -> int:
        """See `Shard.replay`. Raises StoreFull."""
        ...

    async def discard(self, connection: int, delivery_ids: Sequence[str]) -> int:
        """See `ShardOutbox.discard`. Raises StoreFull."""
        ...

    async def preview_subject(self, connection: int, raw: bytes) -> "Subject | Rejected | None":
        """See `ShardPreviews.preview_subject`."""
        ...

    async def preview(self, connection: int, raw: bytes, mpid: int | None) -> dict[str, Any] | None:
        """See `ShardPreviews.preview`."""
        ...

    async def listed_points(self, output: str) -> dict[DataPoint, bool]:
        """See `KnownPoints.listed_points`."""
        ...

    async def ready(self) -> str:
        """Return `ok`, or why nothing can be stored."""
        ...


class CoordinatorHandle(Protocol):
    """The coordinator. Every call but the last may raise HotIdentity or StoreFull."""

    async def call(self, call: IdentityCall) -> IdentityAnswer | IdentityProblem:
        """See `Coordinator.call`."""
        ...

    async def modify(self, call: ModifyCall) -> ModifyAnswer | IdentityProblem:
        """See `Coordinator.modify`."""
        ...

    async def resolve(self, requests: Sequence[Unresolved]) -> list[int]:
        """See `Coordinator.resolve`."""
        ...

    async def erase(self, environment: Environment, mpid: int) -> bool:
        """See `Coordinator.erase`."""
        ...

    async def explain(self, call: IdentityCall) -> Explanation:
        """See `Coordinator.explain`."""
        ...

    async def begin_request(self, key: bytes, content: bytes) -> KeptAnswer | Begun:
        """See `RepeatDesk.begin_request`."""
        ...

    async def end_request(self, key: bytes, answer: KeptAnswer | None) -> None:
        """See `RepeatDesk.end_request`."""
        ...

    async def lookup(self, environment: Environment, identity_type: str, value: str) -> list[int]:
        """See `Coordinator.lookup`."""
        ...

    async def record(self, environment: Environment, mpid: int) -> IdentityRecord | None:
        """See `Coordinator.record`."""
        ...

    async def alias(self, request: AliasRequest) -> None:
        """See `AliasRunner.alias`. Raises StoreFull."""
        ...

    async def aliases(self, mpid: int) -> list[Alias]:
        """See `AliasRunner.aliases`."""
        ...

    async def bulk_delete(
        self, request_id: str, environment: Environment, mpids: Sequence[int]
    ) -> bool:
        """See `DeletionDesk.bulk_delete`."""
        ...

    async def bulk_deletion(self, request_id: str) -> BulkDeletion | None:
        """See `DeletionDesk.bulk_deletion`."""
        ...

    async def history(self, environment: Environment, mpid: int) -> list[TrailEntry]:
        """See `Coordinator.history`."""
        ...

    async def undo(self, environment: Environment, mpid: int) -> ModifyAnswer | IdentityProblem:
        """See `Coordinator.undo`."""
        ...

    async def admit_event_names(self, names: Sequence[EventName]) -> EventNames:
        """See `Coordinator.admit_event_names`. Raises StoreFull."""
        ...
