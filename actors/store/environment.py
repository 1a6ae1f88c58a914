"""Opens a shard's LMDB environment and runs transactions in it: the only import of lmdb."""

import errno
import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from itertools import count
from pathlib import Path
from typing import Any, Final, Literal, get_args

import lmdb

from actors.errors import DataFolderError, StoreDamaged, StoreFull
from actors.store.permissions import FILE_MODE, keep_private, make_private

Table = Literal[
    "shard",
    "profiles",
    "followed",
    "identities",
    "trail",
    "erased",
    "meta",
    "duplicates",
    "log",
    "outbox",
    "dead_letters",
    "dead_ids",
    "pending_batches",
    "pending_parts",
    "pending_due",
    "micro_batches",
    "event_names",
    "data_points",
    "intents",
    "retries",
    "aliases",
    "copies",
    "copy_progress",
    "group_candidates",
    "group_partials",
    "group_values",
    "group_members",
    "audiences",
    "static_lists",
    "scores",
    "member_counts",
    "revisions",
    "output_states",
    "audit_log",
    "subject_requests",
    "bulk_deletions",
    "access",
]
TABLES: Final[tuple[Table, ...]] = get_args(Table)
# Users are known to all workspaces of their identity scope. All else is of one workspace.
SHARED_TABLES: Final[frozenset[Table]] = frozenset(
    {"shard", "profiles", "followed", "identities", "trail", "erased"}
)

# EFBIG: a file may not grow further, by the file system or a limit of the process.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)

# Write transactions between two looks for readers that are dead. Only these use up pages that such
# a reader keeps, so it is they that are counted; a look costs some microseconds.
READER_CHECK_WRITES = 128


