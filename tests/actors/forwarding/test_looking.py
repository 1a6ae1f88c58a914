"""What a forwarder's process looks at again and again."""

import asyncio
import logging

import pytest

from actors.errors import ShardUnavailable, StoreFull
from actors.forwarding import looking
from actors.forwarding.looking import Trouble, look_for_ever


async def test_whatever_goes_wrong_is_told_and_looked_at_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(looking, "LOOK_S", 0)
    faults: list[BaseException | None] = [
        ShardUnavailable("1"),
        StoreFull(),
        ValueError("ann"),
        asyncio.CancelledError(),  # of something that it awaited
        None,
    ]
    done = asyncio.Event()

    async def step() -> None:
        fault = faults.pop(0) if faults else None
        if fault is None:
            done.set()
            return
        raise fault

    running = asyncio.create_task(
        look_for_ever(
            step, "hook", delayed=Trouble("late", "it waits"), failed=Trouble("bad", "it failed")
        )
    )
    with caplog.at_level(logging.WARNING, "headwater"):
        await done.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    told = [(vars(each)["event"], vars(each).get("kind"), each.levelno) for each in caplog.records]
    assert told == [
        ("late", "ShardUnavailable", logging.WARNING),
        ("late", "StoreFull", logging.WARNING),
        ("bad", None, logging.ERROR),
        ("bad", None, logging.ERROR),
    ]
