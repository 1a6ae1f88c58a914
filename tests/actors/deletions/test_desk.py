"""How bulk deletions are taken, kept and fulfilled (spec/profiles.md, 10)."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
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
from actors.store import bulk_deletions
from actors.store.environment import Store
from tests.actors.outputs.harness import eventually
from tests.whole.subject_requests import numbered_id
from tests.whole.world import MAP_SIZE, T


class FakeDeleter:
    """Has sections of some users. `broken`: how many calls fail, after they have done half.

    `is_kept`: whether the half is told of before the call fails.
    """

    def __init__(self, *known: int) -> None:
        self.known = list(known)
        self.asked: list[int] = []
        self.broken = 0
        self.is_kept = False
        self.calls = 0

    async def mark(self, environment: Environment, mpids: Iterable[int]) -> list[int]:
        return [mpid for mpid in mpids if mpid in self.known]

    async def delete(
        self,
        environment: Environment,
        mpids: Sequence[int],
        keep_deleted: Callable[[Sequence[int]], None],
    ) -> None:
        self.calls += 1
        self.asked += mpids
        is_broken = self.broken > 0
        gone = mpids[:1] if is_broken else mpids
        self.known = [mpid for mpid in self.known if mpid not in gone]
        if self.is_kept or not is_broken:
            keep_deleted(gone)
        if is_broken:
            self.broken -= 1
            raise ShardUnavailable("it is gone")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(T)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path, MAP_SIZE)) as made:
        yield made


@pytest.fixture
def opened(store: Store, clock: ManualClock) -> Callable[[FakeDeleter], DeletionDesk]:
    """Return what makes a desk: a further one goes on with what the store has."""
    return lambda deleter: DeletionDesk(store, cast(SectionDeleter, deleter), clock)


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


async def test_what_is_told_to_be_gone_is_counted_at_once_and_not_asked_for_again(
    opened: Opened,
) -> None:
    deleter = FakeDeleter(1, 2)
    deleter.broken, deleter.is_kept = 1, True
    await (desk := opened(deleter)).bulk_delete(numbered_id(1), "production", [1, 2, 9])
    with pytest.raises(ShardUnavailable):
        await desk.work()
    begun = await request_of(desk, 1)
    assert (begun.mpids, begun.deleted, begun.not_found) == ((2,), 1, 1)
    again = opened(deleter)
    await again.work()
    assert deleter.asked == [1, 2, 2]
    assert (await request_of(again, 1)).deleted == 2


async def test_a_deletion_is_ended_though_nothing_is_left_to_go(opened: Opened) -> None:
    """Files of members go at its end."""
    deleter = FakeDeleter(1)
    deleter.broken, deleter.is_kept = 1, True
    await (desk := opened(deleter)).bulk_delete(numbered_id(1), "production", [1])
    with pytest.raises(ShardUnavailable):
        await desk.work()
    await desk.work()
    assert (deleter.asked, deleter.calls) == ([1], 2)
    assert (await request_of(desk, 1)).deleted == 1


async def test_a_request_that_was_begun_before_there_were_marks_gets_them(
    store: Store, opened: Opened
) -> None:
    deleter = FakeDeleter(2)  # and not 1 any more
    desk = opened(deleter)
    begun = BulkDeletion(
        id=numbered_id(1),
        environment="production",
        mpids=(1, 2),
        requested=3,
        received_ms=T,
        status="in_progress",
        not_found=1,
    )
    with store.write() as txn:
        bulk_deletions.write(txn, begun)
    await desk.work()
    done = await request_of(desk, 1)
    assert (done.is_marked, done.deleted, done.not_found) == (True, 2, 1)
    assert deleter.known == []


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
