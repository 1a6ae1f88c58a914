"""Identity calls take turns by input."""

import asyncio

import pytest

from server.received import QueueFull
from server.turns import Turns


class Calls:
    """Calls of inputs, each under way until it is told to end."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._may_end: dict[str, asyncio.Event] = {}
        self.begun: list[str] = []

    def ask(self, name: str) -> "asyncio.Task[None]":
        """Begin a call; the first letter of its name is the input."""
        self._may_end[name] = asyncio.Event()
        return asyncio.get_running_loop().create_task(self._ask(name))

    async def end(self, name: str) -> None:
        self._may_end[name].set()
        await settle()

    async def _ask(self, name: str) -> None:
        async with self._turns.of(1, ord(name[0])):
            self.begun.append(name)
            await self._may_end[name].wait()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_sends_little_is_next_however_many_of_another_wait() -> None:
    calls = Calls(Turns(most_under_way=2))
    tasks = [calls.ask(f"a{number}") for number in range(6)]
    await settle()
    assert calls.begun == ["a0", "a1"]
    tasks.append(calls.ask("b0"))
    await settle()
    await calls.end("a0")
    await calls.end("a1")
    assert set(calls.begun[2:]) == {"a2", "b0"}
    for name in ("a2", "b0", "a3", "a4", "a5"):
        await calls.end(name)
    await asyncio.gather(*tasks)
    assert calls.begun[4:] == ["a3", "a4", "a5"]


async def test_calls_that_gave_up_hold_no_room_and_were_not_served() -> None:
    """Else the line whose calls time out would fall ever further behind."""
    turns = Turns(most_under_way=1, most_waiting=3)
    calls = Calls(turns)
    tasks = [calls.ask("a0")]
    await settle()
    for lost in [calls.ask(f"a{number}") for number in range(1, 4)]:
        await settle()
        lost.cancel()
    await settle()
    assert turns.waiting == 0
    tasks += [calls.ask(name) for name in ("a4", "b0", "b1")]
    await settle()
    assert turns.waiting == 3
    for name in ("a0", "a4", "b0", "b1"):
        await calls.end(name)
    await asyncio.gather(*tasks)
    assert calls.begun == ["a0", "a4", "b0", "b1"]


async def test_workspaces_have_lines_of_their_own() -> None:
    turns, begun = Turns(most_under_way=1), []
    await turns.of(1, 1).__aenter__()

    async def ask(workspace: int) -> None:
        async with turns.of(workspace, 1):
            begun.append(workspace)

    tasks = [asyncio.ensure_future(ask(workspace)) for workspace in (1, 1, 1, 2)]
    await settle()
    turns.end()
    await asyncio.gather(*tasks)
    assert 2 in begun[:2]


async def test_an_input_has_no_more_than_its_part_of_the_room() -> None:
    turns = Turns(most_under_way=1, most_waiting=4)
    calls = Calls(turns)
    tasks = [calls.ask(f"a{number}") for number in range(5)]
    await settle()
    with pytest.raises(QueueFull):
        await turns.begin(1 << 32 | ord("a"))
    tasks.append(calls.ask("b0"))  # nothing of it waits yet
    await settle()
    with pytest.raises(QueueFull):
        await turns.begin(1 << 32 | ord("a"))
    for name in ("a0", "a1", "b0", "a2", "a3", "a4"):
        await calls.end(name)
    await asyncio.gather(*tasks)


async def test_a_turn_that_does_not_come_in_time_is_refused_and_passed_on() -> None:
    turns = Turns(most_under_way=1)
    turns.patience_s = 0.0
    await turns.begin(1)
    with pytest.raises(QueueFull, match="in time"):
        await turns.begin(2)
    turns.end()
    async with asyncio.timeout(5):  # what was given up holds nobody up
        await turns.begin(2)


async def test_a_turn_that_comes_to_who_has_gone_is_the_next_ones() -> None:
    turns = Turns(most_under_way=1)
    await turns.begin(1)
    gone = asyncio.ensure_future(turns.begin(2))
    follower = asyncio.ensure_future(turns.begin(3))
    await settle()
    turns.end()  # it is the first one's now, which is cancelled before it learns of it
    gone.cancel()
    async with asyncio.timeout(5):
        await follower
    assert gone.cancelled()
