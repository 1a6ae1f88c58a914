"""What every output module has to do; a new one is tested by its harness."""

import asyncio
import inspect
import logging
import pickle
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from actors.clock import ManualClock
from actors.model.deliveries import Delivery
from actors.outputs.contract import BulkOutput, Delivered, Fatal, Outcome, Retry, StreamOutput
from actors.outputs.egress import EgressRules
from actors.outputs.environment import OutputEnvironment
from actors.outputs.module import OutputModule, OutputSettings
from actors.outputs.probe import probe
from actors.outputs.registry import MODULES, open_outputs
from actors.outputs.retry import PROFILES
from config.module_settings import output_problems
from config.outputs import Output, merged
from tests.actors.forwarding.support import MemoryOutbox, Simulation
from tests.actors.outputs.harness import Fault, Harness, eventually
from tests.actors.outputs.harnesses import HARNESSES

LOCAL = ("127.0.0.1", "localhost")


def those_with(*faults: Fault) -> pytest.MarkDecorator:
    """Run a test for each module and each of the faults that its receiver can have."""
    cases = [
        pytest.param(name, fault, id=f"{name}-{fault}")
        for name, harness in HARNESSES.items()
        for fault in faults
        if fault in harness.faults
    ]
    return pytest.mark.parametrize(("name", "fault"), cases)


every_module = pytest.mark.parametrize("name", HARNESSES)


@pytest.fixture
async def harness(name: str, tmp_path: Path) -> AsyncIterator[Harness]:
    folder = tmp_path / "receiver"
    folder.mkdir()
    harness = HARNESSES[name](folder)
    await harness.start()
    yield harness
    await harness.stop()


@pytest.fixture
def module(name: str) -> OutputModule:
    return MODULES[HARNESSES[name].module]


def surroundings(tmp_path: Path, allow: Sequence[str] = LOCAL) -> OutputEnvironment:
    return OutputEnvironment(
        "hook",
        ManualClock(),
        EgressRules(allow),
        tmp_path / "spool",
        python_dir=tmp_path / "receiver",
    )


def settings_of(harness: Harness, over: Any = None) -> OutputSettings:
    return MODULES[harness.module].settings_model.model_validate(
        merged(harness.settings(), over or {})
    )


def opened(
    harness: Harness, tmp_path: Path, over: Any = None, allow: Sequence[str] = LOCAL
) -> StreamOutput | BulkOutput:
    settings = settings_of(harness, over)
    return MODULES[harness.module].open(settings, surroundings(tmp_path, allow))


async def attempt(
    output: StreamOutput | BulkOutput, deliveries: Sequence[Delivery]
) -> list[Outcome]:
    """Send once, in one upload or as many requests as the limits ask for."""
    if isinstance(output, BulkOutput):
        first = deliveries[0]
        bundle = output.open_bundle("web", output.group(first), first)
        try:
            assert await bundle.add(deliveries) == len(deliveries)
            outcome = await bundle.send()
        except OSError as error:  # no room, as the forwarder sees it
            outcome = Retry(type(error).__name__)
        if not isinstance(outcome, Delivered):
            await bundle.discard()
        return [outcome] * len(deliveries)
    most = output.limits.max_deliveries
    outcomes: list[Outcome] = []
    for index in range(0, len(deliveries), most):
        outcomes += await output.send(deliveries[index : index + most])
    return outcomes


async def numbers(harness: Harness) -> list[int]:
    return [each.number for each in await harness.received()]


def kept(harness: Harness, *expected: int) -> list[int]:
    return [] if harness.keeps_nothing else list(expected)


def test_every_module_has_a_harness() -> None:
    assert {harness.module for harness in HARNESSES.values()} == MODULES.keys()


@every_module
def test_it_is_registered_under_its_name(module: OutputModule) -> None:
    assert MODULES[module.module] is module
    assert module.kinds
    assert module.kinds <= {"event", "audience", "cookie_sync", "data_warehouse", "dsr"}
    assert module.retry_profile in PROFILES
    assert inspect.getdoc(module.settings_model)


@every_module
async def test_its_settings_are_typed_closed_and_frozen(
    module: OutputModule, harness: Harness
) -> None:
    model = module.settings_model
    assert model.model_config["strict"]
    assert model.model_config["frozen"]
    with pytest.raises(ValidationError, match="Extra inputs"):
        model.model_validate({**harness.settings(), "no_such_setting": 1})


