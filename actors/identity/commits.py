"""What was decided is committed together, and written on every shard that it concerns.

With the commit a cluster of decisions becomes an intent: it will be written, by this process or by
the one after it, and until then nobody sees or changes what it changes.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from actors.clock import Clock
from actors.errors import StaleTerm, StoreDamaged, StoreFull
from actors.identity.clusters import Cluster, Pending
from actors.identity.draft import Draft, Key
from actors.identity.in_flight import InFlight
from actors.identity.index import Index, IndexShard, change_of, keys_of, losses_of
from actors.identity.journal import Journal
from actors.identity.knowledge import Knowledge
from actors.identity.lanes import WriteLane
from actors.metric_groups import CoordinatorMetrics
from actors.model.micro_batches import Newcomer
from actors.model.workspaces import Environment
from actors.store.identities import IdentityChange, Term

logger = logging.getLogger("headwater.actors")


class Commits:
    """From decisions to what the shards have.

    Attributes:
        in_flight: what is being written.
        open_clusters: of the next commit, by what they change.
    """

    def __init__(
        self,
        journal: Journal,
        index: Index,
        shards: Sequence[IndexShard],
        known: Knowledge,
        clock: Clock,
        metrics: CoordinatorMetrics,
        attempt: Callable[[list[Pending]], None],
        fail: Callable[[Exception], None],
    ) -> None:
        """Set up; what earlier processes have left is written from `start` on.

        Args:
            journal: where intents are kept.
            index: tells which shard has what; `shards`: all of them, in order.
            known: what the decisions are made on.
            clock: of the times that are kept. metrics: of this process.
            attempt: is told which decisions need not wait any more.
            fail: is told why nothing can be decided any more.
        """
        self._journal = journal
        self._index = index
        self._lanes = [WriteLane(self, self, shard, n) for n, shard in enumerate(shards)]
        self._known = known
        self._clock = clock
        self._metrics = metrics
        self._shown_records: dict[Environment, int] = {}
        self._attempt = attempt
        self._fail = fail
        self.in_flight = InFlight(lambda shard: self._lanes[shard].is_away, metrics)
        self._group: dict[Cluster, None] = {}  # what the next commit takes
        self.open_clusters: dict[Key, Cluster] = {}
        self._open_retries: dict[tuple[Environment, bytes], Cluster] = {}
        self._is_due = False
        self._is_closed = False
        # Of each shard the last write when anything was forgotten: a later change is known.
        self._forgotten = (0,) * len(shards)
        self._show_records()
        for change in journal.left:
            self._replay(change)

    @property
    def term(self) -> Term:
        """How the shards know this process."""
        return self._journal.term

    def is_current(self, shard: int, newcomer: Newcomer) -> bool:
        """See `Terms`."""
        term = self.term
        return (
            newcomer.start == term.start
            and newcomer.nonce == term.nonce
            and newcomer.write >= self._forgotten[shard]
        )

    def _note_forgotten(self) -> None:
        self._forgotten = tuple(lane.writes for lane in self._lanes)

    def is_silent(self, shard: int) -> bool:
        """Tell whether a shard does not answer now."""
        return self._lanes[shard].is_silent

    def start(self) -> None:
        """Begin to write what earlier processes have left."""
        for lane in self._lanes:
            lane.start()

    def forget_settled(self) -> None:
        """See `Journal.forget_settled`."""
        self._journal.forget_settled()

    def close(self) -> list[Pending]:
        """Do nothing any more; return who waits."""
        self._is_closed = True
        for lane in self._lanes:
            lane.close()
        waiting: list[Pending] = []
        for cluster in (*self._group, *self.in_flight.intents.values()):
            waiting += cluster.members
            waiting += cluster.waiting
        return waiting

    # -- What the next commit takes ---------------------------------------------------------------

    def add(
        self,
        pending: Pending,
        answer: Any,
        draft: Draft,
        touched: dict[Cluster, None],
        retry_key: bytes | None,
    ) -> None:
        """Take in a decision that changes something, or builds upon what is not committed.

        Args:
            pending: the decision; `answer`: to be given when all that it saw is written.
            draft: with its changes.
            touched: clusters that it has looked into; not to be used afterwards.
            retry_key: under which the answer is remembered, if it is.
        """
        decision = pending.decision
        environment = decision.environment
        cluster = self._join(touched, environment)
        changed = draft.changed
        if changed:
            cluster.add_keys(changed, self._index)
            cluster.trail.append(draft.trail(decision.kind, decision.about(answer)))
            self._known.states[environment].merge(draft)
            self.open_clusters.update(dict.fromkeys(changed, cluster))
        if retry_key is not None:
            cluster.retries[retry_key] = answer
            self._open_retries[environment, retry_key] = cluster
        cluster.add_member(pending, answer)
        self._commit_soon([cluster])

    def answers_again(self, pending: Pending, retry_key: bytes) -> bool:
        """Give the answer of the call that one repeats, if it does."""
        decision = pending.decision
        cluster = self._open_retries.get((decision.environment, retry_key))
        if cluster is not None:
            cluster.add_member(pending, cluster.retries[retry_key])
            return True
        answer = self._journal.answer(decision.environment, retry_key, decision.now_ms)
        if answer is not None:
            pending.succeed(answer)
        return answer is not None

    def _join(self, clusters: dict[Cluster, None], environment: Environment) -> Cluster:
        """Make one cluster of several, or of none."""
        largest = max(clusters, key=lambda each: len(each.keys), default=None)
        if largest is None:
            cluster = Cluster(environment)
            self._group[cluster] = None
            return cluster
        del clusters[largest]
        for other in clusters:
            largest.absorb(other)
            self.open_clusters.update(dict.fromkeys(other.keys, largest))
            self._open_retries.update(
                dict.fromkeys([(environment, key) for key in other.retries], largest)
            )
            del self._group[other]
        return largest

    # -- Committing -------------------------------------------------------------------------------

    def _commit_soon(self, changed: Iterable[Cluster]) -> None:
        """Commit after this turn, if a shard has nothing to do; else when one has finished.

        Until then more decisions come together.

        Args:
            changed: the clusters of which it is not known yet that all their shards are busy.
        """
        if self._is_due or not any(map(self._is_worth_a_commit, changed)):
            return
        self._is_due = True
        asyncio.get_running_loop().call_soon(self._commit)

    def _is_worth_a_commit(self, cluster: Cluster) -> bool:
        return not cluster.shards or any(self._lanes[each].is_idle for each in cluster.shards)

    def _commit(self) -> None:
        """Make intents of all that was decided, and have them written."""
        self._is_due = False
        group = list(self._group)
        if not group or self._is_closed:
            return
        changes = [
            change_of(
                self._known.states[cluster.environment],
                cluster.keys,
                number,
                cluster.numbered_trail(number),
            )
            for number, cluster in enumerate(group, self._journal.number + 1)
        ]
        answers = [
            (cluster.environment, retry_key, answer)
            for cluster in group
            for retry_key, answer in cluster.retries.items()
        ]
        try:
            self._journal.keep(changes, answers, self._known.more_records(), self._clock.now_ms())
        except StoreFull as error:
            self._known.revert()
            self._begin_group()
            for cluster in group:
                for pending in cluster.members:
                    pending.fail(error)
            return
        except Exception as error:  # it may be kept or not: only a new start can tell
            self._fail(error)
            return
        self._show_records()
        for state in self._known.states.values():
            self._metrics.count_identities(state.tally)
            state.settle()
        self._begin_group()
        for cluster, change in zip(group, changes, strict=True):
            self._take_off(cluster, change)
        trims = self._known.trims
        self._known.trim(self.in_flight.keys)
        if self._known.trims != trims:
            self._note_forgotten()

    def _begin_group(self) -> None:
        self._group = {}
        self.open_clusters = {}
        self._open_retries = {}

    def _show_records(self) -> None:
        for environment, count in self._journal.records.items():
            more = count - self._shown_records.get(environment, 0)
            self._shown_records[environment] = count
            # Beside those of other scopes.
            self._metrics.identity_records.labels(environment).inc(more)

    # -- Writing ----------------------------------------------------------------------------------

    def _take_off(self, cluster: Cluster, change: IdentityChange) -> None:
        """Have an intent written, and let everybody wait who looks at what it changes.

        What concerns several shards is written on each when its turn comes. So records lose first:
        else a batch could be told by one shard that an identity has another user by now, and a
        later one by another shard that it has not.
        """
        parts = self._index.split(change)
        cluster.missing = set(parts)
        self.in_flight.add(change.intent, cluster)
        losses = self._index.split(losses_of(change)) if len(parts) > 1 else {}
        if losses:
            cluster.losing, cluster.rest = set(losses), parts
        for shard, part in (losses or parts).items():
            self._lanes[shard].add(part)
        if not parts:
            self._settle(change.intent)

    def _replay(self, change: IdentityChange) -> None:
        """Have an intent written that an earlier process has left."""
        cluster = Cluster(change.environment, is_replayed=True)
        cluster.add_keys(keys_of(change), self._index)
        self._known.learn(change)
        self._take_off(cluster, change)

    def written(self, numbers: list[int], shard: int) -> None:
        """Take in that a shard has its parts of some intents."""
        for number in numbers:
            cluster = self.in_flight.intents.get(number)
            if cluster is None:
                continue
            if cluster.losing:
                cluster.losing.discard(shard)
                if not cluster.losing:
                    for each, part in cluster.rest.items():
                        self._lanes[each].add(part)
                continue
            cluster.missing.discard(shard)
            if not cluster.missing:
                self._settle(number)
        self._commit_soon(self._group)

    def _settle(self, number: int) -> None:
        """An intent is written everywhere, or dropped: answer, and let those go on that waited."""
        self._journal.settle(number)
        cluster = self.in_flight.remove(number)
        for pending, answer in cluster.members.items():
            pending.succeed(answer)
        self._attempt(sorted(cluster.waiting, key=lambda each: each.arrival))

    def failed(self, numbers: Iterable[int], error: Exception) -> None:
        """Tell those who wait that parts of some intents cannot be written now."""
        for number in numbers:
            cluster = self.in_flight.intents.get(number)
            for pending in () if cluster is None else cluster.members:
                pending.fail(error)

    def refused(self, error: StaleTerm) -> None:
        """The store is an old copy: what it had left is past, and the numbers go on elsewhere."""
        intents = self.in_flight.intents
        past = [number for number, cluster in intents.items() if cluster.is_replayed]
        try:
            self._journal.begin_term(error.start, error.intent, past)
        except StoreFull:
            return  # to be tried again with the next refusal
        except StoreDamaged as fault:
            self._fail(fault)
            return
        logger.error(
            "the coordinator's store is older than the shards; what it had left is dropped",
            extra={"event": "coordinator_store_old"},
        )
        for number in past:
            self._known.forget(intents[number].keys)
            for lane in self._lanes:
                lane.drop(number)
        self._known.trims += 1
        self._note_forgotten()
        for number in past:
            self._settle(number)
        self._commit_soon(self._group)
