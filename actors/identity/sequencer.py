"""Decides one thing after the other, writes them together, and answers when all shards have them.

A decision is made at once when all that it looks at is known and nothing of it is being written;
decisions made before a commit see each other and form one *cluster* if they touch the same. With
the commit a cluster becomes an intent: it will be written on every shard concerned, by this process
or by the one after it, and until then nobody sees or changes what it changes. So

- what is seen is durable and whole, and decisions are serializable in the order of their making;
- no lock is held while anything is waited for, so there are no deadlocks, and a shard that is away
  delays those only that need it;
- the more there is to do, the more goes with one commit and with one call to a shard.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Iterable, Sequence

from actors.clock import Clock, Randomness
from actors.errors import HotIdentity, ShardUnavailable, StaleTerm, StoreDamaged, StoreFull
from actors.identity.calls import IdentityAnswer
from actors.identity.clusters import Caller, Cluster, Pending
from actors.identity.decisions import AnswerT, Decision
from actors.identity.draft import Draft, Key
from actors.identity.findings import Findings, Question
from actors.identity.index import Index, IndexShard, change_of, keys_of, record_of
from actors.identity.keys import IdentityName
from actors.identity.lanes import ReadLane, WriteLane
from actors.identity.state import IdentityState, Missing
from actors.metric_groups import CoordinatorMetrics
from actors.model import ENVIRONMENTS, Environment
from actors.store import intents, retries
from actors.store.environment import Store
from actors.store.identities import IdentityChange, Term
from actors.store.keys import MPID_RANDOM_BITS

logger = logging.getLogger("headwater.actors")

MAX_KNOWN = 100_000  # entries and records kept in memory, about 100 MB
PATIENCE_S = 5.0  # spec/identity.md, 4.4, row 19
MAX_WAITING = 100  # spec/identity.md, 4.3: on one identity
MAX_WAIT_S = 2.0
_NONCE_BITS = 32


class Sequencer:
    """Makes decisions on the identities of one scope; the only writer of them."""

    def __init__(
        self,
        store: Store,
        shards: Sequence[IndexShard],
        scope: int,
        clock: Clock,
        randomness: Randomness,
        metrics: CoordinatorMetrics,
    ) -> None:
        """Begin a new term; what earlier ones left is written from the first call on.

        Args:
            store: of the coordinator alone.
            shards: all of them, in order.
            scope: of the workspace.
            clock: of the times that are kept.
            randomness: of MPIDs.
            metrics: of this process.

        Raises:
            StoreFull: there is no room for the term.
        """
        self._store = store
        self._index = Index(scope, len(shards))
        self._clock = clock
        self._randomness = randomness
        self._metrics = metrics
        self._reads = [ReadLane(self, shard, number) for number, shard in enumerate(shards)]
        self._writes = [WriteLane(self, shard, number) for number, shard in enumerate(shards)]
        # What was read and decided lately, as it is or will be on the shards: it is right, because
        # nobody else writes. What was decided since the last commit can be taken back.
        self._known = {each: IdentityState(scope, each) for each in ENVIRONMENTS}
        self._group: dict[Cluster, None] = {}  # what the next commit takes
        self._open_clusters: dict[Key, Cluster] = {}
        self._open_retries: dict[tuple[Environment, bytes], Cluster] = {}
        self._in_flight: dict[Key, Cluster] = {}
        self._intents: dict[int, Cluster] = {}  # those in flight, by number
        self._settled: list[int] = []  # written everywhere and still kept
        self._readers: dict[Key, list[Pending]] = {}
        self._candidates: dict[int, Pending] = {}
        self._queues: Counter[Key] = Counter()
        self._ready: deque[Pending] = deque()
        self._is_deciding = False
        self._arrivals = 0
        self._is_commit_due = False
        self._trims = 0
        self._failure: Exception | None = None
        with store.read() as txn:
            left = intents.read_all(txn)
            self._number = intents.read_number(txn)
            start = intents.read_start(txn)
            self._records = {each: intents.read_records(txn, each) for each in ENVIRONMENTS}
        self._show_records()
        self._begin_term(start + 1)
        for change in left:
            self._replay(change)

    @property
    def term(self) -> Term:
        """How the shards know this process."""
        return self._term

    # -- Asking -----------------------------------------------------------------------------------

    async def decide(self, decision: Decision[AnswerT]) -> AnswerT:
        """Return a decision's answer, on disk with all that follows from it.

        Raises:
            HotIdentity: too many wait for one of its identities; nothing was decided.
            ShardUnavailable: a shard was away for too long; it may be decided, and is then done.
            StoreFull: likewise, for want of room.
        """
        [answer] = await self.decide_all([decision])
        return answer

    async def decide_all(self, decisions: Sequence[Decision[AnswerT]]) -> list[AnswerT]:
        """Return the answers of several decisions; those on the same identities in their order.

        Raises: as `decide`; others of the decisions may be done.
        """
        if self._failure is not None:
            raise self._failure
        self.start()
        last: dict[Key, Pending] = {}
        made: list[Pending] = []
        caller = Caller(len(decisions))
        for decision in decisions:
            pending = Pending(caller, decision, self._arrivals)
            self._arrivals += 1
            for before in {last[key] for key in pending.keys if key in last}:
                before.followers.append(pending)
                pending.waits += 1
            for key in pending.keys:
                last[key] = pending
            made.append(pending)
        self._attempt(*(pending for pending in made if not pending.waits))
        try:
            async with asyncio.timeout(PATIENCE_S):
                await caller.future
                return [each.answer for each in made]
        except TimeoutError:
            raise ShardUnavailable("a shard did not answer in time") from None
        finally:
            for pending in made:
                pending.is_done = True
                self._unblock(pending)

    def start(self) -> None:
        """Begin to write what earlier processes have left; any decision does so, too."""
        for lane in self._writes:
            lane.start()

    def close(self) -> None:
        """Do nothing any more; whoever waits is told so."""
        self._fail(ShardUnavailable("the coordinator stops"))

    # -- Deciding ---------------------------------------------------------------------------------

    def _attempt(self, *waiting: Pending) -> None:
        """Make decisions in order, or see to it that each is tried again when it may be made."""
        self._ready.extend(waiting)
        if self._is_deciding:
            return
        self._is_deciding = True
        try:
            while self._ready:
                self._decide(self._ready.popleft())
        finally:
            self._is_deciding = False

    def _decide(self, pending: Pending) -> None:
        if self._failure is not None:
            pending.fail(self._failure)
        if pending.is_done:
            self._decided(pending)
            return
        decision = pending.decision
        environment = decision.environment
        if self._is_blocked(pending, pending.keys):
            return
        if decision.retry_key is not None and self._answer_again(pending, decision.retry_key):
            return
        state = self._known[environment]
        unknown = [name for name in decision.names if not state.knows_holders(name)]
        if unknown:
            self._read(pending, Missing(set(unknown), set()))
            return
        draft = Draft(state, decision.now_ms)
        try:
            answer = decision.run(draft, pending.candidate)
            if pending.candidate in draft.changed_mpids and not pending.is_free:
                raise Missing(set(), set())  # whether it is
        except Missing as missing:
            self._read(pending, missing)
            return
        except Exception as error:
            pending.fail(error)
            self._decided(pending)
            return
        touched = draft.touched
        if self._is_blocked(pending, touched):
            return
        changed = draft.changed
        clusters = {self._open_clusters[key] for key in touched if key in self._open_clusters}
        retry_key = decision.retry_key if isinstance(answer, IdentityAnswer) else None
        if not changed and not clusters and retry_key is None:
            pending.succeed(answer)
            self._decided(pending)
            return
        cluster = self._join(clusters, environment)
        if changed:
            cluster.add_keys(changed, self._index)
            cluster.trail.append(draft.trail(decision.kind, decision.about(answer)))
            state.merge(draft)
            self._open_clusters.update(dict.fromkeys(changed, cluster))
        if retry_key is not None:
            cluster.retries[retry_key] = answer
            self._open_retries[environment, retry_key] = cluster
        cluster.members.append((pending, answer))
        self._decided(pending)
        self._commit_soon([cluster])

    def _answer_again(self, pending: Pending, retry_key: bytes) -> bool:
        """Give the answer of the call that this one repeats, if it does."""
        environment = pending.decision.environment
        cluster = self._open_retries.get((environment, retry_key))
        if cluster is not None:
            cluster.members.append((pending, cluster.retries[retry_key]))
        else:
            with self._store.read() as txn:
                known = retries.read(txn, environment, retry_key, pending.decision.now_ms)
            if known is None:
                return False
            pending.succeed(known)
        self._decided(pending)
        return True

    def _is_blocked(self, pending: Pending, keys: Iterable[Key]) -> bool:
        """Let a decision wait if something that it looks at is being written."""
        in_flight = self._in_flight
        if not in_flight:
            return False
        for key in keys:
            if key in in_flight:
                break
        else:
            return False
        self._metrics.identity_conflict_retries.inc()
        cluster = in_flight[key]
        decision = pending.decision
        if decision.is_limited:
            if any(self._queues[key] >= MAX_WAITING for key in pending.keys):
                pending.fail(HotIdentity("too many calls wait for one identity"))
                self._decided(pending)
                return True
            self._queues.update(pending.keys)
            pending.queued = pending.keys
            if pending.timer is None:
                loop = asyncio.get_running_loop()
                pending.timer = loop.call_later(MAX_WAIT_S, self._has_waited, pending)
        pending.blocked_by = cluster
        cluster.waiting.append(pending)
        return True

    def _has_waited(self, pending: Pending) -> None:
        """Refuse a call that still waits for others; for a shard that is away it may wait on."""
        cluster = pending.blocked_by
        if cluster is None or pending.is_done:
            return
        if not any(self._writes[shard].is_away for shard in cluster.shards):
            pending.fail(HotIdentity("a call has waited too long for others"))

    def _unblock(self, pending: Pending) -> None:
        pending.blocked_by = None
        for key in pending.queued:
            self._queues[key] -= 1
            if not self._queues[key]:
                del self._queues[key]
        pending.queued = []

    def _decided(self, pending: Pending) -> None:
        """A decision is made or given up: those that come after it in its call may be made."""
        if pending.is_decided:
            return
        pending.is_decided = True
        self._candidates.pop(pending.candidate, None)
        if pending.timer is not None:
            pending.timer.cancel()
        self._resume(pending.followers)

    def _join(self, clusters: set[Cluster], environment: Environment) -> Cluster:
        """Make one cluster of several, or of none."""
        largest = max(clusters, key=lambda each: len(each.keys), default=None)
        if largest is None:
            cluster = Cluster(environment)
            self._group[cluster] = None
            return cluster
        for other in clusters - {largest}:
            largest.absorb(other)
            self._open_clusters.update(dict.fromkeys(other.keys, largest))
            self._open_retries.update(
                dict.fromkeys([(environment, key) for key in other.retries], largest)
            )
            del self._group[other]
        return largest

    # -- Reading ----------------------------------------------------------------------------------

    def _draw(self, pending: Pending) -> None:
        """Draw an MPID near the place of a decision; whether it is free is still to be seen."""
        place, environment = pending.decision.place, pending.decision.environment
        if place is None:
            return
        slot = self._index.slot_of(environment, place)
        while True:
            mpid = slot << MPID_RANDOM_BITS | self._randomness.bits(MPID_RANDOM_BITS)
            if not mpid or mpid in self._candidates:
                continue
            if not any(state.knows_record(mpid) for state in self._known.values()):
                break
        pending.candidate = mpid
        self._candidates[mpid] = pending

    def _read(self, pending: Pending, missing: Missing) -> None:
        """Ask the shards for what a decision needs."""
        environment = pending.decision.environment
        if not pending.candidate:
            self._draw(pending)
        keys: list[Key] = [(environment, name) for name in missing.names]
        keys += [(environment, mpid) for mpid in missing.mpids]
        is_candidate_asked = pending.candidate != 0 and not pending.is_free
        if not keys and not is_candidate_asked:
            pending.fail(RuntimeError("a decision misses nothing that can be read"))
            self._decided(pending)
            return
        for key in keys:
            self._readers.setdefault(key, []).append(pending)
            pending.waits += 1
            self._reads[self._index.shard_of(key)].ask(key)
        if is_candidate_asked:
            pending.waits += 1
            candidate: Key = (environment, pending.candidate)
            self._reads[self._index.shard_of(candidate)].ask_candidate(pending.candidate)

    def is_wanted(self, key: Key) -> bool:
        """Tell whether anybody still waits for an entry or a record."""
        for each in self._readers.get(key, ()):
            if not each.is_done:
                return True
        self._readers.pop(key, None)
        return False

    @property
    def trims(self) -> int:
        """How often what is known was dropped."""
        return self._trims

    def learned(
        self, questions: list[Question], candidates: list[int], findings: Findings, trims: int
    ) -> None:
        """Take in the answers of a shard, and make the decisions that waited for them.

        A record that came along unasked may have been known, changed and forgotten while the
        answer was under way; if anything was, it is not taken in. One that was asked for cannot
        have been changed, because nobody knew it.
        """
        ready: list[Pending] = []
        for question, known in zip(questions, findings.known, strict=True):
            environment = question.environment
            state = self._known[environment]
            for name, holders in zip(question.names, known.holders, strict=True):
                state.learn_holders(name, holders)
            asked = set(question.mpids)
            for mpid, record in known.records.items():
                if mpid in asked or trims == self._trims:
                    state.learn_record(mpid, record)
                    ready += self._readers.pop((environment, mpid), ())
            for name in question.names:
                ready += self._readers.pop((environment, name), ())
        for mpid, is_taken in zip(candidates, findings.is_taken, strict=True):
            pending = self._candidates.get(mpid)
            if pending is None:
                continue
            if is_taken:
                del self._candidates[mpid]
                pending.candidate = 0
            else:
                pending.is_free = True
            ready.append(pending)
        self._resume(ready)

    def _resume(self, waiting: list[Pending]) -> None:
        """Make decisions that have one thing less to wait for, in the order of their arrival."""
        ready: dict[Pending, None] = {}
        for pending in waiting:
            pending.waits -= 1
            if not pending.waits:
                ready[pending] = None
        self._attempt(*sorted(ready, key=lambda each: each.arrival))

    # -- Writing ----------------------------------------------------------------------------------

    def _commit_soon(self, changed: Iterable[Cluster]) -> None:
        """Commit after this turn, if a shard has nothing to do; else when one has finished.

        Until then more decisions come together.

        Args:
            changed: the clusters of which it is not known yet that all their shards are busy.
        """
        if self._is_commit_due or not any(map(self._is_worth_a_commit, changed)):
            return
        self._is_commit_due = True
        asyncio.get_running_loop().call_soon(self._commit)

    def _is_worth_a_commit(self, cluster: Cluster) -> bool:
        return not cluster.shards or any(self._writes[each].is_idle for each in cluster.shards)

    def _commit(self) -> None:
        """Make intents of all that was decided, and have them written."""
        self._is_commit_due = False
        group = list(self._group)
        if not group or self._failure is not None:
            return
        number = self._number
        changes = []
        for cluster in group:
            number += 1
            state = self._known[cluster.environment]
            trail = cluster.numbered_trail(number)
            changes.append(change_of(state, cluster.keys, number, trail))
        try:
            self._keep(group, changes, number)
        except StoreFull as error:
            for known in self._known.values():
                known.revert()
            self._begin_group()
            for cluster in group:
                for pending, _ in cluster.members:
                    pending.fail(error)
            return
        except Exception as error:  # it may be kept or not: only a new start can tell
            self._fail(error)
            return
        self._number = number
        self._records = self._records_now()
        self._show_records()
        for known in self._known.values():
            self._metrics.count_identities(known.tally)
            known.settle()
        self._begin_group()
        for cluster, change in zip(group, changes, strict=True):
            self._take_off(cluster, change)
        self._trim()

    def _keep(self, group: list[Cluster], changes: list[IdentityChange], number: int) -> None:
        now_ms = self._clock.now_ms()
        with self._store.write() as txn:
            intents.forget(txn, self._settled)
            intents.write(txn, [change for change in changes if change.entries or change.records])
            intents.write_number(txn, number)
            for environment, count in self._records_now().items():
                if count != self._records[environment]:
                    intents.write_records(txn, environment, count)
            for cluster in group:
                for retry_key, answer in cluster.retries.items():
                    retries.write(txn, cluster.environment, retry_key, answer, now_ms)
        self._settled = []

    def _records_now(self) -> dict[Environment, int]:
        """Return how many records there are with those that were decided on and are not kept."""
        return {
            environment: self._records[environment] + state.tally.more_records
            for environment, state in self._known.items()
        }

    def _show_records(self) -> None:
        for environment, count in self._records.items():
            self._metrics.identity_records.labels(environment).set(count)

    def _begin_group(self) -> None:
        self._group = {}
        self._open_clusters = {}
        self._open_retries = {}

    def _take_off(self, cluster: Cluster, change: IdentityChange) -> None:
        """Have an intent written, and let everybody wait who looks at what it changes."""
        parts = self._index.split(change)
        cluster.missing = set(parts)
        self._intents[change.intent] = cluster
        self._in_flight.update(dict.fromkeys(cluster.keys, cluster))
        for shard, part in parts.items():
            self._writes[shard].add(part)
        if not parts:
            self._settle(change.intent)

    def written(self, numbers: list[int], shard: int) -> None:
        """Take in that a shard has its parts of some intents."""
        for number in numbers:
            cluster = self._intents.get(number)
            if cluster is not None:
                cluster.missing.discard(shard)
                if not cluster.missing:
                    self._settle(number)
        self._commit_soon(self._group)

    def _settle(self, number: int) -> None:
        """An intent is written everywhere, or dropped: answer, and let those go on that waited."""
        cluster = self._intents.pop(number)
        self._settled.append(number)
        for key in cluster.keys:
            del self._in_flight[key]
        for pending, answer in cluster.members:
            pending.succeed(answer)
        for pending in cluster.waiting:
            self._unblock(pending)
        self._attempt(*sorted(cluster.waiting, key=lambda each: each.arrival))

    def failed(self, numbers: Iterable[int], error: Exception) -> None:
        """Tell those who wait that parts of some intents cannot be written now."""
        for number in numbers:
            cluster = self._intents.get(number)
            for pending, _ in () if cluster is None else cluster.members:
                pending.fail(error)

    def _trim(self) -> None:
        """Forget what is known, but for what the shards do not have yet, if it is too much."""
        if sum(state.size for state in self._known.values()) <= MAX_KNOWN:
            return
        for environment, state in self._known.items():
            kept = IdentityState(state.scope, environment)
            for _, what in (key for key in self._in_flight if key[0] == environment):
                if isinstance(what, int):
                    kept.learn_record(what, state.record(what))
                else:
                    kept.learn_holders(what, state.holders(what))
            self._known[environment] = kept
        self._trims += 1

    # -- Terms ------------------------------------------------------------------------------------

    def _begin_term(self, start: int) -> None:
        with self._store.write() as txn:
            intents.write_start(txn, start)
            intents.write_number(txn, self._number)
            intents.forget(txn, self._settled)
        self._settled = []
        self._term = Term(start, self._randomness.bits(_NONCE_BITS), self._number)

    def _replay(self, change: IdentityChange) -> None:
        """Have an intent written that an earlier process has left."""
        cluster = Cluster(change.environment, is_replayed=True)
        cluster.add_keys(keys_of(change), self._index)
        state = self._known[change.environment]
        for entry in change.entries:
            state.learn_holders(IdentityName(entry.type, entry.value), entry.holders)
        for record in change.records:
            state.learn_record(record.mpid, record_of(record))
        self._take_off(cluster, change)

    def refused(self, error: StaleTerm) -> None:
        """The store is an old copy: what it had left is past, and the numbers go on elsewhere."""
        logger.error(
            "the coordinator's store is older than the shards; what it had left is dropped",
            extra={"event": "coordinator_store_old"},
        )
        number, self._number = self._number, max(self._number, error.intent)
        try:
            self._begin_term(max(self._term.start, error.start) + 1)
        except StoreFull:
            self._number = number  # to be tried again with the next refusal
            return
        except StoreDamaged as fault:
            self._fail(fault)
            return
        past = [number for number, cluster in self._intents.items() if cluster.is_replayed]
        for number in past:
            for environment, what in self._intents[number].keys:
                names, mpids = ((), [what]) if isinstance(what, int) else ([what], ())
                self._known[environment].forget(names, mpids)
            for lane in self._writes:
                lane.drop(number)
        self._trims += 1
        for number in past:
            self._settle(number)
        self._commit_soon(self._group)

    def _fail(self, error: Exception) -> None:
        """Decide nothing any more."""
        self._failure = error
        for lane in (*self._reads, *self._writes):
            lane.close()
        waiting = [each for readers in self._readers.values() for each in readers]
        for cluster in (*self._group, *self._intents.values()):
            waiting += [pending for pending, _ in cluster.members]
            waiting += cluster.waiting
        for pending in (*waiting, *self._candidates.values()):
            pending.fail(error)