@every_module
async def test_a_wrong_setting_is_named_by_its_path(module: OutputModule, harness: Harness) -> None:
    for changes, path in (*harness.wrong, ({"no_such_setting": 1}, "settings.no_such_setting")):
        output = Output(
            id="out",
            kind=min(module.kinds),  # type: ignore[arg-type]
            module=module.module,
            name="Out",
            settings=merged(harness.settings(), changes),
        )
        problems = output_problems(output, ("outputs", 0), MODULES)
        found = {".".join(map(str, location[2:])) for location, _ in problems}
        assert found == {path}


@every_module
async def test_it_delivers_and_settles_everything(harness: Harness, tmp_path: Path) -> None:
    shard = MemoryOutbox([harness.delivery(n, n % 3 + 1) for n in range(1, 21)])
    simulation = Simulation(ManualClock())
    simulation.start(opened(harness, tmp_path), [shard])
    await simulation.run(harness.seconds)
    await simulation.stop()
    assert shard.waiting == {}
    assert shard.dead == []
    assert sorted(await numbers(harness)) == kept(harness, *range(1, 21))


@every_module
async def test_it_answers_for_each_delivery_it_is_given(harness: Harness, tmp_path: Path) -> None:
    output = opened(harness, tmp_path)
    await output.start()
    outcomes = await attempt(output, [harness.delivery(n, n) for n in (1, 2, 3)])
    assert [type(each) for each in outcomes] == [Delivered] * 3
    await output.stop()


@those_with("retryable", "gone")
async def test_what_fails_for_now_is_tried_again(
    harness: Harness, tmp_path: Path, fault: Fault
) -> None:
    output = opened(harness, tmp_path)
    await output.start()
    await harness.set_fault(fault)
    one = harness.delivery(1, 1)
    [outcome] = await attempt(output, [one])
    assert isinstance(outcome, Retry)
    assert outcome.excerpt
    await harness.set_fault(None)
    assert [type(each) for each in await attempt(output, [one])] == [Delivered]
    assert [each.number for each in await harness.received()] == [1]
    await output.stop()


@those_with("fatal")
async def test_what_can_never_work_is_final(harness: Harness, tmp_path: Path, fault: Fault) -> None:
    output = opened(harness, tmp_path)
    await output.start()
    await harness.set_fault(fault)
    [outcome] = await attempt(output, [harness.delivery(1, 1)])
    assert isinstance(outcome, Fatal)
    assert outcome.excerpt
    assert await harness.received() == []
    await output.stop()


@those_with("slow")
async def test_a_receiver_that_does_not_answer_is_not_waited_for(
    harness: Harness, tmp_path: Path, fault: Fault
) -> None:
    output = opened(harness, tmp_path, harness.impatient())
    await output.start()
    await harness.set_fault(fault)
    [outcome] = await attempt(output, [harness.delivery(1, 1)])
    assert isinstance(outcome, Retry)
    await output.stop()


@those_with("slow")
async def test_it_can_be_closed_while_something_is_under_way(
    harness: Harness, tmp_path: Path, fault: Fault
) -> None:
    output = opened(harness, tmp_path)
    await output.start()
    await harness.set_fault(fault)
    under_way = asyncio.create_task(attempt(output, [harness.delivery(1, 1)]))
    await eventually(harness.is_asked)
    under_way.cancel()
    await asyncio.gather(under_way, return_exceptions=True)
    async with asyncio.timeout(10):
        await output.stop()


@every_module
async def test_it_can_be_stopped_twice_and_started_again(harness: Harness, tmp_path: Path) -> None:
    output = opened(harness, tmp_path)
    await output.stop()
    for number in (1, 2):
        await output.start()
        outcomes = await attempt(output, [harness.delivery(number, 1)])
        assert [type(each) for each in outcomes] == [Delivered]
        await output.stop()
        await output.stop()
    assert await numbers(harness) == kept(harness, 1, 2)


@those_with("retryable", "gone")
async def test_a_users_order_outlasts_a_fault(
    harness: Harness, tmp_path: Path, fault: Fault
) -> None:
    shard = MemoryOutbox([harness.delivery(n, n % 3 + 1) for n in range(1, 16)])
    await harness.set_fault(fault)
    simulation = Simulation(ManualClock())
    forwarder = simulation.start(opened(harness, tmp_path), [shard], max_in_flight=4)
    await simulation.run(harness.seconds)
    assert len(shard.waiting) == 15
    shard.add(*(harness.delivery(n, n % 3 + 1) for n in range(16, 31)))
    forwarder.wake(0)
    await harness.set_fault(None)
    await simulation.run(120)
    await simulation.stop()
    assert shard.waiting == {}
    assert shard.dead == []
    received = await harness.received()
    for mpid in (1, 2, 3):
        numbers = [each.number for each in received if each.mpid == mpid]
        assert numbers == [n for n in range(1, 31) if n % 3 + 1 == mpid]


