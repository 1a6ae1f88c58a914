"""How shards are set up as they are spawned."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import SecretStr

from actors import remote
from actors.clock import SystemClock
from actors.privacy.signing import SigningPair
from actors.remote import Handle
from actors.shard_options import StoreOptions
from actors.store.folder import DataFolder
from config.desk_options import ConfigDeskOptions
from config.served import ServedDocument
from config.settings import Settings
from server.host import ServeHost
from server.spawning import Spawner
from tests.server.test_first_credentials import MAP_SIZE, Started
from tests.whole.world import DOCUMENT, named

NODES = ("alpha", "beta")


def spawner_of(
    folder: DataFolder, settings: Settings, served: Sequence[ServedDocument], run_dir: Path
) -> Spawner:
    return Spawner(
        settings,
        served,
        ConfigDeskOptions(settings, SecretStr("m")),
        SecretStr("s"),
        SigningPair(b"", b"", "example.com"),
        folder,
        ServeHost(settings, "1", run_dir / "log"),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DataFolder]:
    made = DataFolder(tmp_path / "data", 2, MAP_SIZE, SystemClock(), NODES)
    yield made
    made.close()


@pytest.fixture
def spawner(tmp_path: Path, folder: DataFolder) -> Spawner:
    (tmp_path / "other").mkdir()
    started = Started(tmp_path / "other", DOCUMENT)
    settings = Settings(data_dir=folder.path, shards=2, nodes=NODES, address="127.0.0.1:1")
    return spawner_of(folder, settings, started.served, tmp_path)


def spawned(spawner: Spawner, there: set[str], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return how the shards are set up that are spawned while some nodes are there."""
    options: list[StoreOptions] = []

    def spawn(name: str, host_class: type, first: StoreOptions, *rest: Any, **how: Any) -> Handle:
        options.append(first)
        return Handle(name, cast(Any, None))

    monkeypatch.setattr(remote, "nodes", lambda: frozenset(there))
    monkeypatch.setattr(remote, "spawn", spawn)
    spawner.shards()
    return options


def test_a_shard_whose_node_is_away_is_late(
    spawner: Spawner, folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.begun()
    options = spawned(spawner, {"alpha"}, monkeypatch)
    assert [each.is_late for each in options] == [False, True]


def test_a_shard_that_was_never_made_is_not_late(
    spawner: Spawner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody serves without it, so there is nobody to wait for."""
    options = spawned(spawner, {"alpha"}, monkeypatch)
    assert [each.is_late for each in options] == [False, False]


def test_a_shard_has_room_for_what_is_kept_of_workspaces_that_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slots that it gets may bring it."""
    Started(tmp_path, DOCUMENT, named("w2"))
    [served] = Started(tmp_path, DOCUMENT).served
    settings = Settings(data_dir=tmp_path / "data", shards=1, map_size_bytes=MAP_SIZE)
    with closing(DataFolder(settings.data_dir, 1, MAP_SIZE, SystemClock())) as folder:
        spawner = spawner_of(folder, settings, [served], tmp_path)
        options = spawned(spawner, set(), monkeypatch)
    assert [each.workspaces for each in options] == [2]
