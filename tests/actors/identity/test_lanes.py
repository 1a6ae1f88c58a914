"""The ways from the coordinator to a shard."""

import asyncio
from collections.abc import Sequence

import pytest

from actors.errors import ShardUnavailable, StaleTerm
from actors.identity.clusters import Pending
from actors.identity.draft import Key
from actors.identity.findings import Findings, Moment, Question
from actors.identity.index import IndexShard
from actors.identity.keys import IdentityName
from actors.identity.lanes import ReadLane
from actors.model.micro_batches import Newcomer
from actors.model.workspaces import Environment
from actors.store.identities import IdentityChange, Term
from actors.store.trail import TrailEntry

KEY: Key = ("production", IdentityName("email", "a"))


class Shard(IndexShard):
    """Does not answer the first time. `asked`: what for, each time."""

    def __init__(self) -> None:
        self.asked: list[list[IdentityName]] = []

    async def read_identities(
        self, term: Term, questions: Sequence[Question], candidates: Sequence[int]
    ) -> Findings:
        self.asked.append([name for each in questions for name in each.names])
        if len(self.asked) == 1:
            raise ShardUnavailable("away")
        return Findings([], [])

    async def write_identities(
        self, term: Term, write: int, changes: Sequence[IdentityChange]
    ) -> None:
        raise AssertionError("nothing is written")

    async def trail(self, environment: Environment, mpid: int) -> list[TrailEntry]:
        raise AssertionError("nobody asks for it")


class Coordinator:
    """Who asks; `learned`: what was answered."""

    term = Term(1, 1, 0)
    moment = Moment(0, 0)

    def __init__(self) -> None:
        self.learned_of: list[Question] = []

    def is_wanted(self, key: Key) -> bool:
        return True

    def refused(self, error: StaleTerm) -> None:
        raise AssertionError("no shard has heard of another term")

    def is_current(self, shard: int, newcomer: Newcomer) -> bool:
        return False

    def learned(
        self,
        questions: list[Question],
        candidates: list[Pending],
        findings: Findings,
        asked: Moment,
    ) -> None:
        self.learned_of += questions


async def test_what_was_given_up_during_a_pause_can_be_asked_for_again_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pause = asyncio.Event()

    async def paused(_: float) -> None:
        await pause.wait()

    shard, coordinator = Shard(), Coordinator()
    lane = ReadLane(coordinator, coordinator, shard, 0)
    lane.ask(KEY)
    sleep = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", paused)
    while not shard.asked:
        await sleep(0)
    await sleep(0)
    assert lane.is_asked(KEY)
    lane.drop(KEY)
    assert not lane.is_asked(KEY)
    lane.ask(KEY)
    pause.set()
    while not coordinator.learned_of:
        await sleep(0)
    assert shard.asked == [[KEY[1]], [KEY[1]]]