@pytest.mark.parametrize(
    "name", [name for name, harness in HARNESSES.items() if not harness.keeps_nothing]
)
async def test_what_is_sent_again_after_a_crash_has_the_same_id(
    harness: Harness, tmp_path: Path
) -> None:
    shard = MemoryOutbox([harness.delivery(1, 1)])
    for loses_settlements in (True, False):
        shard.loses_settlements = loses_settlements
        simulation = Simulation(ManualClock())
        simulation.start(opened(harness, tmp_path), [shard])
        await simulation.run(harness.seconds)
        await simulation.kill()
    assert shard.waiting == {}
    received = await harness.received()
    assert [each.number for each in received] == [1] * (2 if harness.keeps_repeats else 1)
    assert len({each.stable_id for each in received}) == 1


@every_module
async def test_its_secrets_show_nowhere(
    harness: Harness, module: OutputModule, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    caplog.set_level(logging.DEBUG, "headwater")  # the others stay at warning (server/logs.py)
    settings = settings_of(harness, harness.secrets)
    output = module.open(settings, surroundings(tmp_path))
    shown = [repr(settings), str(settings), repr(output)]
    await output.start()
    faults: list[Fault | None] = [None, *sorted(harness.faults - {"slow"})]
    for fault in faults:
        await harness.set_fault(fault)
        shown += map(repr, await attempt(output, [harness.delivery(1, 1)]))
        shown.append(repr(await output.test()))
    await output.stop()
    for name in module.settings_model.model_fields:
        with pytest.raises(ValidationError) as caught:
            settings_of(harness, {**harness.secrets, name: object()})
        shown.append(str(caught.value))
    assert "hidden" not in "".join(shown) + caplog.text


@pytest.mark.parametrize(
    "name", [name for name, harness in HARNESSES.items() if harness.reaches_network]
)
async def test_a_target_that_is_not_opened_is_refused_for_good(
    harness: Harness, tmp_path: Path
) -> None:
    output = opened(harness, tmp_path, allow=["10.0.0.0/8"])
    await output.start()
    [outcome] = await attempt(output, [harness.delivery(1, 1)])
    assert isinstance(outcome, Fatal)
    assert outcome.reason == "egress_refused"
    assert isinstance(await output.test(), Fatal)
    await output.stop()
    assert await harness.received() == []


@every_module
async def test_a_probe_says_that_the_settings_work(
    harness: Harness, module: OutputModule, tmp_path: Path
) -> None:
    result = await probe(module, settings_of(harness), surroundings(tmp_path))
    assert (result.ok, result.error) == (True, None)
    assert await harness.received() == []  # it can be told from data


@those_with("retryable", "fatal", "gone")
async def test_a_probe_says_what_is_wrong(
    harness: Harness, module: OutputModule, tmp_path: Path, fault: Fault
) -> None:
    await harness.set_fault(fault)
    result = await probe(module, settings_of(harness), surroundings(tmp_path))
    assert not result.ok
    assert result.error


@every_module
async def test_its_settings_survive_the_way_to_an_actor(harness: Harness) -> None:
    settings = settings_of(harness, harness.secrets)
    assert pickle.loads(pickle.dumps(settings)) == settings


@every_module
async def test_environments_share_an_output_only_where_their_settings_are_equal(
    harness: Harness, module: OutputModule, tmp_path: Path
) -> None:
    settings = settings_of(harness)
    same = open_outputs(
        module.module, {"production": settings, "development": settings}, surroundings(tmp_path)
    )
    assert same["production"] is same["development"]
    other = settings_of(harness, harness.secrets)
    apart = open_outputs(
        module.module, {"production": settings, "development": other}, surroundings(tmp_path)
    )
    assert (apart["production"] is apart["development"]) == (settings == other)


@every_module
async def test_it_is_of_one_kind(harness: Harness, tmp_path: Path) -> None:
    output = opened(harness, tmp_path)
    assert isinstance(output, BulkOutput) != hasattr(output, "send")
