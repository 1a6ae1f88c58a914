"""The coordinator's part in the end of identity records (spec/profiles.md, 6)."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from actors.deletions.deleting import SectionDeleter
from actors.deletions.expiry import PAUSE_S, RecordExpiry
from actors.errors import ShardUnavailable
from actors.model.workspaces import Environment
from actors.privacy.erasing import TOGETHER

User = tuple[Environment, int]


class FakeShard:
    """Hands users over, and lets all go but some that `stay`."""

    def __init__(self, *users: User) -> None:
        self.waiting = list(users)
        self.stay: set[int] = set()
        self.is_away = False
        self.asked: list[Sequence[int]] = []

    async def overdue_records(self, limit: int) -> list[User]:
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return taken

    async def expire_records(self, environment: Environment, mpids: Sequence[int]) -> list[int]:
        self.asked.append(mpids)
        if self.is_away:
            raise ShardUnavailable("it is away")
        return [mpid for mpid in mpids if mpid not in self.stay]


class FakeIdentities:
    def __init__(self, done: list[tuple[str, User]]) -> None:
        self._done = done

    async def erase(self, environment: Environment, mpid: int) -> bool:
        self._done.append(("erase", (environment, mpid)))
        return True

    async def forget_erased(self) -> None: ...


class FakeDeleter:
    """Of a workspace; `aliased`: who waits for an alias."""

    def __init__(self, name: str, done: list[tuple[str, User]]) -> None:
        self._name = name
        self._done = done
        self.aliased: set[int] = set()

    def awaits_alias(self, environment: Environment, mpid: int) -> bool:
        return mpid in self.aliased

    async def delete_expired(self, environment: Environment, mpids: Sequence[int]) -> None:
        self._done += [(self._name, (environment, mpid)) for mpid in mpids]


class Made:
    """An expiry over two workspaces and some shards; `done`: what was done, in order."""

    def __init__(self, *shards: FakeShard) -> None:
        self.done: list[tuple[str, User]] = []
        self.deleters = [FakeDeleter("w1", self.done), FakeDeleter("w2", self.done)]
        self.pauses: list[float] = []
        self.expiry = RecordExpiry(
            FakeIdentities(self.done),
            shards,
            lambda: cast(Sequence[SectionDeleter], self.deleters),
            self._pause,
        )

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if len(self.pauses) == 2:
            raise asyncio.CancelledError

    def of(self, step: str) -> list[int]:
        return sorted(mpid for name, (_, mpid) in self.done if name == step)


async def test_the_record_goes_before_what_any_workspace_has() -> None:
    made = Made(FakeShard(("production", 1), ("development", 2)))
    await made.expiry.work()
    for user in (("production", 1), ("development", 2)):
        assert [step for step, each in made.done if each == user] == ["erase", "w1", "w2"]


async def test_as_many_go_together_as_in_an_erasure() -> None:
    shard = FakeShard(*(("production", mpid) for mpid in range(2 * TOGETHER + 1)))
    made = Made(shard)
    await made.expiry.work()
    assert [len(each) for each in shard.asked] == [TOGETHER, TOGETHER, 1]
    assert made.of("erase") == list(range(2 * TOGETHER + 1))


async def test_whom_the_shard_keeps_keeps_all() -> None:
    shard = FakeShard(("production", 1), ("production", 2))
    shard.stay = {1}
    made = Made(shard)
    await made.expiry.work()
    assert [made.of(step) for step in ("erase", "w1", "w2")] == [[2], [2], [2]]


async def test_whoever_waits_for_an_alias_of_any_workspace_is_not_decided_upon() -> None:
    shard = FakeShard(("production", 1), ("production", 2))
    made = Made(shard)
    made.deleters[1].aliased = {1}
    await made.expiry.work()
    assert shard.asked == [[2]]
    assert made.of("erase") == [2]


async def test_those_of_a_shard_that_is_away_are_not_forgotten_and_no_other_waits() -> None:
    away, other = FakeShard(("production", 1)), FakeShard(("production", 2))
    away.is_away = True
    made = Made(away, other)
    with pytest.raises(asyncio.CancelledError):
        await made.expiry.run()
    assert made.pauses == [PAUSE_S, PAUSE_S]
    assert away.asked == [[1], [1]]
    assert made.of("erase") == [2]
    away.is_away = False
    await made.expiry.work()
    assert made.of("erase") == [1, 2]
