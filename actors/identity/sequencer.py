"""Decides one thing after the other, writes them together, and answers when all shards have them.

A decision is made at once when all that it looks at is known and nothing of it is being written;
decisions made before a commit see each other and form one *cluster* if they touch the same. With
the commit a cluster becomes an intent: it will be written on every shard concerned, by this process
or by the one after it, and until then nobody sees or changes what it changes. So

- what is seen is durable and whole, and decisions are serializable in the order of their making;
- no lock is held while anything is waited for, so there are no deadlocks, and a shard that is away
  delays those only that need it;
- the more there is to do, the more goes with one commit and with one call to a shard.

What is read is in `reading`, what is committed and written in `commits`, and what is being written
and who waits for it in `in_flight`.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence

from actors.clock import Clock, Randomness
from actors.errors import ShardUnavailable, StoreDamaged
from actors.identity.calls import IdentityAnswer
from actors.identity.clusters import Caller, Pending
from actors.identity.commits import Commits
from actors.identity.decisions import AnswerT, Decision
from actors.identity.draft import Draft, Key
from actors.identity.index import Index, IndexShard
from actors.identity.journal import Journal
from actors.identity.knowledge import Knowledge
from actors.identity.reading import Reader
from actors.identity.state import Missing
from actors.identity.waiting import Waiting
from actors.metric_groups import CoordinatorMetrics
from actors.store.environment import Store
from actors.store.slots import slots_of

PATIENCE_S = 5.0  # spec/identity.md, 4.4, row 19


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
        waiting: Waiting,
    ) -> None:
        """Begin a new term; what earlier ones left is written from the first call on.

        Args:
            store: of the coordinator alone.
            shards: all of them, in order.
            scope: of the workspace.
            clock: of the times that are kept.
            randomness: of MPIDs.
            metrics: of this process.
            waiting: of this process, too.

        Raises:
            StoreFull: there is no room for the term.
        """
        self._index = index = Index(scope, slots_of(shards))
        self._waiting = waiting
        known = Knowledge(scope)
        journal = Journal(store, randomness)
        self._states = known.states
        self._commits = Commits(
            journal, index, shards, known, clock, metrics, self._attempt, self._fail
        )
        self._in_flight = self._commits.in_flight
        self._reader = Reader(index, shards, self._commits, known, randomness, self._resume)
        self._ready: deque[Pending] = deque()
        self._is_deciding = False
        self._arrivals = 0
        self._failure: Exception | None = None

    # -- Asking -----------------------------------------------------------------------------------

    async def decide(self, decision: Decision[AnswerT]) -> AnswerT:
        """Return a decision's answer, on disk with all that follows from it.

        Raises:
            HotIdentity: too many wait for one of its identities; nothing was decided.
            ShardUnavailable: a shard was away for too long; it may be decided, and is then done. Or
                one is away and too many wait already.
            StoreFull: likewise, for want of room.
            StoreDamaged: the store of the coordinator does not work.
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
        self._attempt([pending for pending in made if not pending.waits])
        try:
            async with asyncio.timeout(PATIENCE_S):
                await caller.future
                return [each.answer for each in made]
        except TimeoutError:
            raise ShardUnavailable("a shard did not answer in time") from None
        finally:
            for pending in made:
                pending.is_done = True
            for pending in made:
                pending.leave()
                self._in_flight.release(pending)
                self._waiting.end(pending)
                self._decided(pending)

    def forget_settled(self) -> None:
        """Let go of decisions that are written everywhere. Raises StoreFull."""
        self._commits.forget_settled()

    def start(self) -> None:
        """Begin to write what earlier processes have left; any decision does so, too."""
        self._commits.start()

    def close(self) -> None:
        """Do nothing any more; whoever waits is told so."""
        self._fail(ShardUnavailable("the coordinator stops"))

    # -- Deciding ---------------------------------------------------------------------------------

    def _attempt(self, waiting: Iterable[Pending]) -> None:
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
        decision, commits = pending.decision, self._commits
        if self._in_flight.holds(pending, pending.keys):
            self._set_aside(pending)
            return
        if decision.retry_key is not None and self._is_repetition(pending, decision.retry_key):
            self._decided(pending)
            return
        if decision.newcomer is not None:
            self._reader.take_in(pending, decision.newcomer)
        state = self._states[decision.environment]
        unknown = [name for name in decision.names if not state.knows_holders(name)]
        if unknown:
            self._reader.read(pending, Missing(set(unknown), set()))
            self._set_aside(pending)
            return
        draft = Draft(state, decision.now_ms, self._reader.absent(pending))
        try:
            answer = decision.run(draft, pending.candidate)
            if pending.candidate in draft.changed_mpids and not pending.is_free:
                raise Missing(set(), set())  # whether it is
        except Missing as missing:
            self._reader.read(pending, missing)
            self._set_aside(pending)
            return
        except Exception as error:
            pending.fail(error)
            self._decided(pending)
            return
        touched = draft.touched
        if self._in_flight.holds(pending, touched):
            self._set_aside(pending)
            return
        open_clusters = commits.open_clusters
        clusters = {open_clusters[key]: None for key in touched if key in open_clusters}
        retry_key = decision.retry_key if isinstance(answer, IdentityAnswer) else None
        if clusters or retry_key is not None or draft.is_changed:
            shards = {self._index.shard_of(key) for key in draft.changed}
            shards.update(*(each.shards for each in clusters))
            if not self._waiting.begin(pending, shards, self._is_silent):
                self._decided(pending)
                return
            commits.add(pending, answer, draft, clusters, retry_key)
        else:
            pending.succeed(answer)
        self._decided(pending)

    def _is_repetition(self, pending: Pending, retry_key: bytes) -> bool:
        """Tell whether a call repeats another one, or that cannot be told; it is answered then."""
        try:
            return self._commits.answers_again(pending, retry_key)
        except StoreDamaged as error:
            pending.fail(error)
            return True

    def _set_aside(self, pending: Pending) -> None:
        """A decision waits, unless it was refused, or is now."""
        if not pending.is_done:
            cluster = pending.blocked_by
            shards = self._reader.awaited(pending) if cluster is None else cluster.missing
            self._waiting.begin(pending, shards, self._is_silent)
        if pending.is_done:
            self._decided(pending)

    def _is_silent(self, shard: int) -> bool:
        return self._reader.is_silent(shard) or self._commits.is_silent(shard)

    def _decided(self, pending: Pending) -> None:
        """A decision is made or given up: those that come after it in its call may be made."""
        if pending.is_decided:
            return
        pending.is_decided = True
        self._reader.decided(pending)
        if pending.timer is not None:
            pending.timer.cancel()
        self._resume(pending.followers)

    def _resume(self, waiting: list[Pending]) -> None:
        """Make decisions that have one thing less to wait for, in the order of their arrival."""
        ready: dict[Pending, None] = {}
        for pending in waiting:
            pending.waits -= 1
            if not pending.waits:
                ready[pending] = None
        self._attempt(sorted(ready, key=lambda each: each.arrival))

    def _fail(self, error: Exception) -> None:
        """Decide nothing any more."""
        self._failure = error
        for pending in (*self._reader.close(), *self._commits.close()):
            pending.fail(error)
