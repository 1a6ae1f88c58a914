"""How bulk deletions are taken, kept and fulfilled (spec/profiles.md, 10)."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest

from actors.clock import ManualClock
from actors.deletions import desk as desk_module
from actors.deletions.deleting import SectionDeleter
from actors.deletions.desk import DeletionDesk
from actors.deletions.requests import BulkDeletion
from actors.errors import ShardUnavailable
from actors.model.workspaces import Environment
from actors.store.environment import Store
from tests.actors.outputs.harness import eventually
from tests.whole.subject_requests import numbered_id
from tests.whole.world import MAP_SIZE, T


class FakeDeleter:
    """Has sections of some users. `broken`: how many calls fail, after they have done half."""

    def __init__(self, *known: int) -> None:
        self.known = list(known)
        self.asked: list[int] = []
        self.broken = 0

    async def find(self, environment: Environment, mpids: Iterable[int]) -> list[int]:
        return [mpid for mpid in mpids if mpid in self.known]

    async def delete(self, environment: Environment, mpids: Sequence[int]) -> None:
        self.asked += mpids
        is_broken = self.broken > 0
        gone = mpids[:1] if is_broken else mpids
        self.known = [mpid for mpid in self.known if mpid not in gone]
        if is_broken:
            self.broken -= 1
            raise ShardUnavailable("it is gone")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(T)


@pytest.fixture
def opened(tmp_path: Path, clock: ManualClock) -> Iterator[Callable[[FakeDeleter], DeletionDesk]]:
    """Return what makes a desk: a further one goes on with what the store has."""
    store = Store(tmp_path, MAP_SIZE)
    yield lambda deleter: DeletionDesk(store, cast(SectionDeleter, deleter), clock)
    store.close()


Opened = Callable[[FakeDeleter], DeletionDesk]


async def request_of(desk: DeletionDesk, number: int) -> BulkDeletion:
    """Return a request that there is."""
    found = await desk.bulk_deletion(numbered_id(number))
    assert found is not None
    return found


async def test_requests_are_fulfilled_in_the_order_of_their_receipt(
    opened: Opened, clock: ManualClock
) -> None:
    deleter = FakeDeleter(1, 2, 3)
    desk = opened(deleter)
    for number, mpids in ((3, [1, 9]), (1, [2, 1]), (2, [3])):
        assert await desk.bulk_delete(numbered_id(number), "production", mpids)
        clock.advance(1)
    await desk.work()
    assert deleter.asked == [1, 2, 3]
    found = [await request_of(desk, number) for number in (3, 1, 2)]
    assert [(each.deleted, each.not_found) for each in found] == [(1, 1), (1, 1), (1, 0)]
    assert {(each.status, each.mpids, each.ended_ms) for each in found} == {
        ("completed", (), T + 3)
    }


async def test_a_request_that_is_cut_off_counts_what_was_gone_when_another_process_goes_on(
    opened: Opened,
) -> None:
    deleter = FakeDeleter(1, 2)
    deleter.broken = 1
    desk = opened(deleter)
    await desk.bulk_delete(numbered_id(1), "production", [1, 2, 9])
    with pytest.raises(ShardUnavailable):
        await desk.work()
    begun = await request_of(desk, 1)
    assert (begun.status, begun.mpids, begun.not_found) == ("in_progress", (1, 2), 1)
    assert deleter.known == [2]
    again = opened(deleter)
    await again.work()
    assert deleter.known == []
    done = await request_of(again, 1)
    assert (done.status, done.deleted, done.not_found) == ("completed", 2, 1)


async def test_a_request_that_comes_again_with_its_id_does_nothing(opened: Opened) -> None:
    deleter = FakeDeleter(1)
    desk = opened(deleter)
    for _ in range(2):
        assert await desk.bulk_delete(numbered_id(1), "production", [1])
        await desk.work()
    assert deleter.asked == [1]


async def test_so_many_requests_wait_and_no_more(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "MAX_WAITING", 2)
    desk = opened(FakeDeleter())
    taken = [await desk.bulk_delete(numbered_id(each), "production", [1]) for each in range(3)]
    assert taken == [True, True, False]
    assert await desk.bulk_deletion(numbered_id(2)) is None
    await desk.work()
    assert await desk.bulk_delete(numbered_id(2), "production", [1])


async def test_what_waits_is_done_by_itself_and_again_after_a_fault(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "RETRY_PAUSE_S", 0.01)
    deleter = FakeDeleter(1, 2, 3)
    deleter.broken = 2
    desk = opened(deleter)
    await desk.bulk_delete(numbered_id(1), "production", [1, 2])  # before it runs
    running = asyncio.create_task(desk.run())
    await eventually(lambda: deleter.known == [3])
    await desk.bulk_delete(numbered_id(2), "production", [3])  # and while it waits
    await eventually(lambda: deleter.known == [])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert [(await request_of(desk, number)).deleted for number in (1, 2)] == [2, 1]
