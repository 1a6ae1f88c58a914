"""What becomes of one batch in a micro-batch: its user's profile, the log, and its deliveries.

All of it is in the transaction of `actors.shard.Shard.commit`, whose steps come before and after.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from actors.model.batches import StoredBatch
from actors.model.deliveries import Delivery
from actors.model.micro_batches import Accepted
from actors.model.profiles import ConsentChange, Profile, ProfileKey
from actors.outgoing import outgoing_batch
from actors.profiles.recent import note_stored, seen_bytes
from actors.profiles.tiers import kept_events
from actors.steps.enqueue import enqueue
from actors.steps.quarantine import quarantine
from actors.steps.update_profiles import update_profile
from actors.steps.work import Work
from actors.store import log
from actors.store.environment import Transaction

if TYPE_CHECKING:
    from actors.shard import Shard


class ShardBatches:
    """Applies batches of which it is known whose they are, and that they may go further."""

    def __init__(self, shard: "Shard") -> None:
        self._shard = shard

    def apply(self, works: Sequence[Work], txn: Transaction) -> None:
        """Apply every batch that is still without a result, in order."""
        outbox = self._shard.outbox
        for work in works:
            if work.result is None:
                outbox.take(self._apply_one(work, txn), work.context.received_ms)
                work.result = Accepted(work.mpid, len(work.decoded.events))

    def _apply_one(self, work: Work, txn: Transaction) -> list[Delivery]:
        """Change the profile, append to the log, and return what is to be delivered."""
        shard, batch = self._shard, work.decoded
        workspace, audiences = shard.options.workspace, shard.audiences
        log_id, checked = self._give_ids(work), work.checked
        quarantined = self._quarantined(work) if checked is not None else []
        if checked is not None and checked.drops_batch:
            return quarantined
        profile: Profile | None = None
        changes: Sequence[ConsentChange] = ()
        if work.mpid is None:
            stored = work.stored(batch, workspace, log_id)
        else:
            key = ProfileKey(workspace.scope, batch.environment, work.mpid)
            profile, stored, changes = self._change_profile(work, key, log_id, txn)
        deliveries = self._deliveries(stored, profile, changes)
        kept = kept_events(batch, workspace)
        if len(kept) < len(batch.events):
            stored = replace(stored, batch=replace(batch, events=kept))
        size = log.append(txn, stored)
        if profile is not None:
            section = profile.workspaces[workspace.number]
            size = seen_bytes(size, kept, workspace)
            most = workspace.limits.real_time_bytes_per_user
            if note_stored(section, log_id, size, most) and not audiences.is_idle:
                audiences.users.cut(txn, key, profile)
        return deliveries + quarantined

    def _give_ids(self, work: Work) -> int:
        """Give ids to a batch and its events, those that are blocked too; return its log id."""
        batch, events = work.decoded, work.entered.events
        ids = self._shard.ids.draw(len(events) + 2)
        if not batch.is_batch_id_sent:
            batch.batch_id = ids[0]
        for event, event_id in zip(events, ids[1:], strict=False):
            event.event_id = event_id
        return ids[-1]

    def _change_profile(
        self, work: Work, key: ProfileKey, log_id: int, txn: Transaction
    ) -> tuple[Profile, StoredBatch, Sequence[ConsentChange]]:
        """Bring a user's profile, calculated attributes and audiences up to a batch."""
        shard, batch, context = self._shard, work.decoded, work.context
        workspace, audiences = shard.options.workspace, shard.audiences
        if batch.mpid is not None and shard.profiles.get(txn, key) is None:
            shard.counts.record_made(batch.environment)
        profile = shard.profiles.stage(txn, key, context.received_ms)
        if not profile.workspaces:  # the identity record was made while this batch waited
            created_ms = min(profile.created_timestamp_ms, context.received_ms)
            profile.created_timestamp_ms = created_ms
        is_evaluated = not audiences.is_idle
        if is_evaluated:
            audiences.users.calculate(txn, key, profile)
        update = update_profile(
            profile, batch, context, workspace, by_identities=work.by_identities
        )
        batch.drops += update.drops
        if is_evaluated:
            audiences.users.catch_up(txn, key, profile)
        section = profile.workspaces[workspace.number]
        if context.is_historical:
            previous, section.newest_historical_id = section.newest_historical_id, log_id
        else:
            previous, section.newest_log_id = section.newest_log_id, log_id
        stored = work.stored(batch, workspace, log_id, previous, update.device_key)
        if is_evaluated:
            audiences.users.apply(key, profile, stored)
        return profile, stored, update.consent_changes

    def _quarantined(self, work: Work) -> list[Delivery]:
        deliveries, drops = quarantine(work, self._shard.options.workspace)
        for delivery in deliveries:
            delivery.sequence = self._shard.ids.next()
        self._shard.counts.dropped(drops)
        return deliveries

    def _deliveries(
        self, stored: StoredBatch, profile: Profile | None, changes: Sequence[ConsentChange]
    ) -> list[Delivery]:
        """Return what connections get of a batch, but for what is collected first."""
        shard = self._shard
        pipelines = shard.pipelines.get(stored.input)
        if pipelines is None:
            return []
        workspace, outbox = shard.options.workspace, shard.outbox
        section = profile and profile.workspaces.get(workspace.number)
        calculated = shard.audiences.calculated(section) if section else {}
        outgoing = outgoing_batch(stored, profile, workspace, changes, shard.groups.ids, calculated)
        if shard.points.is_tracking:
            shard.points.see(stored, outgoing)
        deliveries, drops = enqueue(outgoing, stored, profile, pipelines)
        if drops:
            shard.counts.dropped(drops)
        for delivery in deliveries:
            delivery.sequence = shard.ids.next()
        if stored.input in outbox.collector.inputs:
            return outbox.collect(stored, deliveries)
        return deliveries
