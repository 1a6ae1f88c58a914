"""What a connection would get of a batch, without anything being changed."""

from collections.abc import Sequence
from copy import deepcopy
from itertools import chain
from typing import Any

import orjson
from msgspec import Struct

from actors.batches.decode import decode_batch, unknown_members
from actors.batches.identities import batch_identities
from actors.batches.reading import MAX_PROBLEMS
from actors.calculated.feed import FEED_NUMBER
from actors.clock import Clock
from actors.errors import BatchRejected, Problem
from actors.groups.live import keep_read_only
from actors.model.batches import Batch, BatchContext, StoredBatch
from actors.model.deliveries import Delivery
from actors.model.micro_batches import Rejected
from actors.model.profiles import ConsentChange, Lookup, Profile, ProfileKey
from actors.model.workspaces import Environment
from actors.outgoing import outgoing_batch
from actors.pipeline.candidate import STEPS, Drop
from actors.pipeline.compiling import Pipeline
from actors.predictions.objects import OWNED
from actors.shard import Shard
from actors.steps.enqueue import enqueue
from actors.steps.update_profiles import update_profile
from actors.steps.work import Work, without_user

UNKNOWN = "unknown key"  # as the Platform API says everywhere
NO_BATCHES = Rejected([Problem("The Calculated Attributes feed takes no batches.")])


class Subject(Struct, frozen=True):
    """Whom a batch is about: an MPID, else identities (IDSync type to value), in priority order.

    `received_ms`: when the shard looked at it.
    """

    environment: Environment
    received_ms: int
    mpid: int | None
    identities: dict[str, str]


class ShardPreviews:
    """Previews on one shard: the one that has the user, if there is one."""

    def __init__(self, shard: Shard, clock: Clock) -> None:
        self._shard = shard
        self._workspace = shard.options.workspace
        self._clock = clock

    def preview_subject(self, connection: int, raw: bytes) -> Subject | Rejected | None:
        """Tell whom a batch is about; what is wrong with it; `None`: there is no such connection.

        Args:
            connection: number of the connection that it is previewed for.
            raw: the batch as it would be sent.
        """
        pipeline = self._pipeline(connection)
        if pipeline is None:
            return None
        if pipeline.connection.input == FEED_NUMBER:
            return NO_BATCHES
        try:
            batch = self._work(raw, self._context(pipeline)).decoded
            unknown = unknown_members(raw)
        except BatchRejected as error:
            return Rejected(error.problems)
        if unknown:
            return Rejected([Problem(UNKNOWN, path) for path in unknown[:MAX_PROBLEMS]])
        received_ms = self._clock.now_ms()
        return Subject(batch.environment, received_ms, batch.mpid, self._identities(batch))

    def preview(self, connection: int, raw: bytes, mpid: int | None) -> dict[str, Any] | None:
        """Return `{"payloads": [{"delivery_id", "environment", "body"}], "dropped": [...]}`.

        Ids that a batch or an event gets when it is taken in are 0, and the place of the event.

        Args:
            connection, raw: as `preview_subject` has found them good.
            mpid: the user's, `None` of somebody who is not known yet, or of nobody.
        """
        pipeline = self._pipeline(connection)
        if pipeline is None:
            return None
        context = self._context(pipeline)
        work = self._work(raw, context)
        if work.checked is not None and work.checked.drops_batch:
            return _answer([], [Drop(connection, "unplanned_batch")])
        work.mpid, batch = mpid, work.decoded
        identities = self._identities(batch)
        profile: Profile | None = None
        changes: list[ConsentChange] = []
        device_key: str | None = None
        if mpid is not None or identities:
            profile = self._profile(batch.environment, mpid)
            if batch.mpid is None:
                held = {(each.type, each.value) for each in profile.lookups}
                profile.lookups += [
                    Lookup(*each, link=0) for each in identities.items() if each not in held
                ]
            update = update_profile(
                profile, batch, context, self._workspace, by_identities=batch.mpid is None
            )
            changes, device_key = update.consent_changes, update.device_key
        else:
            batch = without_user(batch)
        stored = work.stored(batch, self._workspace, device_key=device_key)
        return self._run(stored, profile, changes, pipeline)

    def _pipeline(self, connection: int) -> Pipeline | None:
        everywhere = chain.from_iterable(self._shard.pipelines.values())
        return next((each for each in everywhere if each.connection.number == connection), None)

    def _run(
        self,
        stored: StoredBatch,
        profile: Profile | None,
        changes: list[ConsentChange],
        pipeline: Pipeline,
    ) -> dict[str, Any]:
        shard = self._shard
        section = profile and profile.workspaces.get(self._workspace.number)
        calculated = shard.audiences.calculated(section) if section else {}
        outgoing = outgoing_batch(
            stored, profile, self._workspace, changes, shard.groups.ids, calculated
        )
        audience_ids = shard.audiences.audience_ids(profile)
        return _answer(*enqueue(outgoing, stored, profile, [pipeline], audience_ids))

    def _work(self, raw: bytes, context: BatchContext) -> Work:
        """Decode a batch, without what is blocked of it. Raises BatchRejected."""
        batch = decode_batch(raw, context, self._workspace)
        for index, event in enumerate(batch.events):
            event.event_id = index
        work = Work(raw, 0, None, is_guess=False, context=context, batch=batch)
        if self._shard.groups.read_only:
            keep_read_only([work], self._shard.groups.read_only)
        if self._shard.audiences.owned_attributes:
            keep_read_only([work], self._shard.audiences.owned_attributes, OWNED)
        self._shard.check_plans([work])
        return work

    def _context(self, pipeline: Pipeline) -> BatchContext:
        return BatchContext(pipeline.connection.input, "", "server_to_server", self._clock.now_ms())

    def _identities(self, batch: Batch) -> dict[str, str]:
        found = batch_identities(batch)
        return {name: found[name] for name in self._workspace.priority if name in found}

    def _profile(self, environment: Environment, mpid: int | None) -> Profile:
        """Return a copy of a profile, or a new one."""
        kept = None
        if mpid is not None:
            with self._shard.store.read() as txn:
                key = ProfileKey(self._workspace.scope, environment, mpid)
                kept = self._shard.profiles.get(txn, key)
        return Profile(self._clock.now_ms()) if kept is None else deepcopy(kept)


def _answer(deliveries: Sequence[Delivery], drops: Sequence[Drop]) -> dict[str, Any]:
    return {
        "payloads": [
            {
                "delivery_id": each.delivery_id,
                "environment": each.environment,
                "body": orjson.loads(each.payload),
            }
            for each in deliveries
        ],
        "dropped": [
            {"event_index": each.event_index, "reason": each.reason, "step": STEPS[each.reason]}
            for each in drops
        ],
    }
