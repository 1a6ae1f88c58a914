"""The owner of some slots: everything that is kept of them changes here, in one order."""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from actors.clock import Clock
from actors.groups.live import KnownGroups, keep_read_only, read_live
from actors.identity.findings import Findings, Question
from actors.identity.state import IdentityRules
from actors.metric_groups import ShardMetrics
from actors.model import (
    Accepted,
    ConsentChange,
    DeadLetter,
    Delivery,
    MicroBatch,
    Profile,
    ProfileKey,
    Result,
    Settlement,
    StoredBatch,
    WorkspaceInfo,
)
from actors.outgoing import outgoing_batch
from actors.profiles.tiers import kept_events
from actors.queues import Queues
from actors.shard_counts import ShardCounts
from actors.shard_identities import ShardIdentities
from actors.shard_options import ShardOptions
from actors.steps.admit import KnownNames, admit
from actors.steps.decode import Decoder
from actors.steps.enqueue import ConnectionInfo, admit_to_queue, enqueue
from actors.steps.identify import Identifier
from actors.steps.update_profiles import update_profile
from actors.steps.work import Work
from actors.store import event_names, log, micro_batches, outbox
from actors.store.duplicates import Duplicates
from actors.store.environment import Store, Transaction
from actors.store.identities import IdentityChange, Term
from actors.store.ids import Ids, read_last, write_last
from actors.store.profiles import Profiles

PROBE_PAUSE_S = 1.0  # anybody may ask for the health, and each probe is a commit


