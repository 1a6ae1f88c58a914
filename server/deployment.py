"""What the HTTP routes can ask of the actors behind them.

The routes know this contract only. `server.gateway.Gateway` is the real one; it speaks to shards
through handles, which are Ray actors in a deployment and plain objects in tests.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from actors.deletions.requests import BulkDeletion
from actors.groups.definitions import GroupDefinition, KeptDefinition
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
from actors.identity.state import IdentityRecord
from actors.model.batches import BatchContext
from actors.model.micro_batches import Accepted, Duplicate, Rejected
from actors.model.workspaces import Environment
from actors.pipeline.points import DataPoint
from actors.profiles.timeline import TimelineQuery
from actors.repeats import Begun
from actors.store.requests import KeptAnswer
from actors.store.trail import TrailEntry
from server.audience_gateway import AudienceGateway
from server.calculated_gateway import CalculatedGateway
from server.config_gateway import ConfigGateway
from server.privacy_gateway import PrivacyGateway

FinalResult = Accepted | Duplicate | Rejected


class GroupDirectory(Protocol):
    """Group definitions and groups (spec/identity.md, 13). Raises as `Deployment` does."""

    async def definitions(self) -> list[KeptDefinition]:
        """Return all definitions, by id."""
        ...

    async def create(self, definition: GroupDefinition) -> KeptDefinition:
        """Add a definition. Raises GroupExists, GroupInvalid."""
        ...

    async def replace(self, definition: GroupDefinition) -> KeptDefinition | None:
        """Replace the definition of the same id; `None` if there is none. Raises GroupInvalid."""
        ...

    async def delete(self, definition_id: str) -> bool:
        """Delete a definition and what users have by it; tell whether there was one."""
        ...

    async def run(self, definition_id: str) -> str | None:
        """Have groups recomputed; return the run's id, `None` if there is no such definition."""
        ...

    async def members(
        self, group_id: str, environment: Environment, limit: int, cursor: str | None
    ) -> dict[str, Any] | None:
        """Return a page of a group's members, `None` if there is no such group.

        Raises:
            CursorInvalid: the cursor was not given out by the page before.
        """
        ...

    async def groups_of(
        self, mpid: int, environment: Environment | None
    ) -> list[dict[str, Any]] | None:
        """Return the groups of a user, by definition; `None` if there is no such user."""
        ...


