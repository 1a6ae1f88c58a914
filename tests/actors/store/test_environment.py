"""Transactions on a shard's tables: what is seen when, and what a failure leaves."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import lmdb
import pytest

from actors.errors import DataFolderError, StoreDamaged, StoreFull
from actors.store.environment import (
    READER_CHECK_WRITES,
    SHARED_TABLES,
    TABLES,
    Store,
    kept_workspaces,
    lock_folder,
)
from tests.actors.store.builders import MAP_SIZE_BYTES, content
from tests.full_disk import file_size_limit

SMALL_MAP_BYTES = 256 * 1024
PAGE = b"x" * 4096


def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    """Every table keeps its own keys."""
    store = Store(tmp_path, MAP_SIZE_BYTES)
    with store.write() as txn:
        for table in TABLES:
            txn.put(table, b"key", table.encode())
    store.close()
    store = Store(tmp_path, MAP_SIZE_BYTES)
    assert [content(store, table) for table in TABLES] == [{b"key": t.encode()} for t in TABLES]
    store.close()


def test_workspaces_share_what_is_known_of_users_and_nothing_else(tmp_path: Path) -> None:
    """Also in one transaction's eyes, and after reopening."""
    store = Store(tmp_path, MAP_SIZE_BYTES, 2)
    views = {number: store.of(number) for number in (3, 12)}
    for number, view in views.items():
        with view.write() as txn:
            for table in TABLES:
                txn.put(table, b"%d" % number, b"")
    store.close()
    assert kept_workspaces(tmp_path) == [3, 12]
    store = Store(tmp_path, MAP_SIZE_BYTES, 2)
    for number in views:
        view = store.of(number)
        for table in TABLES:
            keys = {b"3", b"12"} if table in SHARED_TABLES else {b"%d" % number}
            assert content(view, table).keys() == keys, table
    assert content(store, "log") == {}
    assert store.workspaces == [3, 12]
    with pytest.raises(DataFolderError):  # more than it was opened for
        store.of(4)
    store.close()


def test_a_store_that_was_never_made_has_no_workspaces(tmp_path: Path) -> None:
    """Such as one of a start that failed before it."""
    assert kept_workspaces(tmp_path / "shard") == []


def test_a_damaged_store_does_not_tell_its_workspaces(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"x" * 8192)
    with pytest.raises(DataFolderError, match="cannot be opened"):
        kept_workspaces(tmp_path)


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    """Neither its writes nor its deletions."""
    with store.write() as txn:
        txn.put("meta", b"kept", b"1")

    def fail() -> None:
        with store.write() as txn:
            txn.put("meta", b"new", b"2")
            txn.append("log", b"new", b"2")
            txn.delete("meta", b"kept")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert content(store, "meta") == {b"kept": b"1"}
    assert content(store, "log") == {}


def test_a_transaction_sees_its_own_changes_and_others_only_what_is_committed(store: Store) -> None:
    """A reader keeps what it saw at its beginning."""
    with store.read() as before, store.write() as txn:
        txn.put("meta", b"key", b"1")
        assert txn.get("meta", b"key") == b"1"
        assert list(txn.scan("meta")) == [(b"key", b"1")]
        assert before.get("meta", b"key") is None
        with store.read() as during:
            assert during.get("meta", b"key") is None
    assert content(store, "meta") == {b"key": b"1"}


