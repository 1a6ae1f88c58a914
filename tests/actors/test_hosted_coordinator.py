"""The coordinator's process: what runs in it by itself."""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from actors import disk_wait, hosted_coordinator, store_wait
from actors.alias_runner import AliasRunner
from actors.calculated.objects import CalculatedCatalog
from actors.clock import SystemClock
from actors.desk_options import DeskOptions
from actors.desks import Desks
from actors.errors import SlotsMoving, StoreFull
from actors.groups.definitions import GroupDefinition
from actors.groups.desk import GroupDesk
from actors.hosted_coordinator import Coordinator
from actors.store import files
from actors.store.environment import Store, lock_folder
from actors.store.folder import DataFolder
from actors.store.layout import workspace_store
from actors.store.presence import is_there
from actors.store.slots import SlotMap
from config.sealing import Sealer
from tests.actors.aliasing import SOURCE, request
from tests.actors.audiences.desks import CATALOG
from tests.actors.hosts import FakeHost, no_slots
from tests.actors.profiles.builders import WORKSPACE
from tests.actors.shards import MAP_SIZE_BYTES
from tests.full_disk import Waits, file_size_limit
from tests.signing import pair

OPTIONS = DeskOptions(
    workspace=WORKSPACE,
    catalog=CATALOG,
    calculated=CalculatedCatalog(),
    group_job_interval_s=86_400.0,
)


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
        calculated_in_use: Callable[[int], Mapping[int, int]],
    ) -> None:
        """Nothing is ever told."""

    async def release(self, workspace: int, section: str, name: str) -> None:
        """No file has anything."""

    async def run(self) -> None:
        """Nothing ever changes."""
        await asyncio.Event().wait()


def started(folder: Path) -> Coordinator:
    configuration = FakeConfiguration([OPTIONS])
    return Coordinator(folder, MAP_SIZE_BYTES, no_slots, configuration, pair(), (), FakeHost())


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
    coordinator = started(tmp_path)
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


async def test_a_coordinator_that_died_on_a_full_disk_begins_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coordinator = started(tmp_path)
    await coordinator.call(WORKSPACE.number, "alias", request())
    await coordinator.close()
    monkeypatch.setattr(hosted_coordinator, "is_restarted", lambda: True)
    with ExitStack() as full:
        waits = Waits(3, full.close)
        monkeypatch.setattr(disk_wait, "Event", lambda: waits)
        full.enter_context(file_size_limit(0))
        coordinator = started(tmp_path)
    assert waits.count == 3
    [alias] = await coordinator.call(WORKSPACE.number, "aliases", SOURCE)
    assert alias.state == "pending"
    await coordinator.close()


async def test_a_coordinator_that_died_waits_until_its_former_process_has_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await started(tmp_path).close()
    former = lock_folder(workspace_store(tmp_path, WORKSPACE.number))
    monkeypatch.setattr(hosted_coordinator, "is_restarted", lambda: True)
    waits = Waits(3, lambda: os.close(former))
    monkeypatch.setattr(files, "Event", lambda: waits)
    await started(tmp_path).close()
    assert waits.count == 3


@pytest.mark.parametrize(
    "lost", ["configuration", f"scope-{WORKSPACE.scope}", f"workspace-{WORKSPACE.number}"]
)
async def test_a_coordinator_that_died_in_its_first_run_waits_for_a_store_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, lost: str
) -> None:
    with closing(DataFolder(tmp_path / "data", 1, MAP_SIZE_BYTES, SystemClock())) as folder:
        coordinator = started(folder.coordinator)
        folder.begun()
        await coordinator.call(WORKSPACE.number, "alias", request())
        await coordinator.close()
        gone = folder.coordinator / lost
        gone.rename(tmp_path / "elsewhere")
        monkeypatch.setattr(hosted_coordinator, "is_restarted", lambda: True)
        waits = Waits(3, lambda: (tmp_path / "elsewhere").rename(gone))
        monkeypatch.setattr(store_wait, "Event", lambda: waits)
        coordinator = started(folder.coordinator)
    assert waits.count == 3
    [alias] = await coordinator.call(WORKSPACE.number, "aliases", SOURCE)
    assert alias.state == "pending"
    await coordinator.close()
    told = [each.__dict__ for each in caplog.records if each.__dict__.get("event")]
    assert [(each["event"], each["store"]) for each in told] == [("store_missing", lost)]


async def test_a_coordinator_that_dies_before_its_first_run_has_begun_makes_its_stores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(DataFolder(tmp_path, 1, MAP_SIZE_BYTES, SystemClock())) as folder:
        monkeypatch.setattr(hosted_coordinator, "is_restarted", lambda: True)
        await started(folder.coordinator).close()
        assert is_there(workspace_store(folder.coordinator, WORKSPACE.number))


async def test_a_first_start_on_a_full_disk_fails(tmp_path: Path) -> None:
    """Who starts it is to read what is wrong."""
    await started(tmp_path).close()
    with file_size_limit(0), pytest.raises(StoreFull):
        started(tmp_path)


async def test_a_change_that_a_move_cuts_off_is_answered_when_it_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is on disk, and waits for a shard whose slots are moving."""
    waits = asyncio.Event()

    async def push(self: GroupDesk) -> None:
        waits.set()
        await asyncio.Event().wait()

    moves = [SlotMap(0, ()), SlotMap(0, (), epoch=1)]
    coordinator = Coordinator(
        tmp_path,
        MAP_SIZE_BYTES,
        lambda: moves.pop(0),
        FakeConfiguration([OPTIONS]),
        pair(),
        (),
        FakeHost(),
    )
    household = GroupDefinition("household", "", "$address", ())
    asked = (WORKSPACE.number, "once", b"\x01" * 16, "create_group", household)
    with monkeypatch.context() as moving:
        moving.setattr(GroupDesk, "_push", push)
        call = asyncio.create_task(coordinator.call(*asked))
        await waits.wait()
        await coordinator.start(1)
    with pytest.raises(SlotsMoving):
        await call
    monkeypatch.setattr(Desks, "_push", _nobody)
    made = await coordinator.call(*asked)
    assert (made.number, made.definition) == (1, household)
    assert await coordinator.call(WORKSPACE.number, "group_definitions") == [made]
    await coordinator.close()


async def _nobody(self: Desks) -> None:
    """There are no shards here to be told."""
