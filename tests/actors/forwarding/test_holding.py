"""How long what is not sent is held (spec/connections.md, 1.3)."""

from typing import Any

import pytest

from actors.clock import ManualClock
from actors.forwarding.holding import Held, kept_holds
from actors.forwarding.kept import Kept
from tests.actors.forwarding.support import (
    MemoryOutbox,
    ScriptedOutput,
    Simulation,
    connection,
    delivery,
)
from tests.actors.forwarding.test_faults import State

DAY_S = 24 * 3600
HOUR_S = 3600


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def shard(clock: ManualClock) -> MemoryOutbox:
    """It has what an output has been tried with for 20 days, as profiles of retries allow."""
    return MemoryOutbox([delivery(1, created_ms=clock.now_ms() - 20 * DAY_S * 1000)])


async def kept_in(state: State) -> Kept[Held]:
    holds = kept_holds("hook", state)
    await holds.load()
    return holds


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"is_active": False}, "connection_inactive", id="inactive"),
        pytest.param({"is_faulted": True}, "connection_faulted", id="faulted"),
    ],
)
async def test_what_came_long_ago_is_held_as_long_as_what_came_just_now(
    clock: ManualClock, shard: MemoryOutbox, changes: dict[str, Any], reason: str
) -> None:
    simulation = Simulation(clock)
    simulation.start(ScriptedOutput(clock), [shard], [connection(**changes)])
    await simulation.run(7 * DAY_S - HOUR_S)
    assert shard.dead == []
    await simulation.run(2 * HOUR_S)
    assert [letter.reason for letter in shard.dead] == [reason]
    await simulation.stop()


async def test_what_is_of_an_environment_is_held_from_when_that_was_switched_off(
    clock: ManualClock, shard: MemoryOutbox
) -> None:
    simulation = Simulation(clock)
    simulation.start({"development": ScriptedOutput(clock)}, [shard])
    await simulation.run(7 * DAY_S - HOUR_S)
    assert shard.dead == []
    await simulation.run(2 * HOUR_S)
    assert [letter.reason for letter in shard.dead] == ["connection_inactive"]
    await simulation.stop()


async def test_a_restart_does_not_begin_the_time_anew(
    clock: ManualClock, shard: MemoryOutbox
) -> None:
    state = State()
    for hours, dead in ((4 * 24, 0), (3 * 24 - 1, 0), (2, 1)):
        simulation = Simulation(clock)
        holds = await kept_in(state)
        inactive = [connection(is_active=False)]
        simulation.start(ScriptedOutput(clock), [shard], inactive, holds=holds)
        await simulation.run(hours * HOUR_S)
        await simulation.kill()
        await holds.flush()
        assert len(shard.dead) == dead


async def test_a_connection_that_was_active_in_between_is_held_anew(clock: ManualClock) -> None:
    """However short that was: what could not be sent then has its seven days again."""
    shard = MemoryOutbox([delivery(1, next_attempt_ms=clock.now_ms() + 30 * DAY_S * 1000)])
    state = State()
    holds = await kept_in(state)
    simulation = Simulation(clock)
    inactive = [connection(is_active=False)]
    forwarder = simulation.start(ScriptedOutput(clock), [shard], inactive, holds=holds)
    await simulation.run(6 * DAY_S)
    forwarder.connect([connection()])
    await holds.flush()
    assert state.kept == {}
    await simulation.run(60)
    forwarder.connect(inactive)
    await simulation.run(7 * DAY_S - HOUR_S)
    assert shard.dead == []
    await simulation.run(2 * HOUR_S)
    assert len(shard.dead) == 1
    await simulation.stop()


async def test_nothing_is_remembered_of_a_connection_that_is_gone(clock: ManualClock) -> None:
    state = State()
    holds = await kept_in(state)
    simulation = Simulation(clock)
    both = [connection(), connection(2)]
    forwarder = simulation.start(ScriptedOutput(clock), [MemoryOutbox()], both, holds=holds)
    forwarder.connect(both[:1])
    await holds.flush()
    assert set((await kept_in(state)).read()) == {2}
    await simulation.run(3 * HOUR_S)
    await holds.flush()
    assert state.kept == {}
    await simulation.stop()
