"""Applies the batches of one request, wherever they belong, in order per user.

Each round sends the head of every unit (`server/ordering.py`) to its shard. What comes back
unapplied goes elsewhere, or to the coordinator first, in the next round. Nearly always there is one
round.
"""

import asyncio
import itertools
from collections.abc import Iterable, Sequence
from typing import cast

from actors.errors import ShardUnavailable, SlotsMoved
from actors.handles import CoordinatorHandle
from actors.model.batches import BatchContext
from actors.model.micro_batches import (
    Accepted,
    Deferred,
    Duplicate,
    Elsewhere,
    EventName,
    Item,
    Moved,
    Rejected,
    Result,
    Unregistered,
    Unresolved,
    Whose,
)
from actors.store.keys import slot_of_mpid
from actors.store.slots import slots_of
from server.deployment import FinalResult
from server.microbatch import ShardQueue
from server.ordering import Entry, Order, Unit
from server.received import QueueFull
from server.resolving import Resolver, shards_of_names
from server.routing import Router

MAX_GUESSES = 200_000  # about 40 MB
# A batch is at most asked about, moved, resolved, held up by its names, and applied.
ROUNDS_PER_BATCH = 6

Undone = Deferred | Elsewhere | Moved | Unregistered | Unresolved | Whose
FINAL = (Accepted, Duplicate, Rejected)


