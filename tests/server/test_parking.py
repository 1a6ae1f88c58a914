"""Requests that wait a moment for room."""

import asyncio
from collections.abc import Callable

import pytest

from server.parking import MOST_PARKED, Parking


def always() -> bool:
    """Tell of a request that there is room for it."""
    return True


async def parked(
    parking: Parking, line: str, count: int, has_room: Callable[[], bool] = always
) -> list[asyncio.Task[bool]]:
    """Let requests wait, one after the other."""
    tasks = [asyncio.create_task(parking.wait(line, has_room)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def done(tasks: list[asyncio.Task[bool]]) -> list[bool | None]:
    """Return what became of each, `None` if it still waits."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return [each.result() if each.done() else None for each in tasks]


async def test_the_newest_goes_first() -> None:
    parking = Parking()
    tasks = await parked(parking, "a", 3)
    parking.wake()
    assert await done(tasks) == [None, None, True]
    parking.wake()
    assert await done(tasks) == [None, True, True]
    parking.wake()
    parking.wake()
    assert await done(tasks) == [True, True, True]


async def test_one_that_is_too_large_keeps_nobody_from_going() -> None:
    parking = Parking()
    small = await parked(parking, "a", 2)
    large = await parked(parking, "a", 1, lambda: False)
    parking.wake()
    assert await done([*small, *large]) == [None, True, None]


async def test_who_is_told_and_gives_up_in_the_same_moment_leaves_it_to_the_next() -> None:
    parking = Parking()
    tasks = await parked(parking, "a", 2)
    parking.wake()
    tasks[1].cancel()
    assert await done(tasks[:1]) == [True]
    assert tasks[1].cancelled()


async def test_one_of_each_line_goes() -> None:
    parking = Parking()
    tasks = await parked(parking, "a", 2) + await parked(parking, "b", 2)
    parking.wake()
    assert await done(tasks) == [None, True, None, True]


async def test_who_has_waited_longest_gives_way_to_one_too_many() -> None:
    parking = Parking()
    tasks = await parked(parking, "a", MOST_PARKED)
    assert await done(tasks) == [None] * MOST_PARKED
    tasks += await parked(parking, "b", 1)
    assert False not in await done(tasks)
    tasks += await parked(parking, "a", 2)
    assert await done(tasks) == [False] * 2 + [None] * (MOST_PARKED + 1)


@pytest.mark.parametrize("is_noticed", [True, False])
async def test_who_is_gone_takes_nobodys_turn(*, is_noticed: bool) -> None:
    """Also in the moment in which its request has not noticed yet."""
    parking = Parking()
    tasks = await parked(parking, "a", MOST_PARKED)
    for gone in (tasks[0], tasks[-1]):
        gone.cancel()
    if is_noticed:
        await asyncio.sleep(0)
    parking.wake()
    left = tasks[1:-1]
    assert await done(left) == [None] * (MOST_PARKED - 3) + [True]
    tasks = await parked(parking, "a", 1)
    parking.wake()
    assert await done(tasks) == [True]


async def test_a_new_one_may_take_the_place_of_one_that_is_gone() -> None:
    parking = Parking()
    tasks = await parked(parking, "a", MOST_PARKED)
    tasks[0].cancel()
    new = asyncio.create_task(parking.wait("a", always))
    assert await done([*tasks[1:], new]) == [None] * MOST_PARKED
