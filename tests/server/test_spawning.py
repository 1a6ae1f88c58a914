"""How actors are set up when they are spawned."""

from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import SecretStr

from actors import remote
from actors.clock import ManualClock
from actors.hosted_shard import Shard
from actors.shard_options import StoreOptions
from actors.store.folder import DataFolder
from config.settings import Settings
from server.spawning import Spawner
from tests.server.test_first_credentials import MAP_SIZE, Started
from tests.whole.world import DOCUMENT, named

UNUSED = cast(Any, None)


class FakeHandle:
    def within(self, timeout_s: float) -> "FakeHandle":
        return self

    async def go_on(self, slots: object) -> None:
        """Do nothing."""


def test_a_shard_has_room_for_what_is_kept_of_workspaces_that_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slots that it gets may bring it."""
    Started(tmp_path, DOCUMENT, named("w2"))
    [served] = Started(tmp_path, DOCUMENT).served
    spawned: list[StoreOptions] = []

    def spawn(name: str, made: type[Shard], options: StoreOptions, *_: Any, **__: Any) -> Any:
        spawned.append(options)
        return FakeHandle()

    monkeypatch.setattr(remote, "spawn", spawn)
    settings = Settings(data_dir=tmp_path / "data", shards=1, map_size_bytes=MAP_SIZE)
    with closing(DataFolder(settings.data_dir, 1, MAP_SIZE, ManualClock())) as folder:
        key = SecretStr("k" * 32)
        Spawner(settings, [served], UNUSED, key, UNUSED, folder, UNUSED).shards()
    assert [each.workspaces for each in spawned] == [2]
