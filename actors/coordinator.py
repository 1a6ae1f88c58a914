"""The one writer of the identity index.

An identity and the profile that it belongs to may lie on different shards. All resolutions that
have to write come here and are decided one after the other, so they are serializable without locks
on the shards. What a decision writes is first kept as an intent and then written to each shard;
writing it twice is harmless, so a crash at any point is mended by writing it again.

Batches whose identities are all attached to one profile never come here (`actors.steps.identify`).
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from actors.clock import Clock, Randomness
from actors.errors import ShardUnavailable, StaleIntent
from actors.identity.calls import IdentityCall, IdentityProblem
from actors.identity.decide import decide
from actors.identity.index import Index, IndexShard, changes_of
from actors.identity.keys import IdentityName, canonical
from actors.identity.registry import STRATEGIES
from actors.identity.state import IdentityRules, IdentityState, Missing
from actors.model import ENVIRONMENTS, Environment, EventName, EventNames, Unresolved
from actors.store import event_names, intents
from actors.store.environment import Store
from actors.store.keys import MPID_RANDOM_BITS

MAX_KNOWN = 100_000  # entries and records kept in memory, about 100 MB


class Coordinator:
    """Resolves what the shards cannot, and admits event names."""

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
        """Set up; an intent that an earlier process left is written before anything else.

        Args:
            store: of the coordinator alone.
            shards: all of them, in order.
            scope: of the workspace; `rules`: its identity settings.
            max_event_names: distinct event names that the workspace may have.
            clock: of creation times.
            randomness: of MPIDs.
        """
        self._store = store
        self._index = Index(shards, scope)
        self._scope = scope
        self._rules = rules
        self._strategy = STRATEGIES[rules.strategy]
        self._max_event_names = max_event_names
        self._clock = clock
        self._randomness = randomness
        self._lock = asyncio.Lock()
        # What was read and written lately. It is right, because nobody else writes.
        self._known = self._nothing_known()
        with store.read() as txn:
            self._intent = intents.read(txn)
            self._number = max((change.intent for change in self._intent or ()), default=0)
            self._names = event_names.read_all(txn)

    async def resolve(self, requests: Sequence[Unresolved]) -> list[int]:
        """Return the MPID of each request, on disk with all that follows from it.

        Args:
            requests: resolved in order, each as an `identify` call.

        Raises:
            ShardUnavailable: a shard did not answer; what was decided may or may not be written.
            StoreFull: likewise, for want of room.
        """
        async with self._lock:
            await self._finish()
            asked = [
                (each.environment, [_name(*identity) for identity in each.identities])
                for each in requests
            ]
            states = {
                environment: self._known[environment].fork()
                for environment in dict.fromkeys(environment for environment, _ in asked)
            }
            fresh, _ = await asyncio.gather(
                self._draw_mpids([(environment, names[0]) for environment, names in asked]),
                asyncio.gather(*(self._read(state, asked) for state in states.values())),
            )
            mpids = [
                await self._decide(states[environment], names, new_mpid)
                for (environment, names), new_mpid in zip(asked, fresh, strict=True)
            ]
            try:
                await self._write(states.values())
            except BaseException:
                self._known = self._nothing_known()  # it may be written, or only later
                raise
            self._remember(states)
            return mpids

    async def admit_event_names(self, names: Sequence[EventName]) -> EventNames:
        """Admit names in order as long as there is room (spec/events-api.md, 14).

        Raises:
            StoreFull: nothing was admitted.
        """
        async with self._lock:
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
        """Let go of the store."""
        self._store.close()

    # -- Deciding ---------------------------------------------------------------------------------

    async def _read(
        self, state: IdentityState, asked: Sequence[tuple[Environment, list[IdentityName]]]
    ) -> None:
        """Read what the requests of a state's environment are sure to need, in few calls."""
        wanted = {
            name
            for environment, names in asked
            if environment == state.environment
            for name in names
        }
        for _ in ("names", "their holders"):
            try:
                state.require(wanted)
            except Missing as missing:
                await self._index.learn(state, missing.names, missing.mpids)

    async def _decide(
        self, state: IdentityState, names: Sequence[IdentityName], new_mpid: int
    ) -> int:
        """Resolve one request on top of those before it."""
        identities = {name.type: name.value for name in names}
        now_ms = self._clock.now_ms()
        call = IdentityCall("identify", state.environment, identities, now_ms, is_batch=True)
        while True:
            try:
                answer = decide(state, call, self._rules, self._strategy, new_mpid)
            except Missing as missing:
                await self._index.learn(state, missing.names, missing.mpids)
                continue
            if isinstance(answer, IdentityProblem):
                raise ValueError(answer.message)
            return answer.mpid

    async def _draw_mpids(self, places: Sequence[tuple[Environment, IdentityName]]) -> list[int]:
        """Draw for each place an MPID that nobody has, in the slot of the place's identity."""
        drawn: dict[int, int] = {}  # MPID to its place
        wanted = list(range(len(places)))
        while wanted:
            candidates: dict[int, int] = {}
            for index in wanted:
                slot = self._index.slot_of(*places[index])
                mpid = slot << MPID_RANDOM_BITS | self._randomness.bits(MPID_RANDOM_BITS)
                if mpid and mpid not in drawn:
                    candidates[mpid] = index
            taken = await self._index.taken(candidates)
            drawn |= {mpid: index for mpid, index in candidates.items() if mpid not in taken}
            wanted = sorted(set(wanted) - set(drawn.values()))
        by_place = {index: mpid for mpid, index in drawn.items()}
        return [by_place[index] for index in range(len(places))]

    # -- Writing ----------------------------------------------------------------------------------

    async def _write(self, states: Iterable[IdentityState]) -> None:
        """Write what was decided to every shard concerned; all of it, also after a crash."""
        now_ms = self._clock.now_ms()
        number = self._number + 1
        changes = [change for state in states if (change := changes_of(state, number, now_ms))]
        if changes:
            with self._store.write() as txn:
                intents.write(txn, changes)
            self._intent, self._number = changes, number
            await self._finish()

    async def _finish(self) -> None:
        """Write the pending intent, if there is one.

        It stays in the store until the next one takes its place, which saves a commit: it is the
        last thing that was written, so that writing it once more at the next start changes nothing.
        """
        if self._intent is None:
            return
        try:
            await self._index.write(self._intent)
        except StaleIntent as error:
            # The store is an old copy. Its intent is past, and the numbers go on where they are.
            self._intent, self._number = None, error.last
            self._known = self._nothing_known()
            raise ShardUnavailable("identities were decided on an old state") from error
        self._intent = None

    def _remember(self, states: Mapping[Environment, IdentityState]) -> None:
        """Keep what was read and has been written, up to a bound."""
        for environment, state in states.items():
            self._known[environment].adopt(state)
        if sum(state.size for state in self._known.values()) > MAX_KNOWN:
            self._known = self._nothing_known()

    def _nothing_known(self) -> dict[Environment, IdentityState]:
        return {each: IdentityState(self._scope, each) for each in ENVIRONMENTS}


def _name(identity_type: str, value: str) -> IdentityName:
    return IdentityName(identity_type, canonical(identity_type, value))
