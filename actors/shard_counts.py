"""What a shard counts: batches and events by what became of them, and how long its stages take."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from actors.metric_groups import ShardMetrics
from actors.model.micro_batches import Accepted, Duplicate, Rejected
from actors.model.workspaces import Environment
from actors.pipeline.candidate import Drop
from actors.plans.checked import Checked
from actors.shard_options import ShardOptions
from actors.steps.work import Work
from actors.store import addressed
from actors.store.environment import Store, Transaction

logger = logging.getLogger("headwater.outbox")

DUPLICATE = "duplicate"
# Drops that somebody has to hear of (spec/connections.md, 2; spec/observability.md, 4).
ALERTS = {"event_arrived_late": "Event Arrived Late", "payload_too_large": "Payload Too Large"}
LATE_MS = 72 * 3_600_000  # spec/events-api.md, 13.1


class Labelled(dict[Any, Any]):
    """The metrics of one name, by label or labels; only for labels of which there are few."""

    def __init__(self, metric: Any) -> None:
        super().__init__()
        self._metric = metric

    def __missing__(self, labels: Any) -> Any:
        found = self._metric.labels(*(labels if isinstance(labels, tuple) else (labels,)))
        self[labels] = found
        return found


class Stages:
    """How long each stage of one micro-batch took, one after the other from now on.

    Attributes:
        durations: of those that have ended, in s.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """Args: `clock` returns instants, in s."""
        self.durations: dict[str, float] = {}
        self._clock = clock
        self._begun = clock()

    def end(self, stage: str) -> None:
        """End a stage; the next one begins."""
        now = self._clock()
        self.durations[stage] = now - self._begun
        self._begun = now


