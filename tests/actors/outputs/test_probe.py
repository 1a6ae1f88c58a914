"""The test of an output's settings, where the output itself is at fault."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from actors.clock import ManualClock
from actors.outputs import devnull, probe
from actors.outputs.contract import Outcome
from actors.outputs.devnull import DevnullOutput, DevnullSettings
from actors.outputs.egress import EgressRules
from actors.outputs.environment import OutputEnvironment


class Mistaken(DevnullOutput):
    """An output that raises what it should not, with a secret in it."""

    async def test(self) -> Outcome:
        raise ValueError("hidden")


class Endless(DevnullOutput):
    """An output that never answers."""

    async def test(self) -> Outcome:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")


async def result_of(output: type[DevnullOutput], tmp_path: Path) -> probe.ProbeResult:
    module = replace(devnull.MODULE, open=output)
    environment = OutputEnvironment("out", ManualClock(), EgressRules(), tmp_path / "spool")
    return await probe.probe(module, DevnullSettings(), environment)


async def test_a_mistake_is_named_and_its_text_is_not_shown(tmp_path: Path) -> None:
    assert await result_of(Mistaken, tmp_path) == probe.ProbeResult(
        False, None, 0, None, "ValueError"
    )


class Unopened(DevnullOutput):
    """An output that cannot even be made."""

    def __init__(self, settings: DevnullSettings, environment: OutputEnvironment) -> None:
        raise AssertionError("hidden")


async def test_that_an_output_cannot_be_opened_is_an_answer_too(tmp_path: Path) -> None:
    assert (await result_of(Unopened, tmp_path)).error == "AssertionError"


async def test_it_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "TIMEOUT_S", 0.01)
    result = await result_of(Endless, tmp_path)
    assert not result.ok
    assert result.error == "no answer within 0 s"


async def test_the_spool_of_the_running_output_is_left_alone(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / "file").write_text("not sent yet")
    assert (await result_of(DevnullOutput, tmp_path)).ok
    assert (spool / "file").exists()