class Ingestion:
    """The way of batches from an edge to the shards."""

    def __init__(
        self, router: Router, queues: Sequence[ShardQueue], coordinator: CoordinatorHandle
    ) -> None:
        """Args: `queues`: one per shard, in order."""
        self._router = router
        self._queues = queues
        self._slots = slots_of(queues)
        self._coordinator = coordinator
        self._resolver = Resolver(coordinator, shards_of_names(router.scope, self._slots))
        self._units = itertools.count()
        # Profiles that do not live with their first identity, so that they are found in one hop.
        self._guesses: dict[bytes, int] = {}

    def take_over(self, router: Router) -> None:
        """Go on with a router of the same identity scope."""
        self._router = router

    async def apply(
        self, batches: Sequence[bytes], context: BatchContext, *, is_further: bool = False
    ) -> list[FinalResult]:
        """See `Deployment.apply`."""
        entries = [self._entry(index, raw, context) for index, raw in enumerate(batches)]
        order = Order(entries, self._slots.shard_of, self._router.unique_ids)
        results: list[FinalResult | None] = [None] * len(entries)
        left = len(entries)
        was_blocked = False
        began = self._slots.epoch
        for number in range(ROUNDS_PER_BATCH * len(entries)):
            undone: list[tuple[Entry, Undone]] = []
            is_further = is_further or number > 0
            units, is_question = order.next_round()
            answers = await self._round(
                units, context, is_question=is_question, is_further=is_further
            )
            for entry, result in answers:
                if isinstance(result, FINAL):
                    entry.is_done = True
                    results[entry.index] = result
                    left -= 1
                    if entry.route.guess_key is not None:
                        self._learn(entry, entry.route.guess_key, result)
                else:
                    undone.append((entry, result))
                    was_blocked = was_blocked or isinstance(result, Elsewhere)
            if not left:
                return cast(list[FinalResult], results)
            if undone:
                await self._ask_coordinator(undone)
        if was_blocked:
            raise ShardUnavailable("the shards do not have the same data plans yet")
        if self._slots.epoch != began:
            raise SlotsMoved("slots move again and again")
        raise RuntimeError("a batch found no shard that would take it")

    def _entry(self, index: int, raw: bytes, context: BatchContext) -> Entry:
        route = self._router.route(raw, context.api_key, context.input)
        guess = None if route.guess_key is None else self._guesses.get(route.guess_key)
        slot = route.slot if guess is None else slot_of_mpid(guess)
        return Entry(index, raw, route, slot, guess)

    async def _round(
        self,
        units: Sequence[Unit],
        context: BatchContext,
        *,
        is_question: bool,
        is_further: bool,
    ) -> list[tuple[Entry, Result]]:
        """Send the head of every unit: as many batches as go to the same shard.

        `is_question`: only asks whose they are. `is_further`: it is not the request's first
        (`ShardQueue.submit`).

        What a shard has not taken because slots have moved is `Deferred` once it is known where to.
        """
        epoch, shard_of = self._slots.epoch, self._slots.shard_of
        sent: dict[int, tuple[list[Entry], list[Item]]] = {}
        for unit in units:
            shard, number = shard_of(unit[0].slot), next(self._units)
            if shard not in sent:
                sent[shard] = [], []
            entries, items = sent[shard]
            for entry in unit:
                if shard_of(entry.slot) != shard:
                    break
                entries.append(entry)
                items.append(Item(entry.raw, 0, number, entry.mpid, entry.is_guess, is_question))
        if len(units) > 1:  # a user may have several of what is named (spec/events-api.md, 5.2)
            for entries, items in sent.values():
                pairs = sorted(zip(entries, items, strict=True), key=lambda pair: pair[0].index)
                entries[:], items[:] = [each for each, _ in pairs], [each for _, each in pairs]
        # All or nothing: what one shard applies of a request that another refuses comes again.
        for shard, (_, items) in sent.items():
            raws = [item.raw for item in items]
            if not (is_further or self._queues[shard].has_room(context, raws)):
                raise QueueFull("the queue of the shard is full")
        if len(sent) == 1:  # nearly every request of one batch: nothing to gather
            try:
                results = await self._queues[shard].submit(context, items, is_further=is_further)
            except SlotsMoved:
                if self._slots.epoch == epoch:
                    raise
                results = [Deferred()] * len(items)
            return list(zip(entries, results, strict=True))
        futures = [
            self._queues[shard].submit(context, items, is_further=is_further)
            for shard, (_, items) in sent.items()
        ]
        answers: list[list[Result]] = []
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
        for outcome, (_, items) in zip(outcomes, sent.values(), strict=True):
            if isinstance(outcome, SlotsMoved) and self._slots.epoch != epoch:
                answers.append([Deferred()] * len(items))
                continue
            if isinstance(outcome, BaseException):
                raise outcome
            answers.append(outcome)
        return [
            pair
            for (entries, _), results in zip(sent.values(), answers, strict=True)
            for pair in zip(entries, results, strict=True)
        ]

    async def _ask_coordinator(self, undone: Iterable[tuple[Entry, Undone]]) -> None:
        """Redirect what was not applied, with what the coordinator says of it."""
        unresolved: list[tuple[Entry, Unresolved]] = []
        names: dict[EventName, None] = {}
        for entry, result in undone:
            match result:
                case Moved():
                    mpid = result.mpid
                    entry.redirect(slot_of_mpid(mpid), mpid, is_guess=not result.is_settled)
                case Elsewhere(slot=slot):
                    entry.redirect(slot, None, is_guess=False)
                case Whose(mpid=owner):
                    slot = entry.slot if owner is None else slot_of_mpid(owner)
                    entry.redirect(slot, owner, is_guess=False)
                case Unresolved():
                    unresolved.append((entry, result))
                case Unregistered(names=unknown):
                    names.update(dict.fromkeys(unknown))
                case Deferred():
                    pass
        if unresolved:
            mpids = await self._resolver.resolve([request for _, request in unresolved])
            for (entry, _), mpid in zip(unresolved, mpids, strict=True):
                entry.redirect(slot_of_mpid(mpid), mpid, is_guess=False)
        if names:
            told = await self._coordinator.admit_event_names(list(names))
            for queue in self._queues:
                queue.tell(told)

    def _learn(self, entry: Entry, key: bytes, result: FinalResult) -> None:
        if not isinstance(result, Accepted) or result.mpid is None:
            return
        shard_of = self._slots.shard_of
        if shard_of(entry.slot) == shard_of(entry.route.slot):
            self._guesses.pop(key, None)
        elif self._guesses.get(key) != result.mpid:
            if len(self._guesses) >= MAX_GUESSES:
                del self._guesses[next(iter(self._guesses))]
            self._guesses[key] = result.mpid
