"""The owner of some slots of a workspace: all that is kept of them changes here, in one order."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from msgspec.structs import replace

from actors.calculated.feed import FEED_NUMBER, AttributeFeed
from actors.clock import Clock
from actors.errors import ShardUnavailable, StoreFull
from actors.groups.live import KnownGroups, keep_read_only, read_live
from actors.identity.alias_calls import AliasOrder
from actors.identity.state import identity_rules
from actors.known_points import KnownPoints
from actors.metric_groups import ShardMetrics
from actors.model import (
    Accepted,
    ConsentChange,
    Delivery,
    MicroBatch,
    Profile,
    ProfileKey,
    Result,
    StoredBatch,
)
from actors.outgoing import outgoing_batch
from actors.pipeline.compiling import Pipeline, compile_pipelines
from actors.plans.versions import Plans
from actors.predictions.objects import OWNED
from actors.profiles.recent import note_stored, seen_bytes
from actors.profiles.tiers import kept_events
from actors.shard_audiences import ShardAudiences
from actors.shard_counts import ShardCounts
from actors.shard_options import ShardOptions
from actors.shard_outbox import ShardOutbox
from actors.shard_state import ShardState
from actors.steps.admit import KnownNames, admit
from actors.steps.check_plans import check_plans
from actors.steps.decode import Decoder
from actors.steps.enqueue import enqueue
from actors.steps.enqueue_alias import enqueue_alias
from actors.steps.identify import Identifier
from actors.steps.quarantine import quarantine
from actors.steps.update_profiles import update_profile
from actors.steps.work import Work
from actors.store import event_names, log, micro_batches, outbox
from actors.store.duplicates import Duplicates
from actors.store.environment import Transaction
from actors.store.ids import write_last

SUBSCRIPTION_BYTES = 4 * 1024**3  # that may wait for each subscription of an audience


class Shard:
    """Applies micro-batches and all other changes of a workspace to its slots, in one order.

    Attributes:
        state: what the workspaces of the shard have in common.
    """

    def __init__(
        self,
        state: ShardState,
        options: ShardOptions,
        clock: Clock,
        metrics: ShardMetrics,
        wake: Callable[[str], None],
    ) -> None:
        """Rebuild what is kept in memory.

        Args:
            state: what the workspaces of the shard have in common.
            options: of the workspace.
            clock: of processing time.
            metrics: of this process.
            wake: called with an output's id when there is something for it that it does not
                expect.

        Raises:
            DataFolderError: the tables of the workspace cannot be made.
            StoreFull: see `ShardAudiences`.
        """
        workspace = options.workspace
        self.state = state
        self.store = state.store.of(workspace.number)
        self.profiles = state.profiles
        self.metrics = metrics
        self._clock = clock
        self._duplicates = Duplicates(workspace.dedup_days)
        self._identifier = Identifier(
            state.number,
            state.slots,
            workspace.scope,
            identity_rules(workspace),
            self.profiles,
            state.other_scopes(workspace),
        )
        self.identities = state.identities(workspace)
        self._counts = ShardCounts(metrics, state.number, options, self.store)
        self._ids = state.ids
        self._plans: Plans | None = None
        with self.store.read() as txn:
            self.points = KnownPoints(self.store, txn)
        self._set_up(options)
        outbox.begin_sums(self.store)
        with self.store.read() as txn:
            self._names = KnownNames(event_names.read_all(txn))
            self.groups = KnownGroups(read_live(txn))
            self.outbox = ShardOutbox(self.store, txn, options, self._ids, wake)
        self.audiences = self._make_audiences()
        state.joints.enter(self, metrics)
        self.subscribe()

    def _set_up(self, options: ShardOptions) -> None:
        """Make what follows from the configuration alone. Raises StoreFull."""
        self.points.begin(options.connections, self._clock.now_ms())
        self.options = options
        self._workspace = options.workspace
        self._decoder = Decoder(options.workspace)
        self._plans = Plans(options.plans, self._plans) if options.plans else None
        self._pipelines: dict[int, list[Pipeline]] = {}  # by input
        for pipeline in compile_pipelines(options.connections, self.points.is_known_to):
            self._pipelines.setdefault(pipeline.connection.input, []).append(pipeline)

    def _feed(self) -> AttributeFeed:
        pipelines = self._pipelines.get(FEED_NUMBER, ())
        return AttributeFeed(pipelines, self._workspace, self._ids.next)

    def _make_audiences(self) -> ShardAudiences:
        return ShardAudiences(
            self.store,
            self.profiles,
            self._workspace,
            self.groups.ids,
            self._clock,
            self._ids.next,
            self.metrics,
            self._feed(),
            self.state.load_until_s,
        )

    def take_over(self, options: ShardOptions) -> None:
        """Go on with another configuration of the workspace, between two micro-batches.

        Its identity scope and the scope's settings have to be the same. Inputs that are gone are
        still known: an edge may not have heard yet. Where other lookbacks or tiers hold for
        audiences, their columns are loaded anew, which takes as long as at a start.

        Raises:
            StoreFull: nothing was taken over.
        """
        former = self.options
        inputs = former.workspace.inputs | options.workspace.inputs
        workspace = replace(options.workspace, inputs=inputs)
        self._set_up(replace(options, workspace=workspace))
        try:
            if self.audiences.can_take_over(workspace):
                self.audiences.take_over(workspace, self._feed())
            else:
                self.audiences = self._make_audiences()
                self.state.joints.enter(self, self.metrics)
        except StoreFull:
            self._set_up(former)
            raise
        self._counts.take_over(self.options)
        self.outbox.take_over(options)
        self.subscribe()

    def arrange_joints(self) -> None:
        """Go by the audiences over several workspaces that are in force now."""
        self.state.joints.arrange(self._workspace.number, self.metrics)

    def subscribe(self) -> None:
        """Let the outbox know of the subscriptions that are in force."""
        live = self.audiences.in_force.audiences.subscriptions
        limit = SUBSCRIPTION_BYTES // self.state.of
        self.outbox.subscribe((each.subscription for each in live), limit)

    # -- Micro-batches ----------------------------------------------------------------------------

    def commit(self, micro: MicroBatch) -> list[Result]:
        """Apply one micro-batch and return once it is on disk.

        Returns one result per item, in order. A micro-batch seen before gives the results of its
        first time and changes nothing.

        Raises:
            ShardUnavailable: it comes through an input that is not known here yet.
            StoreFull: the disk has no room; nothing was applied, and the edge answers 503.
        """
        clock, counts = self._clock.monotonic, self._counts
        started = clock()
        self._check_inputs(micro)
        works = [
            Work(item.raw, item.unit, item.mpid, item.is_guess, micro.contexts[item.context])
            for item in micro.items
        ]
        self._decoder.decode(works)
        if self.groups.read_only:
            keep_read_only(works, self.groups.read_only)
        if self.audiences.owned_attributes:
            keep_read_only(works, self.audiences.owned_attributes, OWNED)
        decoded = clock()
        try:
            with self.store.write() as txn:
                known = micro_batches.seen(txn, micro)
                if known is not None:
                    return known
                if micro.event_names is not None:
                    self._names.learn(txn, micro.event_names)
                self.check_plans(works)
                checked = clock()
                self._identifier.identify(works, txn)
                identified = clock()
                admit(works, txn, self._duplicates, self._names, self._clock.now_ms())
                admitted = clock()
                self._apply(works, txn)
                applied = clock()
                self.outbox.take(self.audiences.finish(txn), self._clock.now_ms())
                evaluated = clock()
                self.profiles.flush(txn, self._workspace.number, self.audiences.seen)
                self.outbox.write(txn, self._clock.now_ms())
                self.points.write(txn)
                results = [work.result for work in works if work.result is not None]
                micro_batches.remember(txn, micro, results)
                write_last(txn, self._ids.last)
                counts.write_records(txn)
                flushed = clock()
        except BaseException:
            self._abandon()
            self._names.abandon()
            counts.abandon()
            raise
        self._names.published()
        self._published()
        counts.micro_batch(works)
        if self._plans is not None:
            counts.not_tagged(works)
        self._decoder.keep(works)
        ended = clock()
        counts.stages(
            decode=decoded - started,
            plan=checked - decoded,
            identity=identified - checked,
            dedup=admitted - identified,
            profile=applied - admitted,
            audience=evaluated - applied,
            fanout=flushed - evaluated,
            commit=ended - flushed,
        )
        return results

    def _check_inputs(self, micro: MicroBatch) -> None:
        """Refuse what an edge has of an input that is not known here, as that is newer still."""
        if any(each.input not in self._workspace.inputs for each in micro.contexts):
            raise ShardUnavailable("the shard does not know an input yet")

    def _apply(self, works: Sequence[Work], txn: Transaction) -> None:
        """Apply every batch that is still without a result, in order."""
        for work in works:
            if work.result is None:
                self.outbox.take(self._apply_one(work, txn), work.context.received_ms)
                work.result = Accepted(work.mpid, len(work.decoded.events))

    def _apply_one(self, work: Work, txn: Transaction) -> list[Delivery]:
        """Change the profile, append to the log, and make what is to be delivered."""
        batch, context, workspace = work.decoded, work.context, self._workspace
        checked = work.checked
        entered = batch if checked is None else work.entered
        ids = self._ids.draw(len(entered.events) + 2)
        if not batch.is_batch_id_sent:
            batch.batch_id = ids[0]
        for event, event_id in zip(entered.events, ids[1:], strict=False):
            event.event_id = event_id
        quarantined = self._quarantined(work) if checked is not None else []
        if checked is not None and checked.drops_batch:
            return quarantined
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
            if not self.audiences.is_idle:
                self.audiences.calculate(txn, key, profile)
            update = update_profile(
                profile, batch, context, workspace, by_identities=work.by_identities
            )
            changes, device_key = update.consent_changes, update.device_key
            batch.drops += update.drops
            section = profile.workspaces[workspace.number]
            if not self.audiences.is_idle:
                self.audiences.catch_up(txn, key, profile)
            if context.is_historical:
                previous, section.newest_historical_id = section.newest_historical_id, log_id
            else:
                previous, section.newest_log_id = section.newest_log_id, log_id
        stored = work.stored(batch, workspace, log_id, previous, device_key)
        if profile is not None and not self.audiences.is_idle:
            self.audiences.apply(key, profile, stored)
        deliveries = self._deliveries(stored, profile, changes)
        kept = kept_events(batch, workspace)
        if len(kept) < len(batch.events):
            stored = replace(stored, batch=replace(batch, events=kept))
        size = log.append(txn, stored)
        if profile is not None:
            section = profile.workspaces[workspace.number]
            size, most = (
                seen_bytes(size, kept, workspace),
                workspace.limits.real_time_bytes_per_user,
            )
            if note_stored(section, log_id, size, most) and not self.audiences.is_idle:
                self.audiences.cut(txn, key, profile)
        return deliveries + quarantined

    def _quarantined(self, work: Work) -> list[Delivery]:
        deliveries, drops = quarantine(work, self._workspace)
        for delivery in deliveries:
            delivery.sequence = self._ids.next()
        self._counts.dropped(drops)
        return deliveries

    def _deliveries(
        self, stored: StoredBatch, profile: Profile | None, changes: Sequence[ConsentChange]
    ) -> list[Delivery]:
        pipelines = self._pipelines.get(stored.input)
        if pipelines is None:
            return []
        section = profile and profile.workspaces.get(self._workspace.number)
        calculated = self.audiences.calculated(section) if section else {}
        outgoing = outgoing_batch(
            stored, profile, self._workspace, changes, self.groups.ids, calculated
        )
        if self.points.is_tracking:
            self.points.see(stored, outgoing)
        deliveries, drops = enqueue(outgoing, stored, profile, pipelines)
        if drops:
            self._counts.dropped(drops)
        for delivery in deliveries:
            delivery.sequence = self._ids.next()
        if stored.input in self.outbox.collector.inputs:
            return self.outbox.collect(stored, deliveries)
        return deliveries

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Run a transaction that changes profiles and takes deliveries (`outbox.take`).

        Raises:
            StoreFull: nothing was changed.
        """
        try:
            with self.store.write() as txn:
                yield txn
                self.profiles.flush(txn, self._workspace.number, self.audiences.seen)
                self.outbox.write(txn, self._clock.now_ms())
                write_last(txn, self._ids.last)
        except BaseException:
            self._abandon()
            raise
        self._published()

    def check_plans(self, works: Sequence[Work]) -> None:
        """Validate batches and take out of them what is blocked, where there are data plans."""
        if self._plans is not None:
            check_plans(works, self._plans)

    def pipeline(self, connection: int) -> Pipeline | None:
        """Return what is compiled of a connection, `None` if there is none of that number."""
        everywhere = itertools.chain.from_iterable(self._pipelines.values())
        return next((each for each in everywhere if each.connection.number == connection), None)

    def forward_alias(self, order: AliasOrder, profile: Profile) -> None:
        """Take what connections get of an alias that is applied in the transaction under way.

        Args:
            order: the alias.
            profile: of its destination.
        """
        pipelines = self._pipelines.get(order.request.input, ())
        deliveries, drops = enqueue_alias(order, profile, self._workspace, pipelines)
        if drops:
            self._counts.dropped(drops)
        for delivery in deliveries:
            delivery.sequence = self._ids.next()
        self.outbox.take(deliveries, order.request.received_ms)

    def draw_id(self) -> int:
        """Draw an id: it tells what was stored before from what comes now."""
        return self._ids.next()

    def _published(self) -> None:
        """The transaction is on disk: everybody may know."""
        self.profiles.published()
        self.audiences.published()
        self.outbox.published()
        self.points.published()

    def _abandon(self) -> None:
        """The transaction failed: what it has changed in memory is as it is on disk."""
        self.profiles.abandon()
        self.audiences.abandon()
        self.outbox.abandon()
        self.points.abandon()

    def forget_micro_batches(self) -> None:
        """Drop what is remembered of micro-batches; no edge that sent one may be alive any more.

        Raises:
            StoreFull: nothing was dropped.
        """
        with self.store.write() as txn:
            micro_batches.forget_all(txn)

    # -- Its condition ----------------------------------------------------------------------------

    def show(self) -> None:
        """Bring the gauges up to date."""
        self.outbox.queues.show(self.metrics)
        self.audiences.show()
