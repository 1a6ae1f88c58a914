"""The shards are kept at what they have to do (`actors.audiences.stepping`)."""

import asyncio

import pytest

from actors.audiences.stepping import IDLE_PAUSE_S, SLICE_PAUSE_S, AudienceSteps, Left
from actors.errors import ShardUnavailable


class FakeShard:
    """Has so many steps to do; the second call finds it being started again."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.calls = 0

    async def audience_step(self) -> Left:
        self.calls += 1
        if self.calls == 2:
            raise ShardUnavailable("it is being started again")
        self.steps = max(self.steps - 1, 0)
        return Left.MORE if self.steps else Left.NOTHING


class Stopped(Exception):
    """The test has seen enough."""


async def test_a_shard_is_asked_again_soon_while_there_is_more_and_whatever_happens() -> None:
    shard, pauses = FakeShard(3), list[float]()

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 5:
            raise Stopped
        await asyncio.sleep(0)

    with pytest.raises(ExceptionGroup) as raised:
        await AudienceSteps([shard], pause).run()
    assert raised.group_contains(Stopped)
    assert pauses == [SLICE_PAUSE_S, IDLE_PAUSE_S, SLICE_PAUSE_S, IDLE_PAUSE_S, IDLE_PAUSE_S]


async def test_a_shard_to_which_no_batch_comes_is_asked_again_at_once() -> None:
    shard, pauses = FakeShard(0), list[float]()
    left = iter((Left.MORE_AT_REST, Left.MORE, Left.NOTHING))

    async def step() -> Left:
        return next(left)

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise Stopped

    shard.audience_step = step  # type: ignore[method-assign]
    with pytest.raises(ExceptionGroup):
        await AudienceSteps([shard], pause).run()
    assert pauses == [0.0, SLICE_PAUSE_S, IDLE_PAUSE_S]


async def test_a_shard_that_does_not_answer_holds_up_no_other() -> None:
    first, second = FakeShard(0), FakeShard(0)
    first.audience_step = asyncio.Event().wait  # type: ignore[method-assign, assignment]

    async def pause(seconds: float) -> None:
        if second.calls == 3:
            raise Stopped
        await asyncio.sleep(0)

    with pytest.raises(ExceptionGroup):
        await AudienceSteps([first, second], pause).run()
