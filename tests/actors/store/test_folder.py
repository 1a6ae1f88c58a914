"""What is done to a data folder as it is taken."""

import json
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from actors.clock import SystemClock
from actors.errors import DataFolderError
from actors.store import backups
from actors.store.environment import Store
from actors.store.folder import DataFolder
from actors.store.layout import FORMAT

MAP_SIZE_BYTES = 16 * 1024 * 1024


def take(path: Path, shards: int) -> None:
    DataFolder(path, shards, MAP_SIZE_BYTES, SystemClock()).close()


def test_a_new_folder_is_its_owners_alone(tmp_path: Path) -> None:
    take(tmp_path / "data", 2)
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_only_generations_that_are_not_in_use_are_removed(tmp_path: Path) -> None:
    """A move that was cut off is; a copy that somebody has made of one stays."""
    take(tmp_path, 2)
    for name in ("shards-1", "shards-2", "shards-1.bak", "shards-old"):
        (tmp_path / name / "shard-0000").mkdir(parents=True)
    take(tmp_path, 2)
    left = {each.name for each in tmp_path.glob("shards-*")}
    assert left == {"shards-1", "shards-1.bak", "shards-old"}


@pytest.mark.parametrize(
    ("written", "who"), [(FORMAT + 1, "a newer version"), (FORMAT - 1, "an older version")]
)
def test_a_folder_of_another_format_is_refused(tmp_path: Path, written: int, who: str) -> None:
    layout = json.dumps({"format": written, "generation": 1, "shards": 2})
    (tmp_path / "layout.json").write_text(layout)
    with pytest.raises(DataFolderError, match=rf"written by {who} of headwater \(format {written}"):
        take(tmp_path, 2)
    assert (tmp_path / "layout.json").read_text() == layout


def serve(path: Path, store: str) -> None:
    """Begin a run that serves what has a store of the coordinator, or all shards."""
    with closing(DataFolder(path, 2, MAP_SIZE_BYTES, SystemClock())) as folder:
        folder.refuse_missing([path / store])


def make(store: Path) -> None:
    Store(store, MAP_SIZE_BYTES).close()


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """Make a data folder of which everything has started once."""
    path = tmp_path / "data"
    with closing(DataFolder(path, 2, MAP_SIZE_BYTES, SystemClock())) as folder:
        for store in (*folder.shards, *(folder.coordinator / name for name in COORDINATORS)):
            make(store)
        folder.begun()
    return path


COORDINATORS = ("configuration", "scope-1", "workspace-1", "workspace-2")
SHARD = "shards-1/shard-0001"


@pytest.mark.parametrize("store", [SHARD, "coordinator/configuration"])
@pytest.mark.parametrize("lost", ["", "data.mdb"])
def test_a_store_that_was_made_is_missed(served: Path, store: str, lost: str) -> None:
    """An empty one is never served in its place."""
    (served / store / lost).rename(served / "elsewhere")
    with pytest.raises(DataFolderError, match=f"{store} is not there, as it was before: bring it"):
        take(served, 2)
    with pytest.raises(DataFolderError, match=store):  # nor made of what the others have
        take(served, 3)
    (served / "elsewhere").rename(served / store / lost)
    take(served, 2)


def test_a_start_that_is_cut_off_makes_its_stores_the_next_time(tmp_path: Path) -> None:
    take(tmp_path, 2)
    make(tmp_path / SHARD)
    (tmp_path / "coordinator/configuration").mkdir(parents=True)
    take(tmp_path, 2)


def test_a_folder_of_before_is_taken_as_it_is(served: Path) -> None:
    """Nobody noted there which stores had been made, until all have started again."""
    layout = served / "layout.json"
    layout.write_text(json.dumps({"format": FORMAT, "generation": 1, "shards": 2}))
    shutil.rmtree(served / SHARD)
    with closing(DataFolder(served, 2, MAP_SIZE_BYTES, SystemClock())) as folder:
        make(folder.shard(1))
        folder.begun()
    shutil.rmtree(served / SHARD)
    with pytest.raises(DataFolderError, match=SHARD):
        take(served, 2)


def test_stores_of_another_number_of_shards_are_missed_as_well(served: Path) -> None:
    take(served, 3)
    shutil.rmtree(served / "shards-2/shard-0002")
    with pytest.raises(DataFolderError, match="shards-2/shard-0002 is not there"):
        take(served, 3)
    assert json.loads((served / "layout.json").read_text())["coordinator"] == list(COORDINATORS)