class Shard:
    """Applies micro-batches and all other changes to its slots, in the order received."""

    def __init__(
        self,
        options: ShardOptions,
        clock: Clock,
        metrics: ShardMetrics,
        wake: Callable[[str], None],
    ) -> None:
        """Open the store and rebuild what is kept in memory.

        Args:
            options: of this shard.
            clock: of processing time.
            metrics: of this process.
            wake: called with an output's id when there is something for it that it does not
                expect.

        Raises:
            DataFolderError: the store cannot be opened.
        """
        workspace = options.workspace
        self.options = options
        self.store = Store(options.folder, options.map_size_bytes)
        self.profiles = Profiles(options.profile_cache_bytes)
        self.metrics = metrics
        self._clock = clock
        self._wake = wake
        self._workspace = workspace
        self._decoder = Decoder(workspace)
        self._duplicates = Duplicates(workspace.dedup_days)
        self._connections: dict[int, list[ConnectionInfo]] = {}
        for connection in options.connections:
            self._connections.setdefault(connection.input, []).append(connection)
        self._outputs = {each.number: each.output for each in options.connections}
        # Outputs that have read to the end of a connection's outbox and wait to be woken.
        self._caught_up: set[int] = set(self._outputs)
        self._identifier = Identifier(
            options.number, options.of, workspace.scope, identity_rules(workspace), self.profiles
        )
        self._identities = ShardIdentities(self.store, self.profiles, options, clock)
        self._counts = ShardCounts(metrics, workspace, options, self.store)
        self._probed_s: float | None = None  # when it last succeeded
        with self.store.read() as txn:
            self._names = KnownNames(event_names.read_all(txn))
            self.groups = KnownGroups(read_live(txn))
            self.queues = Queues(
                txn, options.queue_limits, {each.number: each.id for each in options.connections}
            )
            self._ids = Ids(options.number, read_last(txn), clock)

    # -- Micro-batches ----------------------------------------------------------------------------

    def commit(self, micro: MicroBatch) -> list[Result]:
        """Apply one micro-batch and return once it is on disk.

        Returns one result per item, in order. A micro-batch seen before gives the results of its
        first time and changes nothing.

        Raises:
            StoreFull: the disk has no room; nothing was applied, and the edge answers 503.
        """
        clock, counts = self._clock.monotonic, self._counts
        started = clock()
        works = [
            Work(item.raw, item.unit, item.mpid, item.is_guess, micro.contexts[item.context])
            for item in micro.items
        ]
        self._decoder.decode(works)
        if self.groups.read_only:
            keep_read_only(works, self.groups.read_only)
        decoded = clock()
        try:
            with self.store.write() as txn:
                known = micro_batches.seen(txn, micro)
                if known is not None:
                    return known
                if micro.event_names is not None:
                    self._names.learn(txn, micro.event_names)
                self._identifier.identify(works, txn)
                identified = clock()
                admit(works, txn, self._duplicates, self._names, self._clock.now_ms())
                admitted = clock()
                deliveries, dead = self._apply(works, txn)
                applied = clock()
                self.profiles.flush(txn)
                added = self._queue(deliveries, dead, txn)
                results = [work.result for work in works if work.result is not None]
                micro_batches.remember(txn, micro, results)
                write_last(txn, self._ids.last)
                counts.write_records(txn)
                flushed = clock()
        except BaseException:
            self.profiles.abandon()
            self._names.abandon()
            counts.abandon()
            raise
        self.profiles.published()
        self._names.published()
        for connection, (count, size) in added.items():
            self.queues.added(connection, count, size)
        self.queues.died(dead)
        counts.micro_batch(works)
        self._decoder.keep(works)
        ended = clock()
        counts.stages(
            decode=decoded - started,
            identity=identified - decoded,
            dedup=admitted - identified,
            profile=applied - admitted,
            fanout=flushed - applied,
            commit=ended - flushed,
        )
        self._wake_for(added)
        return results

    def _apply(
        self, works: Sequence[Work], txn: Transaction
    ) -> tuple[list[Delivery], list[DeadLetter]]:
        """Apply every batch that is still without a result, in order."""
        room = self.queues.room()
        deliveries: list[Delivery] = []
        dead: list[DeadLetter] = []
        for work in works:
            if work.result is not None:
                continue
            made = self._apply_one(work, txn)
            admitted, refused = admit_to_queue(made, room, work.context.received_ms)
            deliveries += admitted
            dead += refused
            work.result = Accepted(work.mpid, len(work.decoded.events))
        return deliveries, dead

    def _apply_one(self, work: Work, txn: Transaction) -> list[Delivery]:
        """Change the profile, append to the log, and make what is to be delivered."""
        batch, context, workspace = work.decoded, work.context, self._workspace
        ids = self._ids.draw(len(batch.events) + 2)
        if not batch.is_batch_id_sent:
            batch.batch_id = ids[0]
        for event, event_id in zip(batch.events, ids[1:], strict=False):
            event.event_id = event_id
        profile: Profile | None = None
        changes: list[ConsentChange] = []
        device_key: str | None = None
        previous = 0
        log_id = ids[-1]
        if work.mpid is not None:
            key = ProfileKey(workspace.scope, batch.environment, work.mpid)
            if batch.mpid is not None and self.profiles.get(txn, key) is None:
                self._counts.record_made(batch.environment)
            profile = self.profiles.stage(txn, key, context.received_ms)
            if not profile.workspaces:  # the identity record was made while this batch waited
                created_ms = min(profile.created_timestamp_ms, context.received_ms)
                profile.created_timestamp_ms = created_ms
            update = update_profile(
                profile, batch, context, workspace, by_identities=work.by_identities
            )
            changes, device_key = update.consent_changes, update.device_key
            batch.drops += update.drops
            section = profile.workspaces[workspace.number]
            if context.is_historical:
                previous, section.newest_historical_id = section.newest_historical_id, log_id
            else:
                previous, section.newest_log_id = section.newest_log_id, log_id
        stored = StoredBatch(
            log_id=log_id,
            previous_log_id=previous,
            workspace=workspace.number,
            scope=workspace.scope,
            mpid=work.mpid,
            input=context.input,
            received_ms=context.received_ms,
            channel=context.channel,
            is_historical=context.is_historical,
            device_key=device_key,
            batch=batch,
        )
        deliveries = self._deliveries(stored, profile, changes)
        kept = kept_events(batch, workspace)
        if len(kept) < len(batch.events):
            stored = replace(stored, batch=replace(batch, events=kept))
        log.append(txn, stored)
        return deliveries

    def _deliveries(
        self, stored: StoredBatch, profile: Profile | None, changes: Sequence[ConsentChange]
    ) -> list[Delivery]:
        connections = self._connections.get(stored.input)
        if connections is None:
            return []
        outgoing = outgoing_batch(stored, profile, self._workspace, changes, self.groups.ids)
        deliveries, drops = enqueue(outgoing, stored, profile, connections)
        if drops:
            self._counts.dropped(drops, len(stored.batch.events))
        for delivery in deliveries:
            delivery.sequence = self._ids.next()
        return deliveries

    def _queue(
        self, deliveries: Sequence[Delivery], dead: Sequence[DeadLetter], txn: Transaction
    ) -> dict[int, tuple[int, int]]:
        """Write the outbox; return deliveries and bytes added by connection."""
        added: dict[int, tuple[int, int]] = {}
        for delivery in deliveries:
            count, size = added.get(delivery.connection, (0, 0))
            size += outbox.add(txn, delivery)
            added[delivery.connection] = (count + 1, size)
        for letter in dead:
            outbox.bury(txn, letter)
        return added

    def forget_micro_batches(self) -> None:
        """Drop what is remembered of micro-batches; no edge that sent one may be alive any more.

        Raises:
            StoreFull: nothing was dropped.
        """
        with self.store.write() as txn:
            micro_batches.forget_all(txn)

    # -- Identities -------------------------------------------------------------------------------

    def read_identities(
        self, term: Term, questions: Sequence[Question], candidates: Sequence[int]
    ) -> Findings:
        """See `ShardIdentities.read`."""
        return self._identities.read(term, questions, candidates)

    def write_identities(self, term: Term, write: int, changes: Sequence[IdentityChange]) -> None:
        """See `ShardIdentities.write`."""
        self._identities.write(term, write, changes)

    # -- Outbox -----------------------------------------------------------------------------------

    def read_outbox(
        self, connection: int, after_sequence: int, limit: int, max_bytes: int
    ) -> list[Delivery]:
        """Return the next deliveries of a connection; having seen the end, it will be woken."""
        return outbox.decode(self.read_outbox_encoded(connection, after_sequence, limit, max_bytes))

    def read_outbox_encoded(
        self, connection: int, after_sequence: int, limit: int, max_bytes: int
    ) -> bytes:
        """Return what `read_outbox` does, for `outbox.decode`: cheap to send elsewhere."""
        with self.store.read() as txn:
            found = outbox.read_encoded(txn, connection, after_sequence, limit, max_bytes)
        if not found:
            self._caught_up.add(connection)
        return found

    def settle(self, settlement: Settlement) -> None:
        """Write what became of deliveries. Raises StoreFull."""
        with self.store.write() as txn:
            settled = outbox.settle(txn, settlement)
        self.queues.left(settlement.connection, settled.left, settled.freed_bytes)
        self.queues.died(settled.dead)

    def replay(self, connection: int, delivery_ids: Sequence[str] | None) -> int:
        """Put dead letters back into the outbox (`None`: all); return how many were there.

        Raises:
            StoreFull: nothing was changed.
        """
        with self.store.write() as txn:
            if delivery_ids is None:
                delivery_ids = outbox.dead_letter_ids(txn, connection)
            reasons, size = outbox.replay(txn, connection, delivery_ids, self._ids.next)
            write_last(txn, self._ids.last)
        self.queues.revived((connection, reason) for reason in reasons)
        self.queues.added(connection, len(reasons), size)
        if reasons:
            self._wake_for([connection])
        return len(reasons)

    def _wake_for(self, connections: Sequence[int] | dict[int, tuple[int, int]]) -> None:
        """Wake the outputs of connections whose outbox they had read to the end."""
        outputs: set[str] = set()
        for connection in connections:
            if connection in self._caught_up:
                self._caught_up.discard(connection)
                outputs.add(self._outputs[connection])
        for output in outputs:
            self._wake(output)

    # -- Its condition ----------------------------------------------------------------------------

    def probe(self) -> None:
        """Write something, once a second at most. Raises StoreFull if nothing can be stored."""
        now_s = self._clock.monotonic()
        if self._probed_s is not None and now_s - self._probed_s < PROBE_PAUSE_S:
            return
        with self.store.write() as txn:
            txn.put("meta", b"probe", self._clock.now_ms().to_bytes(8, "big"))
        self._probed_s = now_s

    def show(self) -> None:
        """Bring the gauges up to date."""
        self.queues.show(self.metrics)
        self._counts.show_store(self.store, self.profiles)

    def status(self) -> dict[str, Any]:
        """Describe the shard for a status page."""
        with self.store.read() as txn:
            stored = txn.entries("profiles")
        return {
            "profiles": {"stored": stored, "in_memory": self.profiles.in_memory},
            "storage_bytes": self.store.used_bytes(),
            "connections": self.queues.depths(),
        }

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()


def identity_rules(workspace: WorkspaceInfo) -> IdentityRules:
    """Return the identity settings of a workspace's scope."""
    return IdentityRules(
        workspace.strategy,
        workspace.priority,
        workspace.login_ids,
        workspace.unique_ids,
        workspace.immutable_ids,
        workspace.search_requires_immutable,
    )