class ShardCounts:
    """Counts on the shard's metrics. Adds up per micro-batch, so that a batch costs little."""

    def __init__(
        self,
        metrics: ShardMetrics,
        shard: int,
        options: ShardOptions,
        store: Store,
    ) -> None:
        self._metrics = metrics
        # Finding a metric by its labels costs more than counting on it.
        self._stages = Labelled(metrics.batch_duration)
        self._events = Labelled(metrics.ingest_events)
        self._commits = metrics.storage_commit_duration.labels(str(shard))
        self._drops: Counter[tuple[int, str]] = Counter()
        self._merges = 0
        self.take_over(options)
        with store.read() as txn:
            self._addressed = addressed.read(txn)
        self._new: Counter[Environment] = Counter()
        self._show_records(self._addressed)

    def take_over(self, options: ShardOptions) -> None:
        """Go on with another configuration of the workspace."""
        self._workspace = options.workspace
        self._connections = {each.number: each.id for each in options.all_connections}
        self._receiving: dict[tuple[int, Environment], list[int]] = {}
        for each in options.connections:
            if each.is_active:
                for environment in each.environments:
                    self._receiving.setdefault((each.input, environment), []).append(each.number)
        self._metrics.config_revision.labels(options.workspace.id).set(options.revision)

    def micro_batch(self, works: Sequence[Work]) -> None:
        """Count the batches of a committed micro-batch; those sent elsewhere count there.

        What its transaction has noted is counted by `published`.
        """
        results: Counter[tuple[int, str, str]] = Counter()
        types: dict[tuple[int, str], list[str]] = {}
        drops: Counter[tuple[int, str]] = Counter()
        duplicates: Counter[tuple[int, str]] = Counter()  # by connection
        late: Counter[int] = Counter()
        for work in works:
            source = work.context.input
            batch = work.batch
            checked = work.checked
            match work.result:
                case Rejected():
                    name = "historical_rejected" if work.context.is_historical else "invalid"
                    results[source, "unknown", name] += 1
                case Duplicate(reason=reason) if batch is not None:
                    results[source, batch.environment, "duplicate"] += 1
                    drops[source, reason] += 1
                    for number in self._receiving.get((source, batch.environment), ()):
                        duplicates[number, DUPLICATE] += max(len(batch.events), 1)
                case Accepted() if batch is not None:
                    results[source, batch.environment, "accepted"] += 1
                    # What is blocked has come, too (spec/data-plans.md, 4).
                    events = batch.events if checked is None else work.entered.events
                    types.setdefault((source, batch.environment), []).extend(
                        [event.event_type for event in events]
                    )
                    oldest_ms = work.context.received_ms - LATE_MS
                    late[source] += sum([event.timestamp_ms < oldest_ms for event in events])
                    for reason in batch.drops:
                        drops[source, reason] += 1
                    if checked is not None:
                        self._checked(checked)
        counted = {where: Counter(found) for where, found in types.items()}
        self._write(results, counted, drops, late)
        self._write_drops(duplicates)

    def not_tagged(self, works: Sequence[Work]) -> None:
        """Count, in a workspace with data plans, the batches of a micro-batch that name none."""
        count = sum(work.checked is None and isinstance(work.result, Accepted) for work in works)
        if count:
            self._metrics.plan_batches.labels(self._workspace.id, "", "not_tagged").inc(count)

    def _checked(self, checked: Checked) -> None:
        metrics, workspace = self._metrics, self._workspace.id
        metrics.plan_batches.labels(workspace, checked.plan_id, checked.outcome).inc()
        for (kind, is_blocked), count in checked.violations.items():
            labels = (workspace, checked.plan_id, kind, str(is_blocked).lower())
            metrics.plan_violations.labels(*labels).inc(count)

    def record_made(self, environment: Environment) -> None:
        """Count the identity record of an MPID that a batch has named and nobody had."""
        self._new[environment] += 1

    def write_records(self, txn: Transaction) -> None:
        """Keep with a micro-batch how many such records there are."""
        if self._new:
            addressed.write(txn, self._records())

    def _records(self) -> dict[Environment, int]:
        return {each: count + self._new[each] for each, count in self._addressed.items()}

    def _show_records(self, more: Mapping[Environment, int]) -> None:
        for environment, count in more.items():  # beside those that other workspaces have made
            self._metrics.identity_records.labels(environment).inc(count)

    def dropped(self, drops: Iterable[Drop]) -> None:
        """Note what connections do not get of what the transaction under way brings."""
        for drop in drops:
            self._drops[drop.connection, drop.reason] += drop.events

    def merged(self) -> None:
        """Note that a profile takes over what an alias gives it."""
        self._merges += 1

    def published(self) -> None:
        """The transaction is on disk: count what was noted for it."""
        if self._merges:
            self._metrics.profile_merges.labels(self._workspace.id).inc(self._merges)
            self._merges = 0
        if self._drops:
            self._write_drops(self._drops)
            self._drops.clear()
        if self._new:
            self._show_records(self._new)
            self._addressed = self._records()
            self._new.clear()

    def abandon(self) -> None:
        """The transaction failed: what was noted for it did not happen."""
        self._drops.clear()
        self._new.clear()
        self._merges = 0

    def stages(self, stages: Stages) -> None:
        """Observe how long the stages of a committed micro-batch took."""
        for stage, duration in stages.durations.items():
            self._stages[stage].observe(duration)
        self._commits.observe(stages.durations["commit"])

    def _write(
        self,
        results: Counter[tuple[int, str, str]],
        events: dict[tuple[int, str], Counter[str]],
        drops: Counter[tuple[int, str]],
        late: Counter[int],
    ) -> None:
        metrics, workspace = self._metrics, self._workspace
        ids = {number: source.id for number, source in workspace.inputs.items()}
        for (source, environment, result), count in results.items():
            metrics.ingest_batches.labels(workspace.id, ids[source], environment, result).inc(count)
        for (source, environment), kinds in events.items():
            for kind, count in kinds.items():
                self._events[workspace.id, ids[source], environment, kind].inc(count)
        for (source, reason), count in drops.items():
            metrics.ingest_drops.labels(workspace.id, ids[source], reason).inc(count)
        for source, count in late.items():
            metrics.ingest_late_events.labels(workspace.id, ids[source]).inc(count)

    def _write_drops(self, drops: Counter[tuple[int, str]]) -> None:
        metrics = self._metrics
        for (connection, reason), count in drops.items():
            slug = self._connections[connection]
            metrics.forwarder_drops.labels(slug, reason).inc(count)
            metrics.forwarder_events.labels(slug, "dropped").inc(count)
            if reason in ALERTS:
                logger.warning(
                    "A connection does not get what its output does not take",
                    extra={
                        "event": reason,
                        "connection": slug,
                        "alert": ALERTS[reason],
                        "count": count,
                    },
                )
