"""Backups while somebody writes, their way back, damage and what is left of it."""

import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lmdb
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.clock import SystemClock
from actors.errors import DataFolderError
from actors.store import backups, checking
from actors.store.checking import damage_of, opened_to_look
from actors.store.environment import Store
from actors.store.folder import DataFolder
from actors.store.layout import stores_of
from actors.store.placement import NodeFolder
from actors.store.repairs import repair_store
from tests.full_disk import file_size_limit

MAP_SIZE = 64 * 1024 * 1024
ENTRIES = 3000
NOW_ID = 1_700_000_000_000 << 20  # ids begin with the time


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Make a data folder of two shards and one coordinator's store, with entries in each."""
    path = tmp_path / "data"
    folder = DataFolder(path, 2, MAP_SIZE, SystemClock())
    for store in (folder.coordinator / "configuration", *folder.shards):
        with_entries(store)
    folder.write("server.key", b"k" * 32)
    folder.close()
    return path


def with_entries(folder: Path) -> None:
    store = Store(folder, MAP_SIZE)
    with store.write() as txn:
        for number in range(ENTRIES):
            txn.put("profiles", number.to_bytes(8, "big"), b"p" * 100)
            txn.put("log", number.to_bytes(8, "big"), b"l" * 5000 if number % 500 == 0 else b"l")
    store.close()


def command(*arguments: str) -> str:
    """Run `headwater data` as those do who have no handle on the stores; return what it says."""
    run = [sys.executable, "-m", "server", "data", *arguments]
    return subprocess.run(run, capture_output=True, text=True, check=True).stdout


def entries(data_dir: Path, store: Path, table: str = "profiles") -> dict[bytes, bytes]:
    opened = Store(data_dir / store, MAP_SIZE)
    try:
        with opened.read() as txn:
            return dict(txn.scan(table))  # type: ignore[arg-type]
    finally:
        opened.close()


def shards(data_dir: Path) -> list[Path]:
    return [store for store in stores_of(data_dir) if "shards" in store.parts[0]]


def spoil(file: Path, start: float, end: float) -> None:
    """Overwrite a part of a file."""
    content = bytearray(file.read_bytes())
    first, last = int(len(content) * start) // 4096 * 4096, int(len(content) * end) // 4096 * 4096
    content[first:last] = b"\xa5" * (last - first)
    file.write_bytes(content)


def test_what_is_whole_is_said_to_be(data_dir: Path) -> None:
    assert [damage for _, damage in backups.check(data_dir)] == [None, None, None]


def test_a_backup_comes_back_with_all_entries_and_keys(data_dir: Path, tmp_path: Path) -> None:
    size = backups.back_up(data_dir, tmp_path / "copies" / "monday")
    assert size > 3 * 100 * ENTRIES
    backups.restore(tmp_path / "copies" / "monday", tmp_path / "again")
    for store in stores_of(data_dir):
        assert entries(tmp_path / "again", store) == entries(data_dir, store)
    assert (tmp_path / "again" / "server.key").read_bytes() == b"k" * 32
    assert (tmp_path / "again").stat().st_mode & 0o077 == 0
    DataFolder(tmp_path / "again", 2, MAP_SIZE, SystemClock()).close()


def test_a_backup_has_the_pair_that_signs_and_the_files_that_entries_speak_of(
    data_dir: Path, tmp_path: Path
) -> None:
    store = data_dir / "coordinator/workspace-1"
    with_entries(store)
    (data_dir / "dsr.pair").write_bytes(b"pair")
    for name in ("results/r1.zip", "downloads/d1.zip", "results/r2.tmp"):
        (store / name).parent.mkdir(exist_ok=True)
        (store / name).write_bytes(name.encode())
    backups.back_up(data_dir, tmp_path / "copy")
    backups.restore(tmp_path / "copy", tmp_path / "again")
    assert (tmp_path / "again/dsr.pair").read_bytes() == b"pair"
    again = tmp_path / "again/coordinator/workspace-1"
    for name in ("results/r1.zip", "downloads/d1.zip"):
        assert (again / name).read_bytes() == name.encode()
    assert not (again / "results/r2.tmp").exists(), "it is being written"