def test_a_store_of_a_workspace_is_missed_while_it_is_served(
    served: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One that nobody serves may be removed, and is forgotten with the next start."""
    gone = served / "coordinator/workspace-2"
    shutil.rmtree(gone)
    with closing(DataFolder(served, 2, MAP_SIZE_BYTES, SystemClock())) as folder:
        with pytest.raises(DataFolderError, match="workspace-2 is not there, as it was before"):
            folder.refuse_missing([gone.with_name("workspace-1"), gone])
        folder.refuse_missing([gone.with_name("workspace-1"), gone.with_name("workspace-3")])
        folder.begun()
        folder.refuse_missing([gone])
    assert [record.__dict__["stores"] for record in caplog.records] == [["workspace-2"]]


def test_a_check_and_a_backup_name_what_is_missing(served: Path, tmp_path: Path) -> None:
    for missing in ("coordinator/scope-1", SHARD):
        (served / missing).rename(tmp_path / "elsewhere")
        damaged = [str(store) for store, damage in backups.check(served) if damage is not None]
        assert damaged == [missing]
        with pytest.raises(DataFolderError, match=missing):
            backups.back_up(served, tmp_path / "copy")
        (tmp_path / "elsewhere").rename(served / missing)
    backups.back_up(served, tmp_path / "copy")
    backups.restore(tmp_path / "copy", tmp_path / "again")
    shutil.rmtree(tmp_path / "again" / SHARD)
    with pytest.raises(DataFolderError, match=SHARD):
        take(tmp_path / "again", 2)


@pytest.mark.parametrize("end", ["damaged", "repaired"])
@pytest.mark.parametrize("store", [SHARD, "coordinator/workspace-2"])
def test_a_store_that_a_repair_took_away_is_missed_in_any_folder(
    served: Path, store: str, end: str
) -> None:
    """Also in one of before, that does not say which there were."""
    layout = served / "layout.json"
    layout.write_text(json.dumps({"format": FORMAT, "generation": 1, "shards": 2}))
    (served / store).rename(served / f"{store}.{end}")
    trouble = rf"{store} is not there, but .*\.{end}: bring it back"
    with pytest.raises(DataFolderError, match=trouble):
        serve(served, store)


@pytest.mark.parametrize("store", [SHARD, "coordinator/workspace-2"])
def test_a_store_whose_repair_was_cut_off_is_missed_and_named(served: Path, store: str) -> None:
    layout = served / "layout.json"
    layout.write_text(json.dumps({"format": FORMAT, "generation": 1, "shards": 2}))
    shutil.copytree(served / store, served / f"{store}.repaired")
    (served / store).rename(served / f"{store}.damaged")
    with pytest.raises(DataFolderError, match=f"{store} is not there: a repair was cut off"):
        serve(served, store)
    assert [str(each) for each, damage in backups.check(served) if damage is not None] == [store]


@pytest.mark.parametrize("end", ["damaged", "repaired"])
def test_what_was_set_aside_of_a_workspace_that_is_left_out_stops_no_start(
    served: Path, tmp_path: Path, end: str
) -> None:
    """Nor a backup, once all have started without it."""
    (served / "coordinator/workspace-2").rename(served / f"coordinator/workspace-2.{end}")
    with closing(DataFolder(served, 2, MAP_SIZE_BYTES, SystemClock())) as folder:
        folder.refuse_missing([folder.coordinator / "scope-1", folder.coordinator / "workspace-1"])
        folder.begun()
        backups.back_up(served, tmp_path / "copy")
    with pytest.raises(DataFolderError, match=f"workspace-2 is not there, but workspace-2.{end}"):
        serve(served, "coordinator/workspace-2")  # it is not left out for ever


@pytest.mark.parametrize("end", ["damaged", "repaired"])
def test_what_was_set_aside_of_a_shard_that_is_on_another_node_stops_no_start(
    tmp_path: Path, end: str
) -> None:
    nodes = ("alpha", "beta")
    with closing(DataFolder(tmp_path, 2, MAP_SIZE_BYTES, SystemClock(), nodes)) as folder:
        make(folder.shard(0))
        make(folder.coordinator / "configuration")
        folder.begun()
    (tmp_path / f"{SHARD}.{end}").mkdir()
    DataFolder(tmp_path, 2, MAP_SIZE_BYTES, SystemClock(), nodes).close()
    assert [damage for _, damage in backups.check(tmp_path)] == [None, None]


def test_a_backup_says_when_it_does_without_a_store_that_was_removed(
    served: Path, tmp_path: Path
) -> None:
    shutil.rmtree(served / "coordinator/workspace-2")
    with pytest.raises(DataFolderError, match="while nothing is served, and start once without"):
        backups.back_up(served, tmp_path / "copy")
    with closing(DataFolder(served, 2, MAP_SIZE_BYTES, SystemClock())) as folder:
        folder.begun()
    backups.back_up(served, tmp_path / "copy")


def test_a_copy_that_somebody_has_made_of_what_was_set_aside_is_no_trouble(served: Path) -> None:
    (served / "shards-1/shard-0001.old.damaged").mkdir()
    (served / "shards-1/old.repaired").mkdir()
    take(served, 2)
