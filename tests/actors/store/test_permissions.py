"""Who can read what is stored."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.clock import SystemClock
from actors.store import backups
from actors.store.environment import Store
from actors.store.folder import DataFolder
from actors.store.placement import NodeFolder
from actors.store.repairs import repair_store
from tests.actors.store.builders import MAP_SIZE_BYTES
from tests.actors.store.test_backups import one_table

SHARD = Path("shards-1/shard-0000")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def make_store(path: Path) -> None:
    Store(path, MAP_SIZE_BYTES).close()


def take(path: Path) -> None:
    DataFolder(path, 1, MAP_SIZE_BYTES, SystemClock()).close()


def open_to_all(path: Path) -> None:
    """Do what a copy does that takes no care of modes."""
    for each in (path, *path.rglob("*")):
        each.chmod(0o755 if each.is_dir() else 0o644)


def modes(path: Path) -> set[tuple[bool, int]]:
    """Return whether a folder, and its mode, of each thing below one, and of itself."""
    return {(each.is_dir(), mode(each)) for each in (path, *path.rglob("*"))}


PRIVATE = {(True, 0o700), (False, 0o600)}


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    take(path)
    make_store(path / SHARD)
    return path


def test_a_store_is_its_owners_alone_wherever_it_is_made(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_store(tmp_path / "store")
    assert modes(tmp_path / "store") == PRIVATE
    assert {each.name for each in (tmp_path / "store").iterdir()} == {
        "LOCK",
        "data.mdb",
        "lock.mdb",
    }


def test_one_that_others_could_read_becomes_its_owners_alone(tmp_path: Path) -> None:
    make_store(tmp_path / "store")
    open_to_all(tmp_path / "store")
    make_store(tmp_path / "store")
    assert mode(tmp_path / "store") == 0o700
    assert {mode(each) for each in (tmp_path / "store").glob("*.mdb")} == {0o600}


@pytest.mark.parametrize("taken", [take, lambda path: NodeFolder(path, "d1").take({})])
def test_a_data_folder_that_others_could_use_becomes_its_owners_alone(
    tmp_path: Path, taken: Callable[[Path], None]
) -> None:
    """Such as one that was made for a volume."""
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume").chmod(0o2775)
    taken(tmp_path / "volume")
    assert mode(tmp_path / "volume") & 0o777 == 0o700


@pytest.mark.parametrize("why", ["another's", "shared"])
def test_one_that_is_not_ours_is_left_and_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, why: str
) -> None:
    (tmp_path / "volume").mkdir()
    left = 0o1777 if why == "shared" else 0o775
    (tmp_path / "volume").chmod(left)
    if why == "another's":
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    take(tmp_path / "volume")
    assert mode(tmp_path / "volume") == left
    assert [each.__dict__["event"] for each in caplog.records] == ["folder_open"]


def test_a_backup_and_what_is_restored_of_it_are_their_owners_alone(
    data_dir: Path, tmp_path: Path
) -> None:
    """However the backup was carried in between."""
    backups.back_up(data_dir, tmp_path / "copy")
    assert modes(tmp_path / "copy") == PRIVATE
    open_to_all(tmp_path / "copy")
    backups.restore(tmp_path / "copy", tmp_path / "again")
    assert modes(tmp_path / "again") == PRIVATE


def test_what_a_repair_makes_is_its_owners_alone(data_dir: Path) -> None:
    shutil.rmtree(data_dir / SHARD)
    one_table(data_dir / SHARD)
    list(repair_store(data_dir, SHARD))
    assert modes(data_dir / SHARD) == PRIVATE
