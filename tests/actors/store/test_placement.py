"""Where the shards of a cluster are, and what a node's folder is taken for."""

from pathlib import Path

import pytest

from actors.clock import SystemClock
from actors.errors import DataFolderError
from actors.store import folder as folders
from actors.store.environment import Store, lock_folder
from actors.store.folder import DataFolder, place_shard
from actors.store.layout import read_slots, stores_of
from actors.store.placement import NODE_DATA_DIR, NodeFolder, placed, trouble_of
from actors.store.slots import SlotMap

MAP_SIZE_BYTES = 16 * 1024 * 1024


def take(path: Path, shards: int, *nodes: str) -> tuple[str, ...]:
    folder = DataFolder(path, shards, MAP_SIZE_BYTES, SystemClock(), nodes)
    try:
        folder.begun()
        return folder.nodes
    finally:
        folder.close()


def make_store(folder: Path) -> None:
    Store(folder, MAP_SIZE_BYTES).close()


def test_new_shards_are_dealt_out_to_the_nodes() -> None:
    assert placed((), 5, ["a", "b"]) == ("a", "b", "a", "b", "a")


def test_without_a_cluster_no_shard_has_a_node(tmp_path: Path) -> None:
    assert take(tmp_path, 2) == ()


@pytest.mark.parametrize("nodes", [("a", "b", "c"), ("c", "b", "a")])
def test_a_shard_stays_where_its_data_are(tmp_path: Path, nodes: tuple[str, ...]) -> None:
    """Whatever nodes come, in whatever order they are named."""
    take(tmp_path, 4, "a", "b")
    assert take(tmp_path, 4, *nodes) == ("a", "b", "a", "b")


@pytest.mark.parametrize("nodes", [(), ("a",), ("a", "c")])
def test_a_node_that_has_shards_cannot_be_left_out(tmp_path: Path, nodes: tuple[str, ...]) -> None:
    take(tmp_path, 2, "a", "b")
    with pytest.raises(DataFolderError, match=r"shards are on the nodes .*b, which the"):
        take(tmp_path, 2, *nodes)
    assert take(tmp_path, 2, "a", "b") == ("a", "b")


def test_a_cluster_gets_further_shards_without_slots(tmp_path: Path) -> None:
    """On nodes that have the fewest; slots are moved to them later."""
    take(tmp_path, 2, "a", "b")
    assert take(tmp_path, 5, "a", "b", "c") == ("a", "b", "c", "a", "b")
    folder = DataFolder(tmp_path, 5, MAP_SIZE_BYTES, SystemClock(), ["a", "b", "c"])
    assert folder.slots == SlotMap(5, ((0, 0), (1 << 15, 1)))
    folder.close()
    with pytest.raises(DataFolderError, match="has 5 shards, not 4"):
        take(tmp_path, 4, "a", "b", "c")


def test_what_was_served_without_a_cluster_is_on_the_first_node(tmp_path: Path) -> None:
    take(tmp_path, 2)
    for number in range(2):
        make_store(tmp_path / f"shards-1/shard-000{number}")
    assert take(tmp_path, 2, "a", "b") == ("a", "a")


def test_all_stores_are_known_to_be_made_once_a_cluster_has_started(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path, 2, MAP_SIZE_BYTES, SystemClock(), ["a", "b"])
    assert folder.made == 0
    folder.begun()
    folder.close()
    again = DataFolder(tmp_path, 2, MAP_SIZE_BYTES, SystemClock(), ["a", "b"])
    assert again.made == 2
    again.close()


def test_a_shard_that_was_brought_to_another_node_is_noted_there(tmp_path: Path) -> None:
    take(tmp_path, 2, "a", "b")
    place_shard(tmp_path, 1, "c")
    assert take(tmp_path, 2, "a", "c") == ("a", "c")


def test_a_shard_is_not_placed_anew_while_it_is_served(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path, 2, MAP_SIZE_BYTES, SystemClock(), ["a", "b"])
    with pytest.raises(DataFolderError, match="in use"):
        place_shard(tmp_path, 1, "c")
    folder.close()
    with pytest.raises(DataFolderError, match="there is no shard 2: there are 2, from 0"):
        place_shard(tmp_path, 2, "c")


def test_a_shard_is_placed_by_what_holds_once_the_folder_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever serves may move slots until then."""
    take(tmp_path, 2, "a", "b")
    moved = read_slots(tmp_path).moved(0, 99, 1)

    def lock_when_free(path: Path) -> int:
        monkeypatch.undo()
        serving = DataFolder(path, 2, MAP_SIZE_BYTES, SystemClock(), ["a", "b"])
        serving.move_slots(moved)
        serving.close()
        return lock_folder(path)

    monkeypatch.setattr(folders, "lock_folder", lock_when_free)
    place_shard(tmp_path, 1, "c")
    assert read_slots(tmp_path) == moved
    assert take(tmp_path, 2, "a", "c") == ("a", "c")


def test_what_is_no_data_folder_is_left_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(DataFolderError, match="is no data folder of a cluster"):
        place_shard(tmp_path, 1, "c")
    assert list(tmp_path.iterdir()) == []


def test_only_a_cluster_places_shards(tmp_path: Path) -> None:
    take(tmp_path, 2)
    with pytest.raises(DataFolderError, match="is no data folder of a cluster"):
        place_shard(tmp_path, 1, "c")


def test_each_node_has_its_own_folder(tmp_path: Path) -> None:
    folder = NodeFolder(tmp_path / "data", "d1")
    store = tmp_path / "data/shards-1/shard-0001"
    environ = {NODE_DATA_DIR: str(tmp_path / "other")}
    assert folder.here(store, {}) == store
    assert folder.here(store, environ) == tmp_path / "other/shards-1/shard-0001"
    folder.take(environ)
    folder.take(environ)
    assert (tmp_path / "other").stat().st_mode & 0o777 == 0o700
    make_store(tmp_path / "other/shards-1/shard-0001")
    assert stores_of(tmp_path / "other") == [Path("shards-1/shard-0001")]


def test_the_folder_of_another_deployment_is_not_taken(tmp_path: Path) -> None:
    NodeFolder(tmp_path, "d1").take({})
    with pytest.raises(DataFolderError, match="belongs to another deployment"):
        NodeFolder(tmp_path, "d2").take({})


def test_a_store_is_made_where_there_was_none_and_missed_where_there_was(tmp_path: Path) -> None:
    store = tmp_path / "shard-0000"
    assert trouble_of(store, SystemClock(), must_exist=False) is None
    missing = trouble_of(store, SystemClock(), must_exist=True)
    assert missing is not None
    assert missing.startswith(f"{store} is not there, as it was before")
    make_store(store)
    assert trouble_of(store, SystemClock(), must_exist=True) is None


def test_a_damaged_store_of_a_node_is_named(tmp_path: Path) -> None:
    make_store(tmp_path)
    (tmp_path / "data.mdb").write_bytes(b"\0" * 8192)
    damage = trouble_of(tmp_path, SystemClock(), must_exist=True)
    assert damage is not None
    assert damage.startswith(f"{tmp_path} is damaged")
