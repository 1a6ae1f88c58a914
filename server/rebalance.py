"""Which slots have to move so that all shards have as many, and what is asked and told of it."""

from collections.abc import Collection
from typing import Any

import msgspec
from msgspec import Struct

from actors.errors import Problem
from actors.store.keys import SLOTS
from actors.store.slots import SlotMap, owners_of
from server.problems import Refused

MAX_BODY_BYTES = 4096


class Move(Struct, frozen=True, forbid_unknown_fields=True):
    """Slots `first` to `last`, all of one shard, are to be on shard `to`."""

    first: int
    last: int
    to: int


class PlanRefused(Exception):
    """There is no such plan. Says why."""


_decode = msgspec.json.Decoder(Move).decode


def read_move(body: bytes, slots: SlotMap) -> Move:
    """Return what a body asks for.

    Raises:
        Refused: it is not of that form, or there are no such slots or no such shard (400); they are
            of several shards, or are there already (409).
    """
    try:
        move = _decode(body)
    except msgspec.DecodeError as error:
        raise Refused("BAD_REQUEST", str(error)) from None
    if not 0 <= move.first <= move.last < SLOTS:
        raise Refused("BAD_REQUEST", [Problem(f"first, last: 0 to {SLOTS - 1}, in this order")])
    if not 0 <= move.to < slots.shards:
        raise Refused("BAD_REQUEST", [Problem(f"to: there are shards 0 to {slots.shards - 1}")])
    owners = set(owners_of(slots)[move.first : move.last + 1])
    if len(owners) > 1 or move.to in owners:
        shards = ", ".join(map(str, sorted(owners)))
        raise Refused("CONFLICT", f"The slots are not of one other shard, but of {shards}.")
    return move


def shown(slots: SlotMap, under_way: Move | None) -> dict[str, Any]:
    """Return a map as JSON: its runs, how many slots each shard has, and what is moving."""
    counts = [0] * slots.shards
    runs = []
    for first, last, shard in _runs(slots):
        counts[shard] += last - first + 1
        runs.append({"first": first, "last": last, "shard": shard})
    moving = None if under_way is None else msgspec.to_builtins(under_way)
    return {"epoch": slots.epoch, "shards": counts, "runs": runs, "moving": moving}


def read_shown(answer: dict[str, Any]) -> SlotMap:
    """Return the map that was shown."""
    runs = tuple((each["first"], each["shard"]) for each in answer["runs"])
    return SlotMap(len(answer["shards"]), runs, answer["epoch"])


def left(slots: SlotMap, move: Move) -> list[Move]:
    """Return what of a move is still to be done, whose slots may be of several shards."""
    return [
        Move(max(first, move.first), min(last, move.last), move.to)
        for first, last, shard in _runs(slots)
        if first <= move.last and last >= move.first and shard != move.to
    ]


def evening(slots: SlotMap, empty: Collection[int]) -> list[Move]:
    """Return the moves after which all shards have as many slots, but for some that have none.

    Raises:
        PlanRefused: there is no such shard, or none is left.
    """
    if unknown := sorted(set(empty) - set(range(slots.shards))):
        raise PlanRefused(f"there is no shard {unknown[0]}: there are 0 to {slots.shards - 1}")
    filled = [number for number in range(slots.shards) if number not in empty]
    if not filled:
        raise PlanRefused("a shard has to be left that has slots")
    share, rest = divmod(SLOTS, len(filled))
    goal = dict.fromkeys(range(slots.shards), 0)
    goal |= {number: share + (place < rest) for place, number in enumerate(filled)}
    moves: list[Move] = []
    while True:
        excess = {number: -count for number, count in goal.items()}
        for first, last, shard in _runs(slots):
            excess[shard] += last - first + 1
        giver = max(excess, key=excess.__getitem__)
        taker = min(excess, key=excess.__getitem__)
        if not excess[giver]:
            return moves
        first, last, _ = next(run for run in reversed(_runs(slots)) if run[2] == giver)
        size = min(excess[giver], -excess[taker], last - first + 1)
        moves.append(Move(last - size + 1, last, taker))
        slots = slots.moved(last - size + 1, last, taker)


def _runs(slots: SlotMap) -> list[tuple[int, int, int]]:
    """Return (first, last, shard) of each run, in order."""
    ends = [*(first for first, _ in slots.runs[1:]), SLOTS]
    return [(first, end - 1, shard) for (first, shard), end in zip(slots.runs, ends, strict=True)]
