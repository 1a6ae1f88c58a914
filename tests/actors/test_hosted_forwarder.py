"""A forwarder's process: what it does when something in it fails."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from actors import hosted_forwarder
from actors.errors import ShardUnavailable
from actors.forwarding.desk import OutputInfo
from actors.forwarding.plan import OutputPlan
from actors.hosted_forwarder import Forwarder, ForwarderOptions
from actors.outputs.environment import OutputEnvironment, OutputPlace
from actors.outputs.retry import PROFILES
from tests.actors.forwarding.support import connection, until
from tests.actors.hosts import FakeHost, no_slots


class FakeConfiguration:
    """One that has nothing published."""

    async def published(self) -> dict[int, int]:
        return {}


class FakeCoordinator:
    """One that keeps nothing of any output."""

    async def output_state(self, output: str) -> dict[str, bytes]:
        return {}


def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Forwarder:
    """Return the process of an output that has one connection."""
    plan = OutputPlan(
        info=OutputInfo("hook", PROFILES["stream"]),
        module="webhook",
        settings={},
        is_audience=False,
        connections=(connection(),),
        place=OutputPlace(),
    )
    options = ForwarderOptions(
        plan=plan,
        workspace=1,
        workspace_id="shop",
        sharers=(),
        slots=no_slots(),
        spool_dir=tmp_path,
        egress_allow=(),
    )
    monkeypatch.setattr(hosted_forwarder, "RemoteConfiguration", lambda *_: FakeConfiguration())
    monkeypatch.setattr(hosted_forwarder, "RemoteCoordinator", lambda *_: FakeCoordinator())
    return Forwarder(options, FakeHost())


async def run_until_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[OutputEnvironment]:
    """Have a forwarder fail once as it is made; return what its outputs were handed each time."""
    opened_again = asyncio.Event()
    surroundings: list[OutputEnvironment] = []

    def open_outputs(module: str, settings: Any, handed: OutputEnvironment) -> dict[Any, Any]:
        surroundings.append(handed)
        if len(surroundings) == 1:
            raise OSError("no space left on device")
        opened_again.set()
        return {}

    monkeypatch.setattr(hosted_forwarder, "open_outputs", open_outputs)
    monkeypatch.setattr(hosted_forwarder, "RESTART_PAUSE_S", 0.0)
    forwarder = made(tmp_path, monkeypatch)
    await forwarder.start(no_slots())
    async with asyncio.timeout(5):
        await opened_again.wait()
    await forwarder.stop()
    return surroundings


async def test_a_forwarder_that_cannot_be_made_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one whose output opens a file while the disk is full."""
    assert len(await run_until_made_again(tmp_path, monkeypatch)) == 2


async def test_what_an_output_has_in_memory_outlives_its_forwarder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as tokens that could not be kept on a full disk."""
    first, second = await run_until_made_again(tmp_path, monkeypatch)
    first.memory[str] = "only here"
    assert second.memory == {str: "only here"}


async def test_what_an_output_leaves_out_is_counted_among_the_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[OutputEnvironment] = []

    def open_outputs(module: str, settings: Any, surroundings: OutputEnvironment) -> dict[Any, Any]:
        handed.append(surroundings)
        return {}

    monkeypatch.setattr(hosted_forwarder, "open_outputs", open_outputs)
    forwarder = made(tmp_path, monkeypatch)
    await forwarder.start(no_slots())
    await until(lambda: handed)
    handed[0].count_drop(1, "no_identity", 3)
    value = forwarder._metrics.registry.get_sample_value
    name = connection().id
    for metric, label in (("events", {"result": "dropped"}), ("drops", {"reason": "no_identity"})):
        labels = {"connection": name, **label}
        assert value(f"headwater_forwarder_{metric}_total", labels) == 3
    await forwarder.stop()


async def test_a_connection_is_not_resumed_while_nothing_is_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as while users move between shards: nobody would know of it afterwards."""
    monkeypatch.setattr(hosted_forwarder, "open_outputs", lambda *_: {})
    forwarder = made(tmp_path, monkeypatch)
    with pytest.raises(ShardUnavailable):
        await forwarder.resume(1)
    await forwarder.start(no_slots())
    await until(lambda: forwarder._forwarder is not None)
    assert await forwarder.resume(1) is False  # it is not faulted
    await forwarder.rest()
    await until(lambda: forwarder._forwarder is None)
    with pytest.raises(ShardUnavailable):
        await forwarder.resume(1)
    await forwarder.stop()
