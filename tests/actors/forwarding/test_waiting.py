"""What ends cancelled though nobody has cancelled it is a mistake like any other."""

import asyncio
import logging
from collections.abc import Sequence

import pytest

from actors.clock import ManualClock
from actors.forwarding.waiting import Tasks, wait_for_change
from actors.model.deliveries import Delivery
from actors.outputs.contract import Delivered, Outcome, Retry
from actors.outputs.mistakes import CallCancelled
from tests.actors.forwarding.support import (
    MemoryOutbox,
    ScriptedOutput,
    Simulation,
    delivery,
    until,
)
from tests.actors.forwarding.test_bundles import ListBundle, ListOutput


async def await_what_was_cancelled() -> None:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


class OnceCancelled(ScriptedOutput):
    """One attempt of it awaits something that was cancelled; `at`: which, counted from 1."""

    at = 1

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        outcomes = await super().send(deliveries)
        if len(self.requests) == self.at:
            await await_what_was_cancelled()
        return outcomes


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def simulation(clock: ManualClock) -> Simulation:
    return Simulation(clock)


async def test_a_request_that_ends_cancelled_is_tried_again_and_told_of(
    clock: ManualClock, simulation: Simulation, caplog: pytest.LogCaptureFixture
) -> None:
    shard = MemoryOutbox([delivery(1), delivery(2)])
    output = OnceCancelled(clock)
    simulation.start(output, [shard])
    with caplog.at_level(logging.ERROR, "headwater"):
        await simulation.run(11)
    assert output.sequences == [1, 1, 2]
    assert output.requests[1][1][0].attempts == 1
    assert shard.waiting == {}
    [told] = [each for each in caplog.records if vars(each)["event"] == "output_error"]
    places = vars(told)["error"]["stack"]
    assert any(place.endswith("in await_what_was_cancelled") for place in places)
    await simulation.stop()


async def test_a_probe_that_ends_cancelled_is_followed_by_another(
    clock: ManualClock, simulation: Simulation
) -> None:
    shard = MemoryOutbox([delivery(number, mpid=number) for number in range(1, 11)])
    output = OnceCancelled(clock, lambda each: Retry("busy", 503) if is_down else Delivered(200))
    output.at = 6
    is_down = True
    simulation.start(output, [shard], max_in_flight=5)
    await simulation.run(1)
    assert len(output.requests) == 5
    is_down = False
    await simulation.run(3600)
    assert shard.waiting == {}
    await simulation.stop()


async def test_an_upload_that_ends_cancelled_is_tried_again() -> None:
    class CancelledBundle(ListBundle):
        async def add(self, deliveries: Sequence[Delivery]) -> int:
            taken = await super().add(deliveries)
            await cancelled_once(adding)
            return taken

        async def send(self) -> Outcome:
            await cancelled_once(sending)
            return await super().send()

        async def discard(self) -> None:
            await await_what_was_cancelled()

    class CancelledOutput(ListOutput):
        def open_bundle(self, input_id: str, group: str, first: Delivery) -> ListBundle:
            return CancelledBundle(self)

    async def cancelled_once(former: list[bool]) -> None:
        if not former:
            former.append(True)
            await await_what_was_cancelled()

    adding: list[bool] = []
    sending: list[bool] = []
    simulation = Simulation(ManualClock())
    shard, output = MemoryOutbox([delivery(1), delivery(2)]), CancelledOutput()
    simulation.start(output, [shard])
    await simulation.run(60)
    await simulation.stop()
    assert (adding, sending) == ([True], [True])
    assert output.arrived == [1, 2]
    assert shard.waiting == {}
    assert shard.dead == []


async def test_work_that_ends_cancelled_by_itself_fails_the_loop() -> None:
    tasks = Tasks(wait_for_change)
    tasks.spawn(await_what_was_cancelled())
    with pytest.raises(CallCancelled):
        await tasks.pause(10)


async def test_work_that_is_cancelled_at_the_end_fails_nothing() -> None:
    tasks = Tasks(wait_for_change)
    tasks.spawn(asyncio.sleep(3600))
    await tasks.cancel()
    await tasks.pause(0)


async def test_an_attempt_that_is_cancelled_at_the_end_is_no_failure(
    clock: ManualClock, simulation: Simulation, caplog: pytest.LogCaptureFixture
) -> None:
    shard = MemoryOutbox([delivery(1)])
    output = ScriptedOutput(clock)
    output.gate = asyncio.Event()
    simulation.start(output, [shard])
    await until(lambda: output.requests)
    await simulation.kill()
    assert shard.settlements == []
    assert caplog.records == []
