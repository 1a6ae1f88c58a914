"""Requests that wait a moment for room."""

import asyncio

from server.parking import MOST_PARKED, Parking


async def parked(parking: Parking, line: str, count: int) -> list[asyncio.Task[bool]]:
    """Let requests wait, one after the other."""
    tasks = [asyncio.create_task(parking.wait(line)) for _ in range(count)]
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


async def test_who_is_gone_takes_nobodys_turn() -> None:
    parking = Parking()
    tasks = await parked(parking, "a", 3)
    tasks[2].cancel()
    await asyncio.sleep(0)
    parking.wake()
    assert await done(tasks[:2]) == [None, True]
    tasks[0].cancel()
    await asyncio.sleep(0)
    tasks = await parked(parking, "a", 1)
    parking.wake()
    assert await done(tasks) == [True]
