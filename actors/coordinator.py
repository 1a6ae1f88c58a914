"""The one writer of the identity index.

An identity and the profile that it belongs to may lie on different shards. All resolutions that
have to write come here and are decided one after the other (`actors.identity.sequencer`), so they
are serializable without locks on the shards.

Batches whose identities are all attached to one profile never come here (`actors.steps.identify`).
"""

from collections.abc import Callable, Sequence

from actors.clock import Clock, Randomness
from actors.identity.decisions import AnswerT, Decision
from actors.identity.index import IndexShard
from actors.identity.keys import IdentityName, canonical
from actors.identity.registry import STRATEGIES
from actors.identity.sequencer import Sequencer
from actors.identity.state import IdentityRecord, IdentityRules, IdentityState
from actors.model import Environment, EventName, EventNames, Unresolved
from actors.store import event_names
from actors.store.environment import Store


class Coordinator:
    """Decides on identities, and admits event names."""

    def __init__(
        self,
        store: Store,
        shards: Sequence[IndexShard],
        scope: int,
        rules: IdentityRules,
        max_event_names: int,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        """Set up.

        Args:
            store: of the coordinator alone.
            shards: all of them, in order.
            scope: of the workspace; `rules`: its identity settings.
            max_event_names: distinct event names that the workspace may have.
            clock: of creation times.
            randomness: of MPIDs.

        Raises:
            StoreFull: the coordinator could not begin.
        """
        self._store = store
        self._sequencer = Sequencer(store, shards, scope, clock, randomness)
        self._rules = rules
        self._strategy = STRATEGIES[rules.strategy]
        self._max_event_names = max_event_names
        self._clock = clock
        with store.read() as txn:
            self._names = event_names.read_all(txn)

    def start(self) -> None:
        """Begin to write what an earlier process has left; needs a running event loop."""
        self._sequencer.start()

    async def resolve(self, requests: Sequence[Unresolved]) -> list[int]:
        """Return the MPID of each request, on disk with all that follows from it.

        Args:
            requests: each resolved as an `identify` call; those of the same identities in order.

        Raises:
            ShardUnavailable: a shard did not answer; what was decided may or may not be written.
            StoreFull: likewise, for want of room.
        """
        return await self._sequencer.decide_all([self._resolution(each) for each in requests])

    async def lookup(self, environment: Environment, identity_type: str, value: str) -> list[int]:
        """Return the MPIDs that hold an identity, newest link first.

        Raises: as `decide`.
        """
        name = IdentityName(identity_type, canonical(identity_type, value))

        def look(state: IdentityState, _: int) -> list[int]:
            return [holder.mpid for holder in reversed(state.holders(name))]

        return await self._sequencer.decide(
            self._reading(environment, "lookup", look, frozenset([name]))
        )

    async def record(self, environment: Environment, mpid: int) -> IdentityRecord | None:
        """Return an identity record, `None` if there is none, or none any more.

        Raises: as `decide`.
        """

        def look(state: IdentityState, _: int) -> IdentityRecord | None:
            return state.record(mpid)

        return await self._sequencer.decide(self._reading(environment, "record", look, frozenset()))

    async def erase(self, environment: Environment, mpid: int) -> bool:
        """Remove an identity record and all its lookups in one step; tell whether there was one.

        Its identities get a new MPID from then on (spec/identity.md, 7.7). Raises: as `decide`.
        """

        def erase(state: IdentityState, _: int) -> bool:
            if state.record(mpid) is None:
                return False
            state.erase(mpid)
            return True

        return await self._sequencer.decide(
            Decision(
                kind="erase",
                environment=environment,
                run=erase,
                about=lambda _: mpid,
                names=frozenset(),
                now_ms=self._clock.now_ms(),
            )
        )

    async def decide(self, decision: Decision[AnswerT]) -> AnswerT:
        """Make a decision; see `Sequencer.decide`.

        Raises:
            HotIdentity: too many wait for one of its identities; nothing was decided.
            ShardUnavailable: a shard was away for too long; it may be decided, and is then done.
            StoreFull: likewise, for want of room.
        """
        return await self._sequencer.decide(decision)

    async def admit_event_names(self, names: Sequence[EventName]) -> EventNames:
        """Admit names in order as long as there is room (spec/events-api.md, 14).

        Raises:
            StoreFull: nothing was admitted.
        """
        fresh = [name for name in dict.fromkeys(names) if name not in self._names]
        admitted = fresh[: max(self._max_event_names - len(self._names), 0)]
        if admitted:
            with self._store.write() as txn:
                event_names.write(txn, admitted)
            self._names.update(admitted)
        if len(self._names) >= self._max_event_names:
            return EventNames(sorted(self._names), is_full=True)
        return EventNames([name for name in names if name in self._names], is_full=False)

    def close(self) -> None:
        """Let go of the store; whoever waits is told so."""
        self._sequencer.close()
        self._store.close()

    def _resolution(self, asked: Unresolved) -> Decision[int]:
        names = [IdentityName(kind, canonical(kind, value)) for kind, value in asked.identities]
        now_ms = self._clock.now_ms()

        def identify(state: IdentityState, new_mpid: int) -> int:
            return self._strategy.identify(state, names, self._rules, new_mpid, now_ms)

        return Decision(
            kind="batch",
            environment=asked.environment,
            run=identify,
            about=lambda mpid: mpid,
            names=frozenset(names),
            now_ms=now_ms,
            place=names[0],
            is_limited=False,
        )

    def _reading(
        self,
        environment: Environment,
        kind: str,
        look: Callable[[IdentityState, int], AnswerT],
        names: frozenset[IdentityName],
    ) -> Decision[AnswerT]:
        return Decision(
            kind=kind,
            environment=environment,
            run=look,
            about=lambda _: 0,
            names=names,
            now_ms=self._clock.now_ms(),
        )
