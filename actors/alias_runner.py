"""Accepts aliases and applies each when it is due (spec/identity.md, 10.2).

This is the coordinator's: aliases that name the same MPIDs are applied in the order of acceptance
and each is decided by those before it, whose MPIDs may lie on any shard, so one sequencer has to
know them all. The copying itself goes from the source's shard to the destination's, chunk by chunk;
the destination keeps with each chunk how far it has got. Whoever dies, the next run goes on there.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from itertools import islice, takewhile

from msgspec.structs import replace

from actors.clock import Clock
from actors.errors import ShardUnavailable, StoreDamaged, StoreFull
from actors.identity.alias_calls import AliasOrder, AliasShard
from actors.identity.aliases import Alias, DropReason, drop_reason
from actors.identity.calls import AliasRequest
from actors.metric_groups import CoordinatorMetrics
from actors.model.workspaces import ENVIRONMENTS, Environment
from actors.store import aliases
from actors.store.copies import END, Places
from actors.store.environment import Store
from actors.store.keys import slot_of_mpid
from actors.store.slots import slots_of

logger = logging.getLogger("headwater.actors")

PAUSE_S = 1.0  # between looks at what waits: a time of day is to be met, so no timer would do
RETRY_PAUSE_S = 5.0
MAX_IN_ROUND = 1_000

Member = tuple[Environment, int]


class AliasRunner:
    """The sequencer of aliases.

    Attributes:
        applying: held while one alias is applied. Erasures hold it as well, from before they forget
            the aliases of their users until nothing of these is left, so that no chunk that was
            read before is written afterwards. Looking whether the alias is still there before each
            write would not do: it may be forgotten while the write is on its way.
    """

    def __init__(
        self,
        store: Store,
        shards: Sequence[AliasShard],
        delay_ms: int,
        clock: Clock,
        metrics: CoordinatorMetrics,
    ) -> None:
        """Set up; nothing is applied before `run` or `run_due`.

        Args:
            store: of the coordinator.
            shards: all of them, in order.
            delay_ms: from acceptance until an alias is due. It is the same for all that wait, also
                when it is another one than at their acceptance, so that they are due in order.
            clock: of what is due.
            metrics: of this process.
        """
        self._store = store
        self._shards = shards
        self._delay_ms = delay_ms
        self._clock = clock
        self._metrics = metrics
        self._accepted = asyncio.Event()
        self._round = asyncio.Lock()
        self.applying = asyncio.Lock()

    async def alias(self, request: AliasRequest) -> None:
        """Keep a request whose MPIDs exist, on disk when this returns.

        One with the `request_id` of an earlier one of the same environment within 7 days is that
        one: nothing is kept of it.

        Raises:
            StoreFull: nothing was kept.
        """
        with self._store.write() as txn:
            is_new = aliases.accept(txn, request)
        if is_new:
            self._accepted.set()

    async def aliases(self, mpid: int) -> list[Alias]:
        """Return the aliases that name an MPID, in the order of acceptance."""
        with self._store.read() as txn:
            found = [each for where in ENVIRONMENTS for each in aliases.of_mpid(txn, where, mpid)]
        return sorted(found, key=lambda alias: alias.number)

    async def run(self) -> None:
        """Apply what is due, for ever.

        Raises:
            StoreDamaged: the coordinator's store does not work.
        """
        while True:
            self._accepted.clear()
            pause_s = PAUSE_S if await self.run_due() else RETRY_PAUSE_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s if self._has_pending() else None):
                    await self._accepted.wait()

    async def run_due(self) -> bool:
        """Apply or drop what is due, in the order of acceptance; return whether all went well.

        An alias that fails keeps those waiting that name one of its MPIDs, and no others.

        Raises:
            StoreDamaged: the coordinator's store does not work.
        """
        async with self._round:
            waiting: set[Member] = set()
            while due := [each for each in self._due() if not waiting.intersection(_members(each))]:
                for alias in due:
                    if waiting.intersection(_members(alias)) or not await self._try(alias):
                        waiting.update(_members(alias))
            return not waiting

    def _due(self) -> list[Alias]:
        """Return the first ones that are due; one that is not lets none after it go before it."""
        received_until_ms = self._clock.now_ms() - self._delay_ms
        with self._store.read() as txn:
            due = takewhile(
                lambda alias: alias.request.received_ms <= received_until_ms, aliases.pending(txn)
            )
            return list(islice(due, MAX_IN_ROUND))

    def _has_pending(self) -> bool:
        with self._store.read() as txn:
            return next(aliases.pending(txn), None) is not None

    # -- One alias --------------------------------------------------------------------------------

    async def _try(self, alias: Alias) -> bool:
        """Settle an alias; trouble is logged and left to the next time."""
        try:
            async with self.applying:
                await self._settle(alias)
        except (ShardUnavailable, StoreFull) as error:
            logger.warning(
                "an alias could not be applied; it is tried again",
                extra={"event": "alias_delayed", "alias": alias.number, "reason": str(error)},
            )
            return False
        except StoreDamaged:
            raise
        except Exception:
            # Whatever it is about this one, the others are not to wait for it.
            logger.exception(
                "an alias failed; it is tried again",
                extra={"event": "alias_failed", "alias": alias.number},
            )
            return False
        return True

    async def _settle(self, alias: Alias) -> None:
        if not self._is_kept(alias):  # forgotten since the round began
            return
        request = alias.request
        if not alias.begun_ms:
            reason = drop_reason(request, self._others(request))
            if reason is not None:
                self._write_settled(alias, reason)
                return
            alias = replace(alias, begun_ms=self._clock.now_ms())
            self._write(alias)
        is_known = await self._apply(AliasOrder(alias.number, alias.begun_ms, request))
        self._write_settled(alias, None if is_known else "unknown_mpid")

    async def _apply(self, order: AliasOrder) -> bool:
        """Do all that an alias does; return whether both profiles are there."""
        request = order.request
        source, destination = self._of(request.source_mpid), self._of(request.destination_mpid)
        facts = await source.alias_source(request.environment, request.source_mpid)
        receipt = await destination.alias_receipt(order)
        if facts is None or receipt is None:
            return False
        if not receipt.is_finished:
            await self._copy(order, source, destination, receipt.places)
            await destination.finish_alias(order, facts)
        await source.note_alias(order)
        return True

    async def _copy(
        self,
        order: AliasOrder,
        source: AliasShard,
        destination: AliasShard,
        places: Places | None,
    ) -> None:
        written = places
        while places != END:
            chunk = await source.read_copies(order, places)
            places = chunk.next
            if chunk.copies:
                await destination.write_copies(order, written, chunk)
                written = places

    def _of(self, mpid: int) -> AliasShard:
        return self._shards[slots_of(self._shards).shard_of(slot_of_mpid(mpid))]

    # -- The store --------------------------------------------------------------------------------

    def _others(self, request: AliasRequest) -> list[Alias]:
        with self._store.read() as txn:
            return [
                each
                for mpid in (request.source_mpid, request.destination_mpid)
                for each in aliases.of_mpid(txn, request.environment, mpid)
            ]

    def _is_kept(self, alias: Alias) -> bool:
        with self._store.read() as txn:
            return aliases.is_kept(txn, alias.number)

    def _write(self, alias: Alias) -> None:
        with self._store.write() as txn:
            aliases.write(txn, alias)

    def _write_settled(self, alias: Alias, reason: DropReason | None) -> None:
        state = "applied" if reason is None else "dropped"
        self._write(replace(alias, state=state, reason=reason, settled_ms=self._clock.now_ms()))
        self._metrics.aliases.labels(state).inc()


def _members(alias: Alias) -> set[Member]:
    request = alias.request
    return {(request.environment, mpid) for mpid in (request.source_mpid, request.destination_mpid)}
