"""Deletions over several shards, as far as whole tests do not show it (spec/profiles.md, 10)."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import pytest

from actors.deletions.deleting import SectionDeleter
from actors.errors import ShardUnavailable
from actors.model.workspaces import Environment
from actors.store.environment import Store
from actors.store.keys import MPID_RANDOM_BITS
from tests.whole.world import MAP_SIZE

FIRST, SECOND = 5, (1 << 15 << MPID_RANDOM_BITS) + 5  # MPIDs of two shards


class FakeShard:
    """Deletes nobody before `released`. `is_away`: it cannot be reached."""

    def __init__(self, *, is_away: bool = False) -> None:
        self.is_away = is_away
        self.released = asyncio.Event()
        self.deleted: list[int] = []

    async def mark_sections(self, environment: Environment, mpids: Sequence[int]) -> list[int]:
        return list(mpids)

    async def release_records(self, environment: Environment, mpids: Sequence[int]) -> list[int]:
        return list(mpids)

    async def delete_sections(
        self, environment: Environment, mpids: Sequence[int], recordless: Collection[int]
    ) -> list[int]:
        assert set(recordless) == set(mpids)
        if self.is_away:
            raise ShardUnavailable("it is away")
        await self.released.wait()
        self.deleted += mpids
        return []


class FakeIdentities:
    """Erases whatever it is asked to."""

    async def erase(self, environment: Environment, mpid: int) -> bool:
        return True

    async def forget_erased(self) -> None: ...


Made = Callable[[FakeShard, FakeShard], SectionDeleter]


@pytest.fixture
def applying() -> asyncio.Lock:
    return asyncio.Lock()


@pytest.fixture
def made(tmp_path: Path, applying: asyncio.Lock) -> Iterator[Made]:
    """Return what makes a deleter of two shards."""
    store = Store(tmp_path, MAP_SIZE)
    yield lambda *shards: SectionDeleter(store, FakeIdentities(), applying, shards, lambda: 0)
    store.close()


async def test_users_are_looked_for_on_their_shards(made: Made) -> None:
    found = await made(FakeShard(), FakeShard()).mark("production", [SECOND, FIRST])
    assert sorted(found) == [FIRST, SECOND]


async def test_no_alias_is_applied_before_all_shards_have_ended_though_one_is_away(
    made: Made, applying: asyncio.Lock
) -> None:
    away, slow = FakeShard(is_away=True), FakeShard()
    kept: list[int] = []
    deleting = asyncio.create_task(
        made(away, slow).delete("production", [FIRST, SECOND], kept.extend)
    )
    for _ in range(20):
        await asyncio.sleep(0)
    assert applying.locked()
    slow.released.set()
    with pytest.raises(ShardUnavailable):
        await deleting
    assert slow.deleted == kept == [SECOND]
    assert not applying.locked()
