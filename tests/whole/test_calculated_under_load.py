"""Initialization while batches arrive (spec/calculated-attributes.md, 5)."""

import asyncio
from pathlib import Path
from random import Random

import pytest

from actors import audience_worker
from actors.audience_worker import AudienceWorker
from tests.whole.cases import user
from tests.whole.test_calculated import ask, bought, definition, make, value
from tests.whole.world import T, World, running

BUYERS = [f"buyer-{number}" for number in range(10)]
BYSTANDERS = 90


async def buy(world: World, customer: str, times: int) -> None:
    event = {"event_type": "custom_event", "data": bought(T)}
    await world.accept(user(customer, events=[event] * times))


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("seed", range(3))
async def test_17_events_that_arrive_while_it_runs_count_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shards: int, seed: int
) -> None:
    """Case 17: 1000 are stored, and 500 more are sent, some between any two steps of the walk."""
    monkeypatch.setattr(audience_worker, "WALK_SLICE_S", 0.0)  # one profile in each step
    randomness = Random(seed)
    async with running(tmp_path, shards=shards) as world:
        for number in range(BYSTANDERS):
            await world.accept(user(f"bystander-{number}"))
        for customer in BUYERS:
            await buy(world, customer, 100)
        number = await make(world, "Buys", definition("count"))
        await ask(world, 204, "POST", f"/{number}/activation")
        workers = [AudienceWorker(each, world.clock) for each in world.shards]
        buyers = randomness.sample(BUYERS * 10, 100)
        while_walking = 0
        for one, other in zip(buyers[::2], buyers[1::2], strict=True):
            await asyncio.gather(buy(world, one, 5), buy(world, other, 5))
            for worker in randomness.choices(workers, k=2):
                while_walking += worker.audience_step()
        assert while_walking > 30
        for worker in workers:
            while worker.audience_step():
                pass
        counts = [await value(world, each, "Buys") for each in BUYERS]
        assert counts == ["150"] * 10
        assert sum(map(int, counts)) == 1500
        calculation = await ask(world, 200, "GET", f"/{number}/calculation")
        assert calculation["is_calculated"]
