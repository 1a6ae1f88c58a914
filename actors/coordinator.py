"""The one writer of the identity index of a scope, as one of its workspaces calls it.

An identity and the profile that it belongs to may lie on different shards. All identity calls, and
the batches that the shards cannot resolve, come here and are decided one after the other
(`actors.identity.sequencer`), so they are serializable without locks on the shards.

Batches whose identities are all attached to one profile never come here (`actors.steps.identify`).
"""

from collections.abc import Sequence

from msgspec.structs import replace

from actors.clock import Clock
from actors.identity.calls import (
    IdentityAnswer,
    IdentityCall,
    IdentityProblem,
    ModifyAnswer,
    ModifyCall,
)
from actors.identity.decisions import (
    of_call,
    of_erasure,
    of_explanation,
    of_lookup,
    of_modify,
    of_record,
    of_undoing,
)
from actors.identity.explain import Explanation
from actors.identity.index import IndexShard
from actors.identity.registry import STRATEGIES
from actors.identity.sequencer import Sequencer
from actors.identity.state import IdentityRecord, IdentityRules
from actors.identity.undo import Effect
from actors.model.micro_batches import EventName, EventNames, Unresolved
from actors.model.workspaces import Environment
from actors.store import event_names
from actors.store.environment import Store
from actors.store.keys import slot_of_mpid
from actors.store.slots import slots_of
from actors.store.trail import TrailEntry

UNDONE_KINDS = frozenset({"identify", "login", "logout", "batch", "modify"})
NOTHING_TO_UNDO = IdentityProblem(404, "NOT_FOUND_ERROR", "There is nothing to undo.")


class Coordinator:
    """Decides on identities for one workspace, and admits its event names.

    Every call on identities raises:
        HotIdentity: too many wait for one of its identities; nothing was decided.
        ShardUnavailable: a shard was away for too long; it may be decided, and is then done.
        StoreFull: likewise, for want of room.
        StoreDamaged: its store does not work.
    """

    def __init__(
        self,
        sequencer: Sequencer,
        shards: Sequence[IndexShard],
        workspace: int,
        rules: IdentityRules,
        store: Store,
        max_event_names: int,
        clock: Clock,
    ) -> None:
        """Set up.

        Args:
            sequencer: of the workspace's identity scope; `rules`: the settings of the scope.
            shards: all of them, in order.
            workspace: its number.
            store: where the workspace's event names are kept.
            max_event_names: distinct event names that the workspace may have.
            clock: of receipt times.
        """
        self._store = store
        self._sequencer = sequencer
        self._shards = shards
        self._workspace = workspace
        self._rules = rules
        self._strategy = STRATEGIES[rules.strategy]
        self._max_event_names = max_event_names
        self._clock = clock
        with store.read() as txn:
            self._names = event_names.read_all(txn)

    def allow_event_names(self, most: int) -> None:
        """Let the workspace have so many distinct event names; admitted ones stay."""
        self._max_event_names = most

    # -- Changing ---------------------------------------------------------------------------------

    async def call(self, call: IdentityCall) -> IdentityAnswer | IdentityProblem:
        """Answer an identify, login, logout or search call (spec/identity.md, 7.4)."""
        return await self._sequencer.decide(
            of_call(replace(call, workspace=self._workspace), self._rules, self._strategy)
        )

    async def modify(self, call: ModifyCall) -> ModifyAnswer | IdentityProblem:
        """Change the identities of one MPID (spec/identity.md, 6)."""
        return await self._sequencer.decide(of_modify(call, self._rules))

    async def resolve(self, requests: Sequence[Unresolved]) -> list[int]:
        """Return the MPID of each request of a batch, on disk with all that follows from it.

        Args:
            requests: each resolved as an `identify` call; those of the same identities in order.
        """
        expired = {
            (each.environment, each.expired): None for each in requests if each.expired is not None
        }
        for environment, mpid in expired:  # or the answer would be somebody to whom nothing comes
            await self.erase(environment, mpid)
        now_ms = self._clock.now_ms()
        answers = await self._sequencer.decide_all(
            [
                of_call(
                    IdentityCall(
                        "identify", each.environment, dict(each.identities), now_ms, is_batch=True
                    ),
                    self._rules,
                    self._strategy,
                    each.newcomer,
                )
                for each in requests
            ]
        )
        return [_mpid(answer) for answer in answers]

    async def erase(self, environment: Environment, mpid: int) -> bool:
        """Remove an identity record and all its lookups in one step; tell whether there was one.

        Its identities get a new MPID from then on (spec/identity.md, 7.7).
        """
        return await self._sequencer.decide(of_erasure(environment, mpid, self._clock.now_ms()))

    async def forget_erased(self) -> None:
        """Let go of what is kept of erasures, and of decisions before, that the shards have."""
        self._sequencer.forget_settled()

    async def undo(self, environment: Environment, mpid: int) -> ModifyAnswer | IdentityProblem:
        """Take back the last thing that a call or a batch did to the lookups of a record.

        With all that the same decision did to other records. Refused with 404 if there is nothing
        to be taken back, and as `actors.identity.undo.undo` tells.
        """
        done = [
            each
            for each in await self.history(environment, mpid)
            if each.kind in UNDONE_KINDS and (each.attached or each.removed)
        ]
        if not done:
            return NOTHING_TO_UNDO
        last = done[-1]
        effects = [
            Effect(each, entry.attached, entry.removed)
            for each in last.records
            for entry in await self.history(environment, each)
            if entry.number == last.number
        ]
        if len(effects) != len(last.records):
            return NOTHING_TO_UNDO  # one of the records was erased
        now_ms = self._clock.now_ms()
        return await self._sequencer.decide(
            of_undoing(environment, mpid, effects, self._rules, now_ms)
        )

    # -- Reading ----------------------------------------------------------------------------------

    async def explain(self, call: IdentityCall) -> Explanation:
        """Tell why a call would be answered as it would be now (spec/identity.md, 12)."""
        return await self._sequencer.decide(of_explanation(call, self._rules, self._strategy))

    async def lookup(self, environment: Environment, identity_type: str, value: str) -> list[int]:
        """Return the MPIDs that hold an identity, newest link first."""
        now_ms = self._clock.now_ms()
        return await self._sequencer.decide(of_lookup(environment, identity_type, value, now_ms))

    async def record(self, environment: Environment, mpid: int) -> IdentityRecord | None:
        """Return an identity record, `None` if there is none, or none any more."""
        return await self._sequencer.decide(of_record(environment, mpid, self._clock.now_ms()))

    async def history(self, environment: Environment, mpid: int) -> list[TrailEntry]:
        """Return what decisions did to a record within the last ninety days, oldest first."""
        return await self._shards[slots_of(self._shards).shard_of(slot_of_mpid(mpid))].trail(
            environment, mpid
        )

    # -- Event names ------------------------------------------------------------------------------

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


def _mpid(answer: IdentityAnswer | IdentityProblem) -> int:
    if isinstance(answer, IdentityProblem):
        raise ValueError(answer.message)  # the shard asks only with identities of the priority
    return answer.mpid
