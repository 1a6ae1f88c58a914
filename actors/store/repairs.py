"""Keeps what can still be read of a damaged store.

Each table is read from its beginning and from its end, by processes that may not survive it; what
lies between the two places where they had to stop is lost. What stops them otherwise, such as a
full disk, says nothing of the store: then nothing is changed.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import lmdb

from actors.errors import DataFolderError
from actors.store.checking import FILE, MAX_TABLES
from actors.store.environment import lock_folder
from actors.store.folder import refuse_served_on_cluster
from actors.store.permissions import FILE_MODE
from actors.store.presence import aside_of, repaired_of

# How a process ends that the damaged store has stopped: by LMDB, or as it reads what is not there.
_UNREADABLE = 3
_STOPPED = frozenset(
    {
        _UNREADABLE,
        *(-each for each in (signal.SIGBUS, signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE)),
    }
)
# LMDB's files, and our own. What else is in a store's folder its entries speak of.
_OF_STORE = frozenset({FILE, "lock.mdb", "LOCK"})
AT_ONCE = 1000  # entries of one transaction: what a process that ends loses of what it has read


def repair_store(data_dir: Path, store: Path) -> Iterator[str]:
    """Replace a damaged store by what can be read of it; yield a line for each loss.

    Files that its entries speak of, such as results of access requests, are those of what takes
    its place. A repair that was cut off while it put that in place is ended.

    Args:
        data_dir: that nobody serves.
        store: from there; it is set aside as `<name>.damaged`.

    Raises:
        DataFolderError: somebody serves it; not even the list of its tables can be read; there is
            a store that was set aside already; what can be read could not be written. Nothing was
            changed.
    """
    damaged = data_dir / store
    aside, made = aside_of(damaged), repaired_of(damaged)
    is_ending = aside.exists() and made.exists() and not damaged.exists()
    if not is_ending and (aside.exists() or made.exists()):
        raise DataFolderError(f"{aside} or {made} exists already; move it away first")
    lock = lock_folder(data_dir)
    try:
        refuse_served_on_cluster(data_dir)
        if not is_ending:
            with closing(_fill(damaged, made)) as lost:
                for table in lost:
                    yield f"{store}: table {table} is not whole"
            # The damaged one goes first: a repair that is cut off here is seen at the next start.
            damaged.rename(aside)
        for each in aside.iterdir():
            if each.name not in _OF_STORE:
                each.rename(made / each.name)
        made.rename(damaged)
        yield f"{store}: repaired; the damaged one is {aside.name}"
    finally:
        os.close(lock)


def _fill(damaged: Path, made: Path) -> Generator[str]:
    """Make a store of what can be read of a damaged one; yield the tables that are not whole.

    Raises:
        DataFolderError: as `repair_store`; nothing is left of what was made.
    """
    tables = _run(damaged, made, "list", "")
    if tables is None:
        raise DataFolderError(f"{damaged}: its tables cannot be read; restore a backup")
    made.mkdir(0o700)
    try:
        for table in tables:
            if _run(damaged, made, "forward", table) is None:
                _run(damaged, made, "backward", table)
                yield table
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _run(damaged: Path, made: Path, what: str, table: str) -> list[str] | None:
    """Do one step in a process of its own; return what it prints, `None` if the store stopped it.

    Raises:
        DataFolderError: something else has.
    """
    command = [sys.executable, "-m", __spec__.name, str(damaged), str(made), what, table]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode == 0:
        return done.stdout.splitlines()
    if done.returncode in _STOPPED:
        return None
    told = done.stderr.strip().splitlines() or [
        f"the process that does it ended: {done.returncode}"
    ]
    raise DataFolderError(f"{damaged} is not repaired, and nothing was changed: {told[-1]}")


class _Unreadable(Exception):
    """The damaged store cannot be read any further."""


def list_tables(damaged: Path) -> list[str]:
    """Return the names of a store's tables. Raises _Unreadable."""
    try:
        with (
            lmdb.open(str(damaged), readonly=True, create=False) as environment,
            environment.begin() as txn,
            txn.cursor() as cursor,
        ):
            return [name.decode() for name in cursor.iternext(values=False)]
    except (lmdb.Error, UnicodeDecodeError) as error:
        raise _Unreadable(str(error)) from error


def move(damaged: Path, made: Path, table: str, *, is_backward: bool) -> None:
    """Copy the entries of a table, as far as they can be read, to another store.

    Raises:
        _Unreadable: it went no further.
        lmdb.Error: the other store takes nothing.
    """
    name = table.encode()
    size = max((damaged / FILE).stat().st_size * 4, 2**24)
    with (
        lmdb.open(str(damaged), readonly=True, create=False, max_dbs=MAX_TABLES) as old,
        lmdb.open(str(made), map_size=size, max_dbs=MAX_TABLES, mode=FILE_MODE) as new,
        old.begin() as reading,
    ):
        target = new.open_db(name)
        waiting: list[tuple[bytes, bytes]] = []
        try:
            for entry in _entries(old, reading, name, is_backward=is_backward):
                waiting.append(entry)
                if len(waiting) >= AT_ONCE:
                    _put(new, target, waiting)
                    waiting.clear()
        except _Unreadable:
            _put(new, target, waiting)
            raise
        _put(new, target, waiting)


def _entries(
    old: lmdb.Environment, reading: "lmdb.Transaction[bytes]", name: bytes, *, is_backward: bool
) -> Iterator[tuple[bytes, bytes]]:
    """Yield the entries of a table, as far as they can be read. Raises _Unreadable."""
    try:
        with reading.cursor(db=old.open_db(name, txn=reading, create=False)) as cursor:
            for key, value in cursor.iterprev() if is_backward else cursor.iternext():
                if not 0 < len(key) <= old.max_key_size():
                    raise _Unreadable("no store has such a key")
                yield key, value
    except lmdb.Error as error:
        raise _Unreadable(str(error)) from error


def _put(new: lmdb.Environment, target: object, entries: list[tuple[bytes, bytes]]) -> None:
    with new.begin(write=True) as txn:
        for key, value in entries:
            txn.put(key, value, db=target)  # type: ignore[arg-type]


def main() -> None:
    """Do one step for `repair_store`; tell by how it ends what has stopped it, if something did."""
    damaged, made, what, table = sys.argv[1:]
    try:
        if what == "list":
            print("\n".join(list_tables(Path(damaged))))  # noqa: T201  # to the parent
        else:
            move(Path(damaged), Path(made), table, is_backward=what == "backward")
    except _Unreadable:
        sys.exit(_UNREADABLE)
    except (lmdb.Error, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