class Transaction:
    """Reads, and in a write transaction changes, the tables; sees its own changes.

    An error of LMDB must be left to pass: `Store.write` and `Store.read` make one of ours of it.
    """

    def __init__(self, txn: "lmdb.Transaction[bytes]", tables: dict[Table, Any]) -> None:
        self._txn = txn
        self._tables = tables

    @property
    def raw(self) -> "lmdb.Transaction[bytes]":
        """LMDB's own, for `Store.within`."""
        return self._txn

    def get(self, table: Table, key: bytes) -> bytes | None:
        """Return the value of a key."""
        return self._txn.get(key, db=self._tables[table])

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        """Write a value."""
        self._txn.put(key, value, db=self._tables[table])

    def put_new(self, table: Table, key: bytes, value: bytes) -> bool:
        """Write the value of a key that has none yet; return whether it had none."""
        return bool(self._txn.put(key, value, overwrite=False, db=self._tables[table]))

    def append(self, table: Table, key: bytes, value: bytes) -> None:
        """Write a value whose key is greater than all in the table: cheaper than `put`.

        Raises:
            ValueError: the key is not greater; LMDB would leave the value out in silence.
        """
        if not self._txn.put(key, value, append=True, db=self._tables[table]):
            raise ValueError(f"{table}: key {key.hex()} is not greater than the last one")

    def delete(self, table: Table, key: bytes) -> bool:
        """Remove a key; return whether it was there."""
        return self._txn.delete(key, db=self._tables[table])

    def pop(self, table: Table, key: bytes) -> bytes | None:
        """Remove a key and return its value, `None` if it was not there."""
        return self._txn.pop(key, db=self._tables[table])

    def pop_each(self, table: Table, keys: Iterable[bytes]) -> Iterator[bytes]:
        """Remove keys and yield the values of those that were there.

        Keys that follow one another in the table, and are given in their order, cost half of what
        `pop` does: none of them is searched for.
        """
        with self._txn.cursor(db=self._tables[table]) as cursor:
            for key in keys:
                if cursor.key() == key or cursor.set_key(key):
                    value = cursor.value()
                    cursor.delete()  # and goes to the next key
                    yield value

    def scan(
        self, table: Table, start: bytes = b"", prefix: bytes = b""
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield keys and values in order, from `start` on, as long as keys begin with `prefix`."""
        with self._txn.cursor(db=self._tables[table]) as cursor:
            first = max(start, prefix)
            if not (cursor.set_range(first) if first else cursor.first()):
                return
            for key, value in cursor.iternext():
                if not key.startswith(prefix):
                    return
                yield key, value

    def newest(self, table: Table) -> Iterator[bytes]:
        """Yield values from the greatest key down."""
        with self._txn.cursor(db=self._tables[table]) as cursor:
            if cursor.last():
                yield from cursor.iterprev(keys=False, values=True)

    def entries(self, table: Table) -> int:
        """Return how many keys a table holds."""
        return int(self._txn.stat(self._tables[table])["entries"])

    def size_bytes(self, table: Table) -> int:
        """Return how much of the map a table takes: whole pages, as LMDB fills them."""
        stat = self._txn.stat(self._tables[table])
        pages = stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
        return int(pages * stat["psize"])


class Store:
    """One LMDB environment with the tables of a shard or of the coordinator, held by one process.

    Every write transaction is fsynced before `write` returns.
    """

    def __init__(self, folder: Path, map_size_bytes: int, workspaces: int = 0) -> None:
        """Open, creating what is missing.

        Args:
            folder: where the files are.
            map_size_bytes: the most that the store may grow to; costs address space only.
            workspaces: that `of` may be called for.

        Raises:
            DataFolderError: another process holds the folder, or the files are damaged.
        """
        make_private(folder)
        self._folder = folder
        self._lock = lock_folder(folder)
        try:
            self._environment = lmdb.open(
                str(folder),
                map_size=map_size_bytes,
                mode=FILE_MODE,
                max_dbs=len(TABLES) + workspaces * (len(TABLES) - len(SHARED_TABLES)),
                readahead=False,  # access is random once the data outgrow memory
                # Else what the process's memory held gets to disk in the unused parts of pages:
                # secrets that are kept sealed, and what erasures have taken.
                meminit=True,
            )
            for file in folder.glob("*.mdb"):  # of a version that made them readable for all
                keep_private(file)
            self._tables: dict[Table, Any] = {
                table: self._environment.open_db(table.encode()) for table in TABLES
            }
        except lmdb.Error as error:
            os.close(self._lock)
            raise DataFolderError(f"{folder}: cannot be opened: {error}") from error
        self._writes = count()  # of all views
        self._finish: Callable[[Transaction], None] | None = None

    def finish_with(self, finish: Callable[[Transaction], None]) -> None:
        """Have something called at the end of every write transaction, before it is committed."""
        self._finish = finish

    @property
    def workspaces(self) -> list[int]:
        """The numbers of the workspaces that it has tables of, in order: served now, or before.

        Raises:
            StoreDamaged: the store does not work.
        """
        with _translated_errors(), self._environment.begin() as txn:
            return _workspaces_in(txn)

    def of(self, workspace: int) -> "Store":
        """Return this store with a workspace's own tables in the place of those not shared.

        Both are to be used from one thread, and it is this one that has to be closed.

        Raises:
            DataFolderError: the tables cannot be made.
        """
        own = copy(self)
        try:
            own._tables = {
                table: known
                if table in SHARED_TABLES
                else self._environment.open_db(f"{table} {workspace}".encode())
                for table, known in self._tables.items()
            }
        except lmdb.Error as error:
            raise DataFolderError(f"{self._folder}: cannot be opened: {error}") from error
        return own

    def within(self, txn: Transaction) -> Transaction:
        """Return a transaction that is under way on another workspace's view, on this one's."""
        return Transaction(txn.raw, self._tables)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Run a write transaction; on an exception nothing of it remains.

        Pages that a reader of another process kept are free again soon after it was killed.

        Raises:
            StoreFull: the disk or the map has no room; nothing was written.
            StoreDamaged: the store does not work; it may or may not be written.
        """
        with _translated_errors():
            if next(self._writes) % READER_CHECK_WRITES == 0:
                self._environment.reader_check()
            with self._environment.begin(write=True) as txn:
                made = Transaction(txn, self._tables)
                yield made
                if self._finish is not None:
                    self._finish(made)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Run a read transaction. Keep it short: pages that it sees cannot be reused meanwhile.

        Raises:
            StoreDamaged: the store does not work.
        """
        with _translated_errors(), self._environment.begin() as txn:
            yield Transaction(txn, self._tables)

    def used_bytes(self) -> int:
        """Return how much of the map is in use."""
        page = int(self._environment.stat()["psize"])
        return (int(self._environment.info()["last_pgno"]) + 1) * page

    def map_size_bytes(self) -> int:
        """Return how much the map can hold."""
        return int(self._environment.info()["map_size"])

    def close(self) -> None:
        """Close the files and let go of the folder."""
        self._environment.close()
        os.close(self._lock)


def kept_workspaces(folder: Path) -> list[int]:
    """Return the numbers of the workspaces that a store, which nobody holds, has tables of.

    Raises:
        DataFolderError: the files are damaged.
    """
    if not (folder / "data.mdb").exists():  # it was never opened
        return []
    try:
        with (
            lmdb.open(str(folder), readonly=True, create=False) as environment,
            environment.begin() as txn,
        ):
            return _workspaces_in(txn)
    except lmdb.Error as error:
        raise DataFolderError(f"{folder}: cannot be opened: {error}") from error


def lock_folder(folder: Path) -> int:
    """Take a folder for this process, until the returned descriptor is closed.

    Raises:
        DataFolderError: another process has it.
    """
    descriptor = os.open(folder / "LOCK", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise DataFolderError(f"{folder} is in use by another process") from error
    return descriptor


def _workspaces_in(txn: "lmdb.Transaction[bytes]") -> list[int]:
    """Return whose tables there are: `Store.of` names them."""
    with txn.cursor() as cursor:
        names = [name.decode().partition(" ") for name in cursor.iternext(values=False)]
    return sorted({int(number) for _, _, number in names if number})


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Make errors of ours of LMDB's, around a whole transaction: per call it would cost."""
    try:
        yield
    except (lmdb.BadValsizeError, lmdb.ReadonlyError) as error:  # mistakes of the program
        raise ValueError(str(error)) from error
    except lmdb.Error as error:
        raise _translated(error) from error


def _translated(error: lmdb.Error) -> StoreFull | StoreDamaged:
    if isinstance(error, lmdb.MapFullError | lmdb.TxnFullError):
        return StoreFull("the store's map is full; raise map_size_bytes")
    if getattr(error, "code", 0) in _NO_ROOM:
        return StoreFull(f"the disk took no data: {os.strerror(error.code)}")
    return StoreDamaged(f"the store does not work: {error}")
