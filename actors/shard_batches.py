"""What becomes of one batch in a micro-batch: its user's profile, the log, and its deliveries.

All of it is in the transaction of `actors.shard.Shard.commit`, whose steps come before and after.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from actors.model.batches import StoredBatch
from actors.model.deliveries import Delivery
from actors.model.micro_batches import Accepted
from actors.model.profiles import ConsentChange, Profile, ProfileKey
from actors.outgoing import outgoing_batch
from actors.profiles.recent import note_stored, seen_bytes
from actors.profiles.tiers import kept_events
from actors.steps.enqueue import Chosen, choose
from actors.steps.quarantine import quarantine
from actors.steps.update_profiles import update_profile
from actors.steps.work import Work, without_user
from actors.store import log
from actors.store.environment import Transaction

if TYPE_CHECKING:
    from actors.shard import Shard


class Waiting(NamedTuple):
    """What goes out of a batch once the audiences of its user are known."""

    chosen: Chosen
    stored: StoredBatch
    profile: Profile | None


class ShardBatches:
    """Applies batches of which it is known whose they are, and that they may go further."""

    def __init__(self, shard: "Shard") -> None:
        self._shard = shard

    def apply(self, works: Sequence[Work], txn: Transaction) -> list[Waiting]:
        """Apply every batch that is still without a result, in order.

        Returns:
            What is to be completed (`complete`) once memberships are those that the batches have
            brought about.
        """
        outbox = self._shard.outbox
        waiting: list[Waiting] = []
        for work in works:
            if work.result is None:
                outbox.take(self._apply_one(work, txn, waiting), work.context.received_ms)
                work.result = Accepted(work.mpid, len(work.decoded.events))
        return waiting

    def complete(self, waiting: Sequence[Waiting]) -> None:
        """Let the outbox take, in order, what has waited for memberships."""
        shard = self._shard
        for each in waiting:
            audience_ids = shard.audiences.audience_ids(each.profile)
            deliveries = self._made(each.chosen, each.stored, audience_ids)
            shard.outbox.take(deliveries, each.stored.received_ms)

    def _apply_one(self, work: Work, txn: Transaction, waiting: list[Waiting]) -> list[Delivery]:
        """Change the profile, append to the log, and return what is to be delivered already."""
        shard, batch = self._shard, work.decoded
        workspace, audiences = shard.options.workspace, shard.audiences
        log_id, checked = self._give_ids(work), work.checked
        quarantined = self._quarantined(work) if checked is not None else []
        if checked is not None and checked.drops_batch:
            return quarantined
        profile: Profile | None = None
        changes: Sequence[ConsentChange] = ()
        if work.mpid is None:
            batch = without_user(batch)
            stored = work.stored(batch, workspace, log_id)
        else:
            key = ProfileKey(workspace.scope, batch.environment, work.mpid)
            profile, stored, changes = self._change_profile(work, key, log_id, txn)
        deliveries = self._deliveries(stored, profile, changes, waiting)
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
        self,
        stored: StoredBatch,
        profile: Profile | None,
        changes: Sequence[ConsentChange],
        waiting: list[Waiting],
    ) -> list[Delivery]:
        """Return what connections get of a batch, but for what is collected first, or waits.

        All of an input wait for the one that shows audiences: a connection's order stays.
        """
        shard = self._shard
        pipelines = shard.pipelines.get(stored.input)
        if pipelines is None:
            return []
        workspace = shard.options.workspace
        section = profile and profile.workspaces.get(workspace.number)
        calculated = shard.audiences.calculated(section) if section else {}
        outgoing = outgoing_batch(stored, profile, workspace, changes, shard.groups.ids, calculated)
        if shard.points.is_tracking:
            shard.points.see(stored, outgoing)
        chosen = choose(outgoing, stored, profile, pipelines)
        if any(each.shape.settings.include_audience_ids for each in pipelines):
            waiting.append(Waiting(chosen, stored, profile))
            return []
        return self._made(chosen, stored, ())

    def _made(
        self, chosen: Chosen, stored: StoredBatch, audience_ids: Sequence[int]
    ) -> list[Delivery]:
        """Make the deliveries of a batch; return those that are not collected first."""
        shard, outbox = self._shard, self._shard.outbox
        deliveries = chosen.deliveries(audience_ids)
        if chosen.drops:
            shard.counts.dropped(chosen.drops)
        for delivery in deliveries:
            delivery.sequence = shard.ids.next()
        if stored.input in outbox.collector.inputs:
            return outbox.collect(stored, deliveries)
        return deliveries
