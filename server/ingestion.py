"""Applies the batches of one request, wherever they belong, in order per user.

Each round sends the head of every unit (batches of the request that share an identity) to its
shard. What comes back unapplied goes elsewhere, or to the coordinator first, in the next round.
Nearly always there is one round.
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
)
from actors.store.keys import slot_of_mpid
from actors.store.slots import slots_of
from server.deployment import FinalResult
from server.microbatch import ShardQueue
from server.received import QueueFull
from server.resolving import Resolver, shards_of_names
from server.routing import Route, Router

MAX_GUESSES = 200_000  # about 40 MB
# A batch is at most moved, resolved, held up by its names, and applied.
ROUNDS_PER_BATCH = 5

Undone = Deferred | Elsewhere | Moved | Unregistered | Unresolved
FINAL = (Accepted, Duplicate, Rejected)


class _Entry:
    """One batch on its way, to a slot. `mpid`: what the coordinator said, or a guess."""

    __slots__ = ("index", "is_guess", "mpid", "raw", "route", "slot")

    def __init__(self, index: int, raw: bytes, route: Route, slot: int, mpid: int | None) -> None:
        self.index = index
        self.raw = raw
        self.route = route
        self.slot = slot
        self.mpid = mpid
        self.is_guess = mpid is not None


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
        units = _units(entries)
        results: list[FinalResult | None] = [None] * len(entries)
        left = len(entries)
        was_blocked = False
        began = self._slots.epoch
        for number in range(ROUNDS_PER_BATCH * len(entries)):
            undone: list[tuple[_Entry, Undone]] = []
            is_further = is_further or number > 0
            for entry, result in await self._round(units, context, is_further=is_further):
                if isinstance(result, FINAL):
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
            units = [rest for unit in units if (rest := _unanswered(unit, results))]
        if was_blocked:
            raise ShardUnavailable("the shards do not have the same data plans yet")
        if self._slots.epoch != began:
            raise SlotsMoved("slots move again and again")
        raise RuntimeError("a batch found no shard that would take it")

    def _entry(self, index: int, raw: bytes, context: BatchContext) -> _Entry:
        route = self._router.route(raw, context.api_key, context.input)
        guess = None if route.guess_key is None else self._guesses.get(route.guess_key)
        slot = route.slot if guess is None else slot_of_mpid(guess)
        return _Entry(index, raw, route, slot, guess)

    async def _round(
        self, units: Sequence[Sequence[_Entry]], context: BatchContext, *, is_further: bool
    ) -> list[tuple[_Entry, Result]]:
        """Send the head of every unit: as many batches as go to the same shard.

        `is_further`: it is not the request's first (`ShardQueue.submit`).

        What a shard has not taken because slots have moved is `Deferred` once it is known where to.
        """
        epoch, shard_of = self._slots.epoch, self._slots.shard_of
        sent: dict[int, tuple[list[_Entry], list[Item]]] = {}
        for unit in units:
            shard, number = shard_of(unit[0].slot), next(self._units)
            if shard not in sent:
                sent[shard] = [], []
            entries, items = sent[shard]
            for entry in unit:
                if shard_of(entry.slot) != shard:
                    break
                entries.append(entry)
                items.append(Item(entry.raw, 0, number, entry.mpid, entry.is_guess))
        if len(units) > 1:  # one user may be named in several ways (spec/events-api.md, 5.2)
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

    async def _ask_coordinator(self, undone: Iterable[tuple[_Entry, Undone]]) -> None:
        """Redirect what was not applied, with what the coordinator says of it."""
        unresolved: list[tuple[_Entry, Unresolved]] = []
        names: dict[EventName, None] = {}
        for entry, result in undone:
            match result:
                case Moved():
                    self._redirect(entry, result.mpid, is_guess=not result.is_settled)
                case Elsewhere(slot=slot):
                    entry.mpid, entry.is_guess = None, False
                    entry.slot = slot
                case Unresolved():
                    unresolved.append((entry, result))
                case Unregistered(names=unknown):
                    names.update(dict.fromkeys(unknown))
                case Deferred():
                    pass
        if unresolved:
            mpids = await self._resolver.resolve([request for _, request in unresolved])
            for (entry, _), mpid in zip(unresolved, mpids, strict=True):
                self._redirect(entry, mpid, is_guess=False)
        if names:
            told = await self._coordinator.admit_event_names(list(names))
            for queue in self._queues:
                queue.tell(told)

    def _redirect(self, entry: _Entry, mpid: int, *, is_guess: bool) -> None:
        entry.mpid = mpid
        entry.is_guess = is_guess
        entry.slot = slot_of_mpid(mpid)

    def _learn(self, entry: _Entry, key: bytes, result: FinalResult) -> None:
        if not isinstance(result, Accepted) or result.mpid is None:
            return
        shard_of = self._slots.shard_of
        if shard_of(entry.slot) == shard_of(entry.route.slot):
            self._guesses.pop(key, None)
        elif self._guesses.get(key) != result.mpid:
            if len(self._guesses) >= MAX_GUESSES:
                del self._guesses[next(iter(self._guesses))]
            self._guesses[key] = result.mpid


def _unanswered(unit: Sequence[_Entry], results: Sequence[FinalResult | None]) -> Sequence[_Entry]:
    return [entry for entry in unit if results[entry.index] is None]


def _units(entries: Sequence[_Entry]) -> list[Sequence[_Entry]]:
    """Group batches that share an identity, directly or through others, each in their order."""
    if len(entries) == 1:
        return [entries]
    parents = list(range(len(entries)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = index = parents[parents[index]]
        return index

    owners: dict[object, int] = {}
    for entry in entries:
        index = entry.index
        for key in entry.route.unit_keys:
            owner = owners.setdefault(key, index)
            if owner != index:
                parents[root(index)] = root(owner)
    units: dict[int, list[_Entry]] = {}
    for entry in entries:
        units.setdefault(root(entry.index), []).append(entry)
    return list(units.values())