class Deployment(Protocol):
    """The shards, the coordinator and the forwarders, seen from an edge.

    Every method raises `actors.errors.ShardUnavailable` when an owner does not answer in time and
    `actors.errors.StoreFull` when what it should write has no room; both become a 503.
    """

    groups: GroupDirectory
    audiences: AudienceGateway
    calculated: CalculatedGateway
    privacy: PrivacyGateway
    configuration: ConfigGateway

    async def apply(
        self, batches: Sequence[bytes], context: BatchContext, *, is_further: bool = False
    ) -> list[FinalResult]:
        """Apply the batches of one request, in order per user; return once they are on disk.

        Args:
            batches: the JSON text of each batch.
            context: what they have in common.
            is_further: something of the request was applied before. Then these are not refused for
                want of room, as all of it would come again.

        Returns:
            One result per batch, in their order.
        """
        ...

    def room_bytes(self) -> int:
        """Return how much of what is to be applied may be under way: what takes some seconds."""
        ...

    async def profile(
        self, mpid: int, environment: Environment | None, fields: Sequence[str]
    ) -> dict[str, Any] | None:
        """Read one profile as the Profile API shows it (spec/profiles.md, 7.3).

        `environment` `None`: whichever has it, production first. `None` if there is no profile
        that was seen in the workspace.
        """
        ...

    async def find(self, environment: Environment, identity_type: str, value: str) -> list[int]:
        """Return the MPIDs that hold an identity (IDSync type), newest link first.

        As its owner has it, which may be ahead of what other shards know yet.
        """
        ...

    async def lookup(self, environment: Environment, identity_type: str, value: str) -> list[int]:
        """Return what `find` does, in one order with all identity calls and other lookups."""
        ...

    async def user(self, mpid: int, environment: Environment | None) -> dict[str, Any] | None:
        """Read one user as the user activity API shows it (spec/profiles.md, 8)."""
        ...

    async def search_users(
        self, query: str, identity_type: str | None, environment: Environment | None
    ) -> list[dict[str, Any]]:
        """Find users by an exact identity value or MPID: rows of mpid, customer_id, email,
        last_seen_ms."""
        ...

    async def timeline(
        self, mpid: int, environment: Environment | None, query: TimelineQuery
    ) -> dict[str, Any] | None:
        """Read a page of a user's events, newest batch first; `None` if the user is unknown.

        Raises:
            CursorInvalid: the query's cursor was not given out by the page before.
        """
        ...

    async def bulk_delete(
        self, request_id: str, environment: Environment, mpids: Sequence[int]
    ) -> bool:
        """Take a bulk deletion of profiles; tell whether there is room for it: `DeletionDesk`."""
        ...

    async def bulk_deletion(self, request_id: str) -> BulkDeletion | None:
        """Return a bulk deletion, `None` if there is none of that id, or none any more."""
        ...

    async def identity_call(self, call: IdentityCall) -> IdentityAnswer | IdentityProblem:
        """Answer an identify, login, logout or search call; what it wrote is on disk."""
        ...

    async def modify(self, call: ModifyCall) -> ModifyAnswer | IdentityProblem:
        """Change the identities of one MPID; all of it is on disk, or nothing was changed."""
        ...

    async def alias(self, request: AliasRequest) -> IdentityProblem | None:
        """Accept an alias, on disk when this returns; a problem if it names an unknown MPID."""
        ...

    async def explain(self, call: IdentityCall) -> Explanation:
        """Tell why an identify, login, logout or search call would be answered as it would be."""
        ...

    async def identity_record(self, environment: Environment, mpid: int) -> IdentityRecord | None:
        """Return the identities by which an MPID is found; `None` if it is unknown or erased."""
        ...

    async def identity_history(self, environment: Environment, mpid: int) -> list[TrailEntry]:
        """Return what calls and batches did to an identity record, oldest first."""
        ...

    async def undo(self, environment: Environment, mpid: int) -> ModifyAnswer | IdentityProblem:
        """Take back the last thing that a call or a batch did to an identity record."""
        ...

    async def aliases_of(self, environment: Environment, mpid: int) -> list[Alias]:
        """Return the aliases that name an MPID, in the order of acceptance."""
        ...

    async def dead_letters(
        self, connection: int, limit: int, cursor: str | None, *, is_whole: bool = False
    ) -> dict[str, Any]:
        """List dead letters of a connection, oldest first: `{"items": [...], "next_cursor"}`.

        `is_whole`: with their payloads.

        Raises:
            CursorInvalid: the cursor was not given out by the page before.
        """
        ...

    async def dead_letter(self, connection: int, delivery_id: str) -> dict[str, Any] | None:
        """Read one dead letter with its payload; `None` if there is none of that id.

        The oldest, where several users have one of that id.
        """
        ...

    async def replay_dead_letters(self, connection: int, delivery_ids: Sequence[str]) -> int:
        """Put all dead letters of some ids back into the outbox; return how many."""
        ...

    async def discard_dead_letters(self, connection: int, delivery_ids: Sequence[str]) -> int:
        """Delete all dead letters of some ids for good; return how many were there."""
        ...

    async def preview(self, connection: int, raw: bytes) -> dict[str, Any] | Rejected | None:
        """Return what a connection would get of a batch: `{"payloads": [...], "dropped": [...]}`.

        What is wrong with the batch, if it would be rejected; `None` if the connection is unknown.
        Nothing is changed. See `actors.preview.ShardPreviews`.
        """
        ...

    async def data_points(self, output: str) -> dict[DataPoint, bool]:
        """Return the data points that are known, and whether an output gets them.

        None are known as long as all outputs of the workspace get new ones by default.
        """
        ...

    async def begin_request(self, key: bytes, content: bytes) -> KeptAnswer | Begun:
        """Tell what to do about a request with an `Idempotency-Key`: see `RepeatDesk`."""
        ...

    async def end_request(self, key: bytes, answer: KeptAnswer | None) -> None:
        """Remember the answer to a request that was begun: see `RepeatDesk`."""
        ...

    async def readiness(self) -> dict[str, str]:
        """Return check name to `ok` or to what is wrong (spec/observability.md, 7)."""
        ...
