"""A deployment in one process, with one shard and with three."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.clock import ManualClock
from tests.whole.world import T, World, running


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(T)


@pytest.fixture(params=[1, 3], ids=["1 shard", "3 shards"])
async def world(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[World]:
    async with running(tmp_path, shards=request.param, clock=clock) as world:
        yield world
