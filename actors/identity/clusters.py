"""Decisions that wait, and those that were made and are written together."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from actors.identity.calls import IdentityAnswer
from actors.identity.decisions import Decision
from actors.identity.draft import Key
from actors.identity.index import Index
from actors.model.workspaces import Environment
from actors.store.identities import IdentityChange
from actors.store.trail import TrailEntry

_TRAIL_STEP = 1 << 20  # more decisions than go into one cluster


class Caller:
    """Somebody who waits for the answers of some decisions, or for the first error of one."""

    def __init__(self, decisions: int) -> None:
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._left = decisions
        if not decisions:
            self.future.set_result(None)

    def answered(self) -> None:
        """Take in that one more decision is answered."""
        self._left -= 1
        if not self._left and not self.future.done():
            self.future.set_result(None)

    def failed(self, error: Exception) -> None:
        """Take in that a decision is given up."""
        if not self.future.done():
            self.future.set_exception(error)


@dataclass(eq=False, slots=True)
class Pending:
    """A decision that somebody waits for.

    Attributes:
        caller: who waits; `is_done` when there is nothing more to tell about this one.
        answer: once it is done without an error.
        decision: what is to be decided; `arrival`: the how many-th.
        keys: of the entries that it is sure to look at.
        absent: MPIDs that were nobody's when a shard was asked since it began, each with how often
            what is known had been dropped then.
        candidate: an MPID for a new record, 0 if none is drawn; `is_free` once that is certain.
        waits: how many answers and decisions before it have to come first.
        reads: entries and records that it has asked for.
        awaited: shards for which it counts as waiting.
        followers: decisions that have to come after it.
        blocked_by: the cluster that has to be written first; `member_of`: that it is part of.
        queued: identities for which it counts as waiting.
        timer: ends its wait for others.
    """

    caller: Caller
    decision: Decision[Any]
    arrival: int
    is_done: bool = False
    answer: Any = None
    candidate: int = 0
    is_free: bool = False
    is_decided: bool = False
    keys: list[Key] = field(init=False)
    waits: int = 0
    reads: list[Key] = field(default_factory=list)
    awaited: set[int] = field(default_factory=set)
    followers: list["Pending"] = field(default_factory=list)
    blocked_by: "Cluster | None" = None
    member_of: "Cluster | None" = None
    queued: list[Key] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None
    absent: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        environment = self.decision.environment
        self.keys = [(environment, name) for name in self.decision.names]

    def succeed(self, answer: Any) -> None:
        """Answer, unless it is done."""
        if not self.is_done:
            self.is_done = True
            self.answer = answer
            self.caller.answered()

    def leave(self) -> None:
        """Let the clusters that it waits for keep nothing of it."""
        if self.blocked_by is not None:
            self.blocked_by.waiting.pop(self, None)
        if self.member_of is not None:
            self.member_of.members.pop(self, None)

    def fail(self, error: Exception) -> None:
        """Answer with an error, unless it is done."""
        if not self.is_done:
            self.is_done = True
            self.caller.failed(error)


@dataclass(eq=False, slots=True)
class Cluster:
    """Decisions of one environment that build upon each other; with the commit, an intent.

    Attributes:
        keys: what is written; `shards`: where.
        members: whom to answer, and with what.
        retries: answers to be remembered, by retry key.
        trail: of each decision, in order, what it did to each record.
        waiting: decisions that have to wait until it is written.
        missing: shards that do not have it yet.
        losing: those of them that have to write first what it takes from records.
        rest: what is written after that.
        is_replayed: it was found at the start.
    """

    environment: Environment
    is_replayed: bool = False
    keys: dict[Key, None] = field(default_factory=dict)
    shards: set[int] = field(default_factory=set)
    members: dict[Pending, Any] = field(default_factory=dict)
    retries: dict[bytes, IdentityAnswer] = field(default_factory=dict)
    trail: list[dict[int, TrailEntry]] = field(default_factory=list)
    waiting: dict[Pending, None] = field(default_factory=dict)
    missing: set[int] = field(default_factory=set)
    losing: set[int] = field(default_factory=set)
    rest: dict[int, IdentityChange] = field(default_factory=dict)

    def add_keys(self, keys: Iterable[Key], index: Index) -> None:
        """Write these, too."""
        for key in keys:
            if key not in self.keys:
                self.keys[key] = None
                self.shards.add(index.shard_of(key))

    def add_member(self, pending: Pending, answer: Any) -> None:
        """Give an answer when it is written."""
        self.members[pending] = answer
        pending.member_of = self

    def absorb(self, other: "Cluster") -> None:
        """Take over another cluster, which has touched nothing of this one's."""
        self.keys.update(other.keys)
        self.shards |= other.shards
        for pending, answer in other.members.items():
            self.add_member(pending, answer)
        self.retries.update(other.retries)
        self.trail += other.trail

    def numbered_trail(self, intent: int) -> dict[int, list[TrailEntry]]:
        """Return the trail with the numbers that are kept."""
        numbered: dict[int, list[TrailEntry]] = {}
        for number, entries in enumerate(self.trail, intent * _TRAIL_STEP):
            for mpid, entry in entries.items():
                numbered.setdefault(mpid, []).append(replace(entry, number=number))
        return numbered
