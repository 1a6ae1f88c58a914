"""What the actors' processes do when something in them fails."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from actors import hosted
from actors.alias_runner import AliasRunner
from actors.calculated.objects import CalculatedCatalog
from actors.desk_options import DeskOptions
from actors.errors import StoreDamaged, StoreFull
from actors.forwarding.desk import OutputInfo
from actors.forwarding.plan import OutputPlan
from actors.hosted import Coordinator, Forwarder, ForwarderOptions
from actors.hosting import restarting_if_damaged
from actors.outputs.environment import OutputPlace
from actors.outputs.retry import PROFILES
from actors.store.environment import Store
from actors.store.slots import SlotMap
from config.sealing import Sealer
from tests.actors.aliasing import SOURCE, request
from tests.actors.audiences.desks import CATALOG
from tests.actors.profiles.builders import WORKSPACE
from tests.actors.shards import MAP_SIZE_BYTES
from tests.signing import pair


def no_slots() -> SlotMap:
    return SlotMap(0, ())


class FakeHost:
    version = "test"

    def enter(self, role: str, instance: str) -> None:
        """Log as the test does."""

    def set_log_level(self, logger: str, level: str | None) -> None:
        """Log as the test does."""


class FakeConfiguration:
    """One that never changes."""

    def __init__(self, workspaces: Sequence[DeskOptions]) -> None:
        self._workspaces = workspaces

    def open_store(self, coordinator: Path) -> Store:
        return Store(coordinator / "configuration", MAP_SIZE_BYTES)

    def open_seal(self) -> Sealer:
        return Sealer("k" * 32)

    def open_desk(self, store: Store) -> "FakeConfiguration":
        return self

    def desk_options(self) -> Sequence[DeskOptions]:
        return self._workspaces

    def bind(
        self,
        shards: Mapping[int, Sequence[Any]],
        take_over: Callable[[DeskOptions], None],
        readers_of_events: Callable[[int], Iterable[tuple[str, str]]],
        made_audiences: Callable[[int], Mapping[str, int]],
    ) -> None:
        """Nothing is ever told."""

    async def release(self, workspace: int, section: str, name: str) -> None:
        """No file has anything."""

    async def run(self) -> None:
        """Nothing ever changes."""
        await asyncio.Event().wait()

    async def published(self) -> dict[int, int]:
        return {}


class FakeCoordinator:
    """One that keeps nothing of any output."""

    async def output_state(self, output: str) -> dict[str, bytes]:
        return {}


async def test_a_forwarder_that_cannot_be_made_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one whose output opens a file while the disk is full."""
    opened_again = asyncio.Event()
    failures = [OSError("no space left on device")]

    def open_outputs(*_: Any) -> dict[Any, Any]:
        if failures:
            raise failures.pop()
        opened_again.set()
        return {}

    monkeypatch.setattr(hosted, "open_outputs", open_outputs)
    monkeypatch.setattr(hosted, "RESTART_PAUSE_S", 0.0)
    plan = OutputPlan(
        info=OutputInfo("hook", PROFILES["stream"]),
        module="webhook",
        settings={},
        is_audience=False,
        connections=(),
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
    monkeypatch.setattr(hosted, "RemoteConfiguration", lambda *_: FakeConfiguration([]))
    monkeypatch.setattr(hosted, "RemoteCoordinator", lambda *_: FakeCoordinator())
    forwarder = Forwarder(options, FakeHost())
    await forwarder.start(no_slots())
    async with asyncio.timeout(5):
        await opened_again.wait()
    await forwarder.stop()


async def test_a_coordinator_applies_aliases_from_its_start_until_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins again if that fails for whatever reason, when the supervisor looks after it."""
    runs: list[str] = []
    failures = [ValueError("a mistake")]

    async def run(self: AliasRunner) -> None:
        if failures:
            raise failures.pop()
        runs.append("began")
        try:
            await asyncio.Event().wait()
        finally:
            runs.append("ended")

    monkeypatch.setattr(AliasRunner, "run", run)
    options = DeskOptions(
        workspace=WORKSPACE,
        catalog=CATALOG,
        calculated=CalculatedCatalog(),
        group_job_interval_s=86_400.0,
    )
    coordinator = Coordinator(
        tmp_path, MAP_SIZE_BYTES, no_slots, FakeConfiguration([options]), pair(), (), FakeHost()
    )
    number = WORKSPACE.number
    await coordinator.call(number, "alias", request())
    aliases = await coordinator.call(number, "aliases", SOURCE)
    assert [each.state for each in aliases] == ["pending"]
    assert b"headwater_alias" in await coordinator.metrics()
    for _ in range(3):
        await coordinator.start(0)
        for _ in range(3):
            await asyncio.sleep(0)
    assert runs == ["began"]
    await coordinator.close()
    await coordinator.start(0)
    await asyncio.sleep(0)
    assert runs == ["began", "ended"]


def test_a_process_with_a_damaged_store_ends_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended: list[int] = []

    @restarting_if_damaged(ended.append)
    def commit(fault: Exception | None) -> str:
        if fault is not None:
            raise fault
        return "committed"

    assert commit(None) == "committed"
    with pytest.raises(StoreFull):
        commit(StoreFull("no room"))
    assert ended == []
    with pytest.raises(StoreDamaged):
        commit(StoreDamaged("MDB_PANIC"))
    assert ended == [1]
    [record] = caplog.records
    assert (record.levelno, record.__dict__["event"]) == (logging.CRITICAL, "store_damaged")