@pytest.mark.parametrize("name", ["identity-1.json", "layout.json"])
def test_stores_and_settings_of_a_backup_agree(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Those who start anew with other settings change the stores and then say so."""
    (data_dir / "identity-1.json").write_bytes(b"before")
    backups.back_up(data_dir, tmp_path / "copy")
    assert (tmp_path / "copy/identity-1.json").read_bytes() == b"before"
    cut = backups._cut

    def cut_before_a_change(*arguments: Any) -> Any:
        txns = cut(*arguments)
        (data_dir / name).write_bytes(b"after")
        return txns

    monkeypatch.setattr(backups, "_cut", cut_before_a_change)
    with pytest.raises(DataFolderError, match="settings have changed; try again"):
        backups.back_up(data_dir, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_backup_is_of_one_instant_while_somebody_writes(data_dir: Path, tmp_path: Path) -> None:
    """A writer counts in one store and then in the other: no copy may have them in between."""
    one, other = (Store(data_dir / store, MAP_SIZE) for store in shards(data_dir))
    is_over = threading.Event()

    def write() -> None:
        number = 0
        while not is_over.is_set():
            number += 1
            for store in (one, other):
                with store.write() as txn:
                    txn.put("meta", b"count", msgspec.msgpack.encode(number))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for copy in ("a", "b", "c"):
            command("backup", str(tmp_path / copy), "--data-dir", str(data_dir))
    finally:
        is_over.set()
        writer.join()
        one.close()
        other.close()
    counts = []
    for copy in ("a", "b", "c"):
        first, second = (
            msgspec.msgpack.decode(entries(tmp_path / copy, store, "meta")[b"count"])
            for store in shards(data_dir)
        )
        assert first - second in (0, 1)  # as a crash would have left them
        counts.append(first)
    assert counts == sorted(counts)
    assert counts[2] > counts[0]


def test_a_node_of_a_cluster_is_backed_up_while_nobody_serves_it(tmp_path: Path) -> None:
    """Nobody can look at the stores of all nodes at one instant."""
    node = tmp_path / "node"
    NodeFolder(node, "d1").take({})
    with_entries(node / "shards-1/shard-0001")
    serving = Store(node / "shards-1/shard-0001", MAP_SIZE)
    with pytest.raises(DataFolderError, match="in use by another process"):
        backups.back_up(node, tmp_path / "copy")
    with pytest.raises(DataFolderError, match="in use by another process"):
        list(repair_store(node, Path("shards-1/shard-0001")))
    serving.close()
    backups.back_up(node, tmp_path / "copy")
    backups.restore(tmp_path / "copy", tmp_path / "again")
    [store] = stores_of(tmp_path / "again")
    assert entries(tmp_path / "again", store) == entries(node, store)
    NodeFolder(tmp_path / "again", "d1").take({})


def test_the_folder_of_serve_on_a_cluster_has_the_stores_that_are_there(tmp_path: Path) -> None:
    path = tmp_path / "data"
    folder = DataFolder(path, 2, MAP_SIZE, SystemClock(), ["a", "b"])
    for store in (folder.coordinator / "configuration", folder.shard(0)):
        with_entries(store)
    folder.close()
    backups.back_up(path, tmp_path / "copy")
    assert stores_of(tmp_path / "copy") == stores_of(path)
    assert [str(each) for each in stores_of(path)] == [
        "coordinator/configuration",
        "shards-1/shard-0000",
    ]


def test_what_exists_is_never_overwritten(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(DataFolderError, match="there exists already"):
        backups.back_up(data_dir, tmp_path / "there")
    backups.back_up(data_dir, tmp_path / "copy")
    with pytest.raises(DataFolderError, match="data exists already"):
        backups.restore(tmp_path / "copy", data_dir)
    backups.restore(tmp_path / "copy", tmp_path / "there")  # it is empty


def test_a_copy_that_is_cut_off_is_no_backup(data_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(DataFolderError, match="is no complete backup"):
        backups.restore(data_dir, tmp_path / "again")
    with pytest.raises(DataFolderError, match=r"layout\.json"):
        backups.back_up(tmp_path, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut off": lambda file: file.write_bytes(file.read_bytes()[: 5 * 4096]),
    "no store at all": lambda file: file.write_bytes(b"text" * 4096),
    "overwritten": lambda file: spoil(file, 0.02, 1.0),
    "overwritten in its middle": lambda file: spoil(file, 0.45, 0.55),
}


@pytest.mark.parametrize("how", sorted(DAMAGES))
def test_a_damaged_store_is_named_and_refused_at_start(data_dir: Path, how: str) -> None:
    store = data_dir / shards(data_dir)[1]
    DAMAGES[how](store / "data.mdb")
    with pytest.raises(DataFolderError, match="shard-0001 is damaged: "):
        DataFolder(data_dir, 2, MAP_SIZE, SystemClock())
    assert [damage is None for _, damage in backups.check(data_dir)] == [True, True, False]


def test_a_store_with_one_damaged_page_is_found_by_a_check(data_dir: Path) -> None:
    store = data_dir / shards(data_dir)[0]
    spoil(store / "data.mdb", 0.45, 0.55)
    damage = damage_of([store], is_whole=True)
    assert damage is not None
    assert damage.store == store
    assert "table " in damage.what


@pytest.mark.parametrize("place", [0.2, 0.5, 0.8])
def test_of_a_large_table_places_all_over_it_are_looked_at(data_dir: Path, place: float) -> None:
    folder = data_dir / shards(data_dir)[0]
    with closing(Store(folder, MAP_SIZE)) as store, store.write() as txn:
        for number in range(20_000):
            txn.put("log", number.to_bytes(8, "big"), b"l" * 100)
    assert damage_of([folder], is_whole=False) is None
    spoil(folder / "data.mdb", place, place + 0.1)
    damage = damage_of([folder], is_whole=False)
    assert damage is not None
    assert "table log: " in damage.what


def test_of_several_connections_places_are_looked_at_within_each(tmp_path: Path) -> None:
    with closing(Store(tmp_path, MAP_SIZE)) as store, store.write() as txn:
        for connection in (1, 2, 2**31):
            for number in range(10_000):
                key = connection.to_bytes(4, "big") + (NOW_ID + number * 3).to_bytes(8, "big")
                txn.put("outbox", key, b"d" * 100)
    assert damage_of([tmp_path], is_whole=False) is None
    whole = (tmp_path / "data.mdb").read_bytes()
    for place in (0.15, 0.45, 0.75):
        spoil(tmp_path / "data.mdb", place, place + 0.15)
        assert damage_of([tmp_path], is_whole=False) is not None, place
        (tmp_path / "data.mdb").write_bytes(whole)


@given(keys=st.sets(st.binary(min_size=1, max_size=20), min_size=1, max_size=200))
@settings(max_examples=100)
def test_a_good_store_is_never_refused_whatever_its_keys_are(keys: set[bytes]) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        with lmdb.open(folder, max_dbs=1) as environment, environment.begin(write=True) as txn:
            table = environment.open_db(b"some", txn=txn)
            for key in keys:
                txn.put(key, b"", db=table)
        patch.setattr(checking, "SMALL_PAGES", 0)
        checking.look(0, Path(folder), is_whole=False)


def test_a_repair_keeps_what_can_be_read(data_dir: Path) -> None:
    store = shards(data_dir)[0]
    spoil(data_dir / store / "data.mdb", 0.45, 0.5)
    before = [damage is None for _, damage in backups.check(data_dir)]
    assert before == [True, False, True]
    lines = list(repair_store(data_dir, store))
    assert "repaired" in lines[-1]
    assert any("is not whole" in line for line in lines)
    assert [damage for _, damage in backups.check(data_dir)] == [None, None, None]
    kept = {table: len(entries(data_dir, store, table)) for table in ("profiles", "log")}
    assert sum(kept.values()) > ENTRIES
    assert (data_dir / store).with_name("shard-0000.damaged").is_dir()
    with pytest.raises(DataFolderError, match="move it away"):
        list(repair_store(data_dir, store))


@pytest.mark.parametrize("limit_bytes", [4096, 256 * 1024])
def test_a_repair_that_has_no_room_changes_nothing(data_dir: Path, limit_bytes: int) -> None:
    """A full disk says nothing of the store: no table is given up for it."""
    store = data_dir / shards(data_dir)[0]
    before = sorted(each.name for each in store.parent.iterdir())
    content = (store / "data.mdb").read_bytes()
    assert len(content) >= 2 * limit_bytes
    repair = repair_store(data_dir, shards(data_dir)[0])
    told = rf"{store} is not repaired, and nothing was changed: .*(File too large|Input/output)"
    with file_size_limit(limit_bytes), pytest.raises(DataFolderError, match=told):
        next(repair)
    assert sorted(each.name for each in store.parent.iterdir()) == before
    assert (store / "data.mdb").read_bytes() == content


def test_a_repair_that_is_broken_off_leaves_nothing(data_dir: Path) -> None:
    store = shards(data_dir)[0]
    spoil(data_dir / store / "data.mdb", 0.45, 0.5)
    repair = repair_store(data_dir, store)
    assert "is not whole" in next(repair)
    repair.close()  # type: ignore[attr-defined]  # a generator's
    assert not (data_dir / store).with_name("shard-0000.repaired").exists()


@pytest.mark.parametrize("renames", [None, 1, 2])
def test_a_repair_keeps_the_files_that_entries_speak_of(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, renames: int | None
) -> None:
    """They go with the store, and none stays in what is set aside, whenever the repair is cut off.

    `renames`: after so many.
    """
    store = Path("coordinator/workspace-1")
    one_table(data_dir / store)
    files = ("results/r1.zip", "downloads/d1.zip")
    for name in files:
        (data_dir / store / name).parent.mkdir()
        (data_dir / store / name).write_bytes(name.encode())
    if renames is not None:
        with monkeypatch.context() as cut:
            cut.setattr(Path, "rename", cut_off_after(renames))
            with pytest.raises(KeyboardInterrupt):
                list(repair_store(data_dir, store))
        with (
            closing(DataFolder(data_dir, 2, MAP_SIZE, SystemClock())) as folder,
            pytest.raises(DataFolderError, match="a repair was cut off, and `headwater data rep"),
        ):
            folder.refuse_missing([data_dir / store])
        assert "workspace-1: repaired" in command("repair", "--data-dir", str(data_dir))
    else:
        list(repair_store(data_dir, store))
    for name in files:
        assert (data_dir / store / name).read_bytes() == name.encode()
    aside = (data_dir / store).with_name("workspace-1.damaged")
    assert {each.name for each in aside.iterdir()} <= {"data.mdb", "lock.mdb"}
    DataFolder(data_dir, 2, MAP_SIZE, SystemClock()).close()


def one_table(folder: Path) -> None:
    """Make a store that is quick to repair: each table takes two processes."""
    folder.mkdir(parents=True)
    with (
        lmdb.open(str(folder), max_dbs=1) as environment,
        environment.begin(write=True) as txn,
    ):
        txn.put(b"key", b"value", db=environment.open_db(b"meta", txn))


def cut_off_after(renames: int) -> Callable[[Path, Path], Path]:
    """Make a `Path.rename` with which a process ends after it has done some."""
    done: list[Path] = []
    rename = Path.rename

    def rename_or_end(self: Path, target: Path) -> Path:
        if len(done) == renames:
            raise KeyboardInterrupt
        done.append(target)
        return rename(self, target)

    return rename_or_end


def test_a_folder_whose_coordinator_was_repaired_is_served_and_backed_up(
    data_dir: Path, tmp_path: Path
) -> None:
    """What was set aside is damaged still, and no store."""
    spoil(data_dir / "coordinator/configuration/data.mdb", 0.45, 0.5)
    list(repair_store(data_dir, Path("coordinator/configuration")))
    assert (data_dir / "coordinator/configuration.damaged").is_dir()
    DataFolder(data_dir, 2, MAP_SIZE, SystemClock()).close()
    backups.back_up(data_dir, tmp_path / "copy")
    assert not (tmp_path / "copy/coordinator/configuration.damaged").exists()


def test_a_folder_that_is_served_is_not_repaired(data_dir: Path) -> None:
    folder = DataFolder(data_dir, 2, MAP_SIZE, SystemClock())
    with pytest.raises(DataFolderError, match="in use"):
        list(repair_store(data_dir, shards(data_dir)[0]))
    folder.close()


def test_a_backup_can_be_taken_of_a_folder_that_is_held(data_dir: Path, tmp_path: Path) -> None:
    folder = DataFolder(data_dir, 2, MAP_SIZE, SystemClock())
    held = [Store(each, MAP_SIZE) for each in folder.shards]
    command("backup", str(tmp_path / "copy"), "--data-dir", str(data_dir))
    assert [damage for _, damage in backups.check(data_dir)] == [None, None, None]
    for store in held:
        store.close()
    folder.close()


GROW = """
import sys, lmdb
with lmdb.open(sys.argv[1], map_size=1 << 30) as environment, environment.begin(write=True) as txn:
    txn.put(b"grown", b"g" * (1 << 20))
"""


def grow(store: Path) -> None:
    """Have another process commit to a store so that its file gets longer."""
    subprocess.run([sys.executable, "-c", GROW, str(store)], check=True)


@pytest.fixture
def large(data_dir: Path) -> Path:
    """Return a store over 10 MiB, which is what LMDB maps of it unless it is told."""
    path = data_dir / shards(data_dir)[0]
    store = Store(path, MAP_SIZE)
    with store.write() as txn:
        txn.put("profiles", b"large", b"p" * (12 << 20))
    store.close()
    return path


def test_a_large_store_that_grows_just_then_is_backed_up(large: Path) -> None:
    with ExitStack() as stack:
        environment = backups._opened(large, stack, 1)
        grow(large)
        [txn] = backups._cut([environment], stack)
        assert txn.get(b"grown") is not None


def test_a_folder_of_many_stores_is_backed_up(tmp_path: Path) -> None:
    """All are mapped at once, and a process has addresses for 2**47 bytes."""
    folder = DataFolder(tmp_path / "data", 130, MAP_SIZE, SystemClock())
    for store in folder.shards:
        one_table(store)
    folder.close()
    backups.back_up(tmp_path / "data", tmp_path / "copy")
    assert len(list((tmp_path / "copy").rglob("data.mdb"))) == 130


def test_a_store_among_many_may_grow_while_it_is_looked_at(large: Path) -> None:
    """Its share of the addresses may be less than its file has."""
    with opened_to_look(large, at_once=2**26) as environment:
        assert environment.info()["map_size"] > 3 * (large / "data.mdb").stat().st_size


def test_a_large_store_that_grows_while_it_is_looked_at_is_whole(large: Path) -> None:
    with opened_to_look(large) as environment:
        grow(large)
        with environment.begin() as txn:
            assert txn.get(b"grown") is not None
