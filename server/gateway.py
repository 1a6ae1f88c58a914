"""The deployment as an edge sees it: sends each question to the shards that can answer it."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

from actors.batches.identities import DEVICE_STAMP, PROFILE_NAMES
from actors.deletions.requests import BulkDeletion
from actors.errors import CursorInvalid, ShardUnavailable
from actors.handles import CoordinatorHandle, ShardHandle
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
from actors.identity.keys import IdentityName, canonical
from actors.identity.state import IdentityRecord
from actors.model.batches import BatchContext
from actors.model.micro_batches import Rejected
from actors.model.workspaces import ENVIRONMENTS, Environment
from actors.pipeline.points import DataPoint
from actors.profiles.timeline import TimelineQuery
from actors.repeats import Begun
from actors.store.keys import identity_key, slot_of_hash, slot_of_mpid
from actors.store.requests import KeptAnswer
from actors.store.slots import slots_of
from actors.store.trail import TrailEntry
from server.audience_gateway import AudienceGateway
from server.calculated_gateway import CalculatedGateway
from server.config_gateway import ConfigGateway
from server.dead_letter_view import shown, shown_whole
from server.deployment import FinalResult, GroupDirectory
from server.ingestion import Ingestion
from server.microbatch import ShardQueue
from server.parameters import is_int64
from server.privacy_gateway import PrivacyGateway
from server.routing import Router

# Types that a search without a field looks through.
SEARCHED_TYPES = (*PROFILE_NAMES, "push_token", DEVICE_STAMP)

IDENTITY_PATIENCE_S = 5.0  # spec/identity.md, 4.4, row 19

AnswerT = TypeVar("AnswerT")

UNKNOWN_ALIAS_MPID = IdentityProblem(
    400, "BAD_REQUEST", "The source MPID or destination MPID does not exist."
)


class Gateway:
    """`server.deployment.Deployment` over the handles of the actors."""

    def __init__(
        self,
        shards: Sequence[ShardHandle],
        queues: Sequence[ShardQueue],
        ingestion: Ingestion,
        coordinator: CoordinatorHandle,
        scope: int,
        connection_ids: dict[int, str],
        max_queue_bytes: int,
        groups: GroupDirectory,
        audiences: AudienceGateway,
        calculated: CalculatedGateway,
        privacy: PrivacyGateway,
        configuration: ConfigGateway,
    ) -> None:
        """Args: `queues`, one per shard, are those of `ingestion`; `scope`: the workspace's."""
        self._shards = shards
        self._queues = queues
        self._ingestion = ingestion
        self._coordinator = coordinator
        self._scope = scope
        self._connection_ids = connection_ids
        self._max_queue_bytes = max_queue_bytes
        self.groups = groups
        self.audiences = audiences
        self.calculated = calculated
        self.privacy = privacy
        self.configuration = configuration

    def take_over(self, router: Router, connection_ids: dict[int, str]) -> None:
        """Go on with another configuration of the workspace."""
        self._ingestion.take_over(router)
        self._connection_ids = connection_ids

    async def apply(
        self, batches: Sequence[bytes], context: BatchContext, *, is_further: bool = False
    ) -> list[FinalResult]:
        """See `Deployment`."""
        return await self._ingestion.apply(batches, context, is_further=is_further)

    def room_bytes(self) -> int:
        """See `Deployment`."""
        return sum(queue.room_bytes for queue in self._queues)

    # -- Profiles ---------------------------------------------------------------------------------

    async def profile(
        self, mpid: int, environment: Environment | None, fields: Sequence[str]
    ) -> dict[str, Any] | None:
        """See `Deployment`."""
        return await self._owner(mpid).profile(mpid, environment, fields)

    async def find(self, environment: Environment, identity_type: str, value: str) -> list[int]:
        """See `Deployment`."""
        name = IdentityName(identity_type, canonical(identity_type, value))
        [holders] = await self._shards[self._shard_of_name(environment, name)].holders(
            environment, [name]
        )
        return [holder.mpid for holder in reversed(holders)]

    async def user(self, mpid: int, environment: Environment | None) -> dict[str, Any] | None:
        """See `Deployment`."""
        return await self._owner(mpid).user(mpid, environment)

    async def search_users(
        self, query: str, identity_type: str | None, environment: Environment | None
    ) -> list[dict[str, Any]]:
        """See `Deployment`."""
        environments = ENVIRONMENTS if environment is None else (environment,)
        found: dict[tuple[Environment, int], None] = {}
        text = query.strip()
        if identity_type in (None, "mpid") and is_int64(text):
            found |= dict.fromkeys((each, int(text)) for each in environments)
        if identity_type != "mpid":
            types = SEARCHED_TYPES if identity_type is None else (identity_type,)
            names = [IdentityName(each, canonical(each, text)) for each in types]
            for each in environments:
                mpids = await self._holders(each, names)
                found |= dict.fromkeys((each, mpid) for mpid in mpids)
        return await self._rows(list(found))

    async def timeline(
        self, mpid: int, environment: Environment | None, query: TimelineQuery
    ) -> dict[str, Any] | None:
        """See `Deployment`."""
        return await self._owner(mpid).timeline(mpid, environment, query)

    async def bulk_delete(
        self, request_id: str, environment: Environment, mpids: Sequence[int]
    ) -> bool:
        """See `Deployment`."""
        return await self._coordinator.bulk_delete(request_id, environment, mpids)

    async def bulk_deletion(self, request_id: str) -> BulkDeletion | None:
        """See `Deployment`."""
        return await self._coordinator.bulk_deletion(request_id)

    # -- Identity calls ---------------------------------------------------------------------------

    async def identity_call(self, call: IdentityCall) -> IdentityAnswer | IdentityProblem:
        """See `Deployment`."""
        return await _soon(self._coordinator.call(call))

    async def modify(self, call: ModifyCall) -> ModifyAnswer | IdentityProblem:
        """See `Deployment`."""
        return await _soon(self._coordinator.modify(call))

    async def alias(self, request: AliasRequest) -> IdentityProblem | None:
        """See `Deployment`."""
        return await _soon(self._alias(request))

    async def _alias(self, request: AliasRequest) -> IdentityProblem | None:
        records = await asyncio.gather(
            *(
                self._coordinator.record(request.environment, mpid)
                for mpid in (request.source_mpid, request.destination_mpid)
            )
        )
        if None in records:
            return UNKNOWN_ALIAS_MPID
        await self._coordinator.alias(request)
        return None

    async def aliases_of(self, environment: Environment, mpid: int) -> list[Alias]:
        """See `Deployment`."""
        found = await self._coordinator.aliases(mpid)
        return [each for each in found if each.request.environment == environment]

    # -- Identities, for operators ----------------------------------------------------------------

    async def lookup(self, environment: Environment, identity_type: str, value: str) -> list[int]:
        """See `Deployment`."""
        return await self._coordinator.lookup(environment, identity_type, value)

    async def explain(self, call: IdentityCall) -> Explanation:
        """See `Deployment`."""
        return await self._coordinator.explain(call)

    async def identity_record(self, environment: Environment, mpid: int) -> IdentityRecord | None:
        """See `Deployment`."""
        return await self._coordinator.record(environment, mpid)

    async def identity_history(self, environment: Environment, mpid: int) -> list[TrailEntry]:
        """See `Deployment`."""
        return await self._coordinator.history(environment, mpid)

    async def undo(self, environment: Environment, mpid: int) -> ModifyAnswer | IdentityProblem:
        """See `Deployment`."""
        return await self._coordinator.undo(environment, mpid)

    # -- Dead letters -----------------------------------------------------------------------------

    async def dead_letters(
        self, connection: int, limit: int, cursor: str | None, *, is_whole: bool = False
    ) -> dict[str, Any]:
        """See `Deployment`. A cursor is the sequence of the last dead letter of the page before."""
        if cursor is not None and not is_int64(cursor):
            raise CursorInvalid(cursor)
        after = 0 if cursor is None else max(int(cursor), 0)
        pages = await asyncio.gather(
            *(shard.dead_letters(connection, after, limit) for shard in self._shards)
        )
        letters = sorted(
            (letter for page in pages for letter in page),
            key=lambda letter: letter.delivery.sequence,
        )
        page = letters[:limit]
        is_last = len(letters) <= limit and all(len(each) < limit for each in pages)
        connection_id = self._connection_ids[connection]
        show = shown_whole if is_whole else shown
        return {
            "items": [show(letter, connection_id) for letter in page],
            "next_cursor": None if is_last or not page else str(page[-1].delivery.sequence),
        }

    async def dead_letter(self, connection: int, delivery_id: str) -> dict[str, Any] | None:
        """See `Deployment`."""
        answers = await asyncio.gather(
            *(shard.dead_letter(connection, delivery_id) for shard in self._shards)
        )
        letters = [answer for answer in answers if answer is not None]
        if not letters:
            return None
        oldest = min(letters, key=lambda letter: letter.delivery.sequence)
        return shown_whole(oldest, self._connection_ids[connection])

    async def replay_dead_letters(self, connection: int, delivery_ids: Sequence[str]) -> int:
        """See `Deployment`."""
        counts = await asyncio.gather(
            *(shard.replay(connection, delivery_ids) for shard in self._shards)
        )
        return sum(counts)

    async def discard_dead_letters(self, connection: int, delivery_ids: Sequence[str]) -> int:
        """See `Deployment`."""
        counts = await asyncio.gather(
            *(shard.discard(connection, delivery_ids) for shard in self._shards)
        )
        return sum(counts)

    async def preview(self, connection: int, raw: bytes) -> dict[str, Any] | Rejected | None:
        """See `Deployment`."""
        subject = await self._shards[0].preview_subject(connection, raw)
        if subject is None or isinstance(subject, Rejected):
            return subject
        mpid = subject.mpid
        if mpid is None and subject.identities:
            call = IdentityCall(
                "identify",
                subject.environment,
                subject.identities,
                subject.received_ms,
                is_read_only=True,
            )
            answer = await _soon(self._coordinator.call(call))
            if isinstance(answer, IdentityAnswer) and answer.mpid:
                mpid = answer.mpid
        shard = self._shards[0] if mpid is None else self._owner(mpid)
        return await shard.preview(connection, raw, mpid)

    async def data_points(self, output: str) -> dict[DataPoint, bool]:
        """See `Deployment`."""
        found: dict[DataPoint, bool] = {}
        for points in await asyncio.gather(*(each.listed_points(output) for each in self._shards)):
            for point, is_enabled in points.items():
                # What another shard has received before, this one may not know yet.
                found[point] = found.get(point, False) or is_enabled
        return found

    # -- Repeated requests ------------------------------------------------------------------------

    async def begin_request(self, key: bytes, content: bytes) -> KeptAnswer | Begun:
        """See `Deployment`."""
        return await self._coordinator.begin_request(key, content)

    async def end_request(self, key: bytes, answer: KeptAnswer | None) -> None:
        """See `Deployment`."""
        await self._coordinator.end_request(key, answer)

    # -- Health -----------------------------------------------------------------------------------

    async def readiness(self) -> dict[str, str]:
        """See `Deployment`."""
        answers = await asyncio.gather(*map(_ready, self._shards))
        reached = [answer for answer in answers if answer is not None]
        broken = [answer for answer in reached if answer != "ok"]
        is_full = any(queue.waiting_bytes * 2 > self._max_queue_bytes for queue in self._queues)
        return {
            "config": "ok",
            "shards": f"{len(reached)}/{len(self._shards)}",
            "storage": broken[0] if broken else "ok",
            "queue": "above the high mark" if is_full else "ok",
        }

    # -- Where things are -------------------------------------------------------------------------

    def _owner(self, mpid: int) -> ShardHandle:
        return self._shards[slots_of(self._shards).shard_of(slot_of_mpid(mpid))]

    def _shard_of_name(self, environment: Environment, name: IdentityName) -> int:
        key = identity_key(self._scope, environment, name.type, name.value)
        return slots_of(self._shards).shard_of(slot_of_hash(key))

    async def _holders(self, environment: Environment, names: Sequence[IdentityName]) -> list[int]:
        """Return the MPIDs that hold any of some identities, a call per shard."""
        by_shard: dict[int, list[IdentityName]] = {}
        for name in names:
            by_shard.setdefault(self._shard_of_name(environment, name), []).append(name)
        answers = await asyncio.gather(
            *(self._shards[shard].holders(environment, some) for shard, some in by_shard.items())
        )
        return [
            holder.mpid for lists in answers for holders in lists for holder in reversed(holders)
        ]

    async def _rows(self, users: Sequence[tuple[Environment, int]]) -> list[dict[str, Any]]:
        by_shard: dict[int, list[tuple[Environment, int]]] = {}
        for user in users:
            shard = slots_of(self._shards).shard_of(slot_of_mpid(user[1]))
            by_shard.setdefault(shard, []).append(user)
        answers = await asyncio.gather(
            *(self._shards[shard].user_rows(some) for shard, some in by_shard.items())
        )
        rows = {
            user: row
            for some, lines in zip(by_shard.values(), answers, strict=True)
            for user, row in zip(some, lines, strict=True)
        }
        return [row for user in users if (row := rows[user]) is not None]


async def _soon(answer: Awaitable[AnswerT]) -> AnswerT:
    """Wait for the answer to an identity call. Raises ShardUnavailable if it does not come soon."""
    try:
        async with asyncio.timeout(IDENTITY_PATIENCE_S):
            return await answer
    except TimeoutError:
        raise ShardUnavailable("an identity call was not answered in time") from None


async def _ready(shard: ShardHandle) -> str | None:
    try:
        return await shard.ready()
    except ShardUnavailable:
        return None
