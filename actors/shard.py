"""The owner of some slots of a workspace: all that is kept of them changes here, in one order."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from msgspec.structs import replace

from actors.calculated.feed import FEED_NUMBER, AttributeFeed
from actors.clock import Clock
from actors.errors import ShardUnavailable, StoreFull
from actors.groups.live import KnownGroups, keep_read_only, read_live
from actors.identity.state import identity_rules
from actors.known_points import KnownPoints
from actors.metric_groups import ShardMetrics
from actors.model.micro_batches import MicroBatch, Result
from actors.pipeline.compiling import Pipeline, compile_pipelines
from actors.plans.versions import Plans
from actors.predictions.objects import OWNED
from actors.shard_audiences import ShardAudiences
from actors.shard_batches import ShardBatches
from actors.shard_counts import ShardCounts, Stages
from actors.shard_options import ShardOptions
from actors.shard_outbox import ShardOutbox
from actors.shard_state import ShardState
from actors.steps.admit import KnownNames, admit
from actors.steps.check_plans import check_plans
from actors.steps.decode import Decoder
from actors.steps.identify import Identifier
from actors.steps.work import Work
from actors.store import event_names, micro_batches, outbox
from actors.store.duplicates import Duplicates
from actors.store.environment import Transaction
from actors.store.ids import write_last

SUBSCRIPTION_BYTES = 4 * 1024**3  # that may wait for each subscription of an audience


class Shard:
    """Applies micro-batches and all other changes of a workspace to its slots, in one order.

    Attributes:
        state: what the workspaces of the shard have in common; of it `profiles` and `ids`, `store`
            as the workspace sees it, and `identities` of its scope.
        options: how the workspace is set up; `pipelines`: those of its connections, by input.
        points, groups, outbox, audiences: what it has of them.
        counts: what became of its batches.
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
        self.identities = state.identities(workspace)
        self._identifier = Identifier(
            state.number,
            state.slots,
            workspace.scope,
            identity_rules(workspace),
            self.profiles,
            self.identities.newcomer,
            self._duplicates,
            state.other_scopes(workspace),
        )
        self.counts = ShardCounts(metrics, state.number, options, self.store)
        self.ids = state.ids
        self._plans: Plans | None = None
        with self.store.read() as txn:
            self.points = KnownPoints(self.store, txn)
        self._set_up(options)
        outbox.begin_sums(self.store)
        outbox.complete_ids(self.store)
        with self.store.read() as txn:
            self._names = KnownNames(
                event_names.read_all(txn), options.workspace.limits.unique_event_names
            )
            self.groups = KnownGroups(read_live(txn))
            self.outbox = ShardOutbox(self.store, txn, options, self.ids, wake, metrics)
        self.audiences = self._make_audiences()
        self._batches = ShardBatches(self)
        state.joints.enter(self, metrics)
        self.subscribe()

    def _set_up(self, options: ShardOptions) -> None:
        """Make what follows from the configuration alone. Raises StoreFull."""
        self.points.begin(options.connections, self._clock.now_ms())
        self.options = options
        self._workspace = options.workspace
        self._decoder = Decoder(options.workspace)
        self._plans = Plans(options.plans, self._plans) if options.plans else None
        self.pipelines: dict[int, list[Pipeline]] = {}  # by input
        for pipeline in compile_pipelines(options.connections, self.points.is_known_to):
            self.pipelines.setdefault(pipeline.connection.input, []).append(pipeline)

    def _feed(self) -> AttributeFeed:
        pipelines = self.pipelines.get(FEED_NUMBER, ())
        return AttributeFeed(pipelines, self._workspace, self.ids.next)

    def _make_audiences(self) -> ShardAudiences:
        return ShardAudiences(
            self.store,
            self.profiles,
            self._workspace,
            self.groups.ids,
            self._clock,
            self.ids.next,
            self.metrics,
            self._feed(),
            self.state.load_until_s,
        )

    def take_over(self, options: ShardOptions) -> None:
        """Go on with another configuration of the workspace, between two micro-batches.

        Its identity scope and the scope's settings have to be the same. Inputs that are gone are
        still known: an edge may not have heard yet. Where other lookbacks, tiers or regulations
        hold for audiences, their columns are loaded anew, which takes as long as at a start.

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
        self._names.limit = workspace.limits.unique_event_names
        self.counts.take_over(self.options)
        self.outbox.take_over(options)
        self.subscribe()

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
        stages = Stages(self._clock.monotonic)
        self._check_inputs(micro)
        works = self._decoded(micro)
        stages.end("decode")
        try:
            with self.store.write() as txn:
                known = micro_batches.seen(txn, micro)
                if known is not None:
                    return known
                results = self._apply(micro, works, txn, stages)
        except BaseException:
            self._abandon()
            self._names.abandon()
            raise
        self._names.published()
        self._published()
        self.state.committed += 1
        self.counts.micro_batch(works)
        if self._plans is not None:
            self.counts.not_tagged(works)
        self._decoder.keep(works)
        stages.end("commit")
        self.counts.stages(stages)
        return results

    def _decoded(self, micro: MicroBatch) -> list[Work]:
        works = [
            Work(
                item.raw,
                item.unit,
                item.mpid,
                item.is_guess,
                micro.contexts[item.context],
                is_question=item.is_question,
            )
            for item in micro.items
        ]
        self._decoder.decode(works)
        if self.groups.read_only:
            keep_read_only(works, self.groups.read_only)
        if self.audiences.owned_attributes:
            keep_read_only(works, self.audiences.owned_attributes, OWNED)
        return works

    def _apply(
        self, micro: MicroBatch, works: Sequence[Work], txn: Transaction, stages: Stages
    ) -> list[Result]:
        """Take decoded batches through the other steps, and write all that follows."""
        if micro.event_names is not None:
            self._names.learn(txn, micro.event_names)
        self.check_plans(works)
        stages.end("plan")
        now_ms = self._clock.now_ms()
        self._identifier.identify(works, txn, now_ms)
        stages.end("identity")
        admit(works, txn, self._duplicates, self._names, now_ms)
        stages.end("dedup")
        waiting = self._batches.apply(works, txn)
        stages.end("profile")
        self.outbox.take(self.audiences.users.finish(txn), self._clock.now_ms())
        stages.end("audience")
        self._batches.complete(waiting)
        self.profiles.flush(txn, self._workspace.number, self.audiences.users.seen)
        self.outbox.write(txn, self._clock.now_ms())
        self.points.write(txn)
        results = [work.result for work in works if work.result is not None]
        micro_batches.remember(txn, micro, results)
        write_last(txn, self.ids.last)
        self.counts.write_records(txn)
        stages.end("fanout")
        return results

    def _check_inputs(self, micro: MicroBatch) -> None:
        """Refuse what an edge has of an input that is not known here, as that is newer still."""
        if any(each.input not in self._workspace.inputs for each in micro.contexts):
            raise ShardUnavailable("the shard does not know an input yet")

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Run a transaction that changes profiles and takes deliveries (`outbox.take`).

        Raises:
            StoreFull: nothing was changed.
        """
        try:
            with self.store.write() as txn:
                yield txn
                self.profiles.flush(txn, self._workspace.number, self.audiences.users.seen)
                self.outbox.write(txn, self._clock.now_ms())
                write_last(txn, self.ids.last)
        except BaseException:
            self._abandon()
            raise
        self._published()

    def check_plans(self, works: Sequence[Work]) -> None:
        """Validate batches and take out of them what is blocked, where there are data plans."""
        if self._plans is not None:
            check_plans(works, self._plans)

    def _published(self) -> None:
        """The transaction is on disk: everybody may know."""
        self.profiles.published()
        self.audiences.users.published()
        self.outbox.published()
        self.points.published()
        self.counts.published()

    def _abandon(self) -> None:
        """The transaction failed: what it has changed in memory is as it is on disk."""
        self.profiles.abandon()
        self.audiences.users.abandon()
        self.outbox.abandon()
        self.points.abandon()
        self.counts.abandon()

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