def test_a_reader_that_was_killed_keeps_no_pages(store: Store, tmp_path: Path) -> None:
    """Else the file would grow with every write until the map is full."""
    read = (
        "import lmdb, signal, sys; environment = lmdb.open(sys.argv[1], readonly=True);"
        "txn = environment.begin(); print('reads', flush=True); signal.pause()"
    )
    folder = str(tmp_path / "store")
    with subprocess.Popen([sys.executable, "-c", read, folder], stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"reads\n"
        reader.send_signal(signal.SIGKILL)

    def overwrite(times: int) -> int:
        for _ in range(times):
            with store.write() as txn:
                txn.put("log", b"key", PAGE)
        return store.used_bytes()

    assert overwrite(2 * READER_CHECK_WRITES) == overwrite(4 * READER_CHECK_WRITES)


def test_a_key_is_removed_once(store: Store) -> None:
    """`delete` and `pop` say whether there was something."""
    with store.write() as txn:
        txn.put("meta", b"a", b"1")
        txn.put("meta", b"b", b"2")
        assert (txn.delete("meta", b"a"), txn.delete("meta", b"a")) == (True, False)
        assert (txn.pop("meta", b"b"), txn.pop("meta", b"b")) == (b"2", None)
        assert txn.entries("meta") == 0


@pytest.mark.parametrize(
    ("keys", "left"),
    [
        pytest.param("abcd", "", id="all"),
        pytest.param("bc", "ad", id="neighbours"),
        pytest.param("bd", "ac", id="with one between them that stays"),
        pytest.param("dba", "c", id="in another order"),
        pytest.param("aa", "bcd", id="one twice"),
        pytest.param("abxd", "c", id="with one that is not there"),
        pytest.param("", "abcd", id="none"),
    ],
)
def test_many_keys_are_removed_and_their_values_given(store: Store, keys: str, left: str) -> None:
    """Those that are there, in the order asked for; another table keeps its own."""
    with store.write() as txn:
        for key in "abcd":
            txn.put("meta", key.encode(), key.upper().encode())
            txn.put("intents", key.encode(), b"")
        removed = list(txn.pop_each("meta", [key.encode() for key in keys]))
        there = [key for key in dict.fromkeys(keys) if key in "abcd"]
        assert removed == [key.upper().encode() for key in there]
        assert [key for key, _ in txn.scan("meta")] == [key.encode() for key in left]
        assert txn.entries("intents") == 4


@pytest.mark.parametrize(
    ("start", "prefix", "found"),
    [
        pytest.param(b"", b"", [b"a1", b"b1", b"b2", b"b3", b"\xff"], id="all, in byte order"),
        pytest.param(b"b2", b"", [b"b2", b"b3", b"\xff"], id="from a key on"),
        pytest.param(b"b11", b"", [b"b2", b"b3", b"\xff"], id="from between two keys on"),
        pytest.param(b"", b"b", [b"b1", b"b2", b"b3"], id="with a prefix"),
        pytest.param(b"b2", b"b", [b"b2", b"b3"], id="from a key on, with a prefix"),
        pytest.param(b"a", b"b", [b"b1", b"b2", b"b3"], id="from before the prefix"),
        pytest.param(b"c", b"b", [], id="from behind the prefix"),
        pytest.param(b"", b"\xff", [b"\xff"], id="with the last prefix"),
        pytest.param(b"\xff\x00", b"", [], id="behind the last key"),
    ],
)
def test_a_scan_gives_a_range_in_the_order_of_the_keys(
    store: Store, start: bytes, prefix: bytes, found: list[bytes]
) -> None:
    """`start` and `prefix` both limit it."""
    with store.write() as txn:
        for key in (b"b3", b"a1", b"\xff", b"b1", b"b2"):
            txn.put("meta", key, b"")
        assert [key for key, _ in txn.scan("meta", start, prefix)] == found


@pytest.mark.parametrize("key", [pytest.param(b"2", id="equal"), pytest.param(b"1", id="smaller")])
def test_appending_out_of_order_is_an_error_and_not_lost_in_silence(
    store: Store, key: bytes
) -> None:
    """LMDB itself answers such an append with `False` and writes nothing."""
    with store.write() as txn:
        txn.append("log", b"2", b"first")
        with pytest.raises(ValueError, match="log"):
            txn.append("log", key, b"second")
    assert content(store, "log") == {b"2": b"first"}


def test_a_folder_belongs_to_one_opener_at_a_time(tmp_path: Path) -> None:
    """The lock ends with the store, not with the process."""
    store = Store(tmp_path, MAP_SIZE_BYTES)
    with pytest.raises(DataFolderError, match="in use"):
        Store(tmp_path, MAP_SIZE_BYTES)
    store.close()
    Store(tmp_path, MAP_SIZE_BYTES).close()


def test_a_damaged_file_is_named_and_the_folder_let_go(tmp_path: Path) -> None:
    """The operator can put a copy in its place without ending the process."""
    (tmp_path / "data.mdb").write_bytes(b"damaged " * 4096)
    with pytest.raises(DataFolderError, match=str(tmp_path)):
        Store(tmp_path, MAP_SIZE_BYTES)
    os.close(lock_folder(tmp_path))
    (tmp_path / "data.mdb").unlink()
    Store(tmp_path, MAP_SIZE_BYTES).close()


def test_a_store_that_could_not_be_opened_opens_with_a_greater_map(tmp_path: Path) -> None:
    """Not even the empty tables fit into three pages."""
    with pytest.raises(DataFolderError, match="map_size"):
        Store(tmp_path, 3 * 4096)
    Store(tmp_path, MAP_SIZE_BYTES).close()


def test_a_full_map_leaves_the_data_as_they_were_and_takes_more_once_there_is_room(
    tmp_path: Path,
) -> None:
    """Deleting makes room, and so does a greater map at the next start."""
    store = Store(tmp_path, SMALL_MAP_BYTES)
    with store.write() as txn:
        for number in range(8):
            txn.put("meta", b"%d" % number, PAGE)
    before = content(store, "meta")
    with pytest.raises(StoreFull, match="map_size_bytes"):
        _write_pages(store, SMALL_MAP_BYTES // len(PAGE))
    assert content(store, "meta") == before
    assert content(store, "log") == {}
    assert store.used_bytes() <= store.map_size_bytes() == SMALL_MAP_BYTES
    with store.write() as txn:
        txn.delete("meta", b"7")
    _write_pages(store, 2)
    store.close()
    store = Store(tmp_path, MAP_SIZE_BYTES)
    _write_pages(store, SMALL_MAP_BYTES // len(PAGE))
    assert len(content(store, "meta")) == 7
    store.close()


def test_a_full_disk_leaves_the_data_as_they_were_and_takes_more_once_there_is_room(
    store: Store, tmp_path: Path
) -> None:
    """The size that a file of this process may have stands for the room on the disk."""
    _write_pages(store, 4)
    before = content(store, "log")
    file_bytes = (tmp_path / "store" / "data.mdb").stat().st_size
    with file_size_limit(file_bytes + 5000), pytest.raises(StoreFull, match="disk"):
        _write_pages(store, 64)
    assert content(store, "log") == before
    with file_size_limit(0), pytest.raises(StoreFull, match="File too large"):
        _write_pages(store, 1)
    assert content(store, "log") == before
    _write_pages(store, 64)
    assert len(content(store, "log")) == 64


def test_damage_that_shows_in_a_transaction_is_told_from_want_of_room(
    store: Store, tmp_path: Path
) -> None:
    """Whether it reads or writes; the pages here are those under the store's own eyes."""
    _write_pages(store, 64)
    file = tmp_path / "store" / "data.mdb"
    with file.open("r+b") as pages:
        pages.seek(2 * 4096)  # behind those that say where everything is
        pages.write(bytes(file.stat().st_size - 2 * 4096))
    with pytest.raises(StoreDamaged), store.read() as txn:
        txn.get("log", bytes(8))
    with pytest.raises(StoreDamaged), store.read() as txn:
        list(txn.scan("log"))
    with pytest.raises(StoreDamaged), store.write() as txn:
        txn.get("log", bytes(8))
    with pytest.raises(StoreDamaged):
        _write_pages(store, 1)


@pytest.mark.parametrize(
    "error", [lmdb.PanicError("x"), lmdb.CorruptedError("x"), lmdb.PageNotFoundError("x")]
)
def test_faults_inside_of_lmdb_are_damage(store: Store, error: Exception) -> None:
    """What was written before them is not kept."""

    def fail() -> None:
        with store.write() as txn:
            txn.put("meta", b"key", b"1")
            raise error

    with pytest.raises(StoreDamaged):
        fail()
    assert content(store, "meta") == {}


def test_a_key_that_is_too_long_is_a_mistake_and_no_damage(store: Store) -> None:
    """One such batch must not end the process again and again."""
    with pytest.raises(ValueError, match="BAD_VALSIZE"), store.write() as txn:
        txn.put("meta", b"k" * 512, b"")


def _write_pages(store: Store, count: int) -> None:
    with store.write() as txn:
        for number in range(count):
            txn.put("log", number.to_bytes(8, "big"), PAGE)
