"""Keeps what can still be read of a damaged store.

Each table is read from its beginning and from its end, by processes that may not survive it; what
lies between the two places where they had to stop is lost.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import lmdb

from actors.errors import DataFolderError
from actors.store.checking import FILE, MAX_TABLES
from actors.store.environment import lock_folder
from actors.store.folder import refuse_served_on_cluster

AT_ONCE = 1000  # entries of one transaction: what a process that ends loses of what it has read


def repair_store(data_dir: Path, store: Path) -> Iterator[str]:
    """Replace a damaged store by what can be read of it; yield a line for each loss.

    Args:
        data_dir: that nobody serves.
        store: from there; it is set aside as `<name>.damaged`.

    Raises:
        DataFolderError: somebody serves it; not even the list of its tables can be read; there is
            a store that was set aside already.
    """
    damaged, aside = data_dir / store, (data_dir / store).with_name(f"{store.name}.damaged")
    made = damaged.with_name(f"{store.name}.repaired")
    if aside.exists() or made.exists():
        raise DataFolderError(f"{aside} or {made} exists already; move it away first")
    lock = lock_folder(data_dir)
    try:
        refuse_served_on_cluster(data_dir)
        tables = _run(damaged, made, "list", "")
        if tables is None:
            raise DataFolderError(f"{damaged}: its tables cannot be read; restore a backup")
        made.mkdir(0o700)
        for table in tables:
            if _run(damaged, made, "forward", table) is None:
                _run(damaged, made, "backward", table)
                yield f"{store}: table {table} is not whole"
        # The damaged one goes first: a repair that is cut off here is seen at the next start.
        damaged.rename(aside)
        made.rename(damaged)
        yield f"{store}: repaired; the damaged one is {aside.name}"
    finally:
        os.close(lock)


def _run(damaged: Path, made: Path, what: str, table: str) -> list[str] | None:
    command = [sys.executable, "-m", __spec__.name, str(damaged), str(made), what, table]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.splitlines() if done.returncode == 0 else None


def list_tables(damaged: Path) -> list[str]:
    """Return the names of a store's tables. Raises lmdb.Error."""
    with (
        lmdb.open(str(damaged), readonly=True, create=False) as environment,
        environment.begin() as txn,
        txn.cursor() as cursor,
    ):
        return [name.decode() for name in cursor.iternext(values=False)]


def move(damaged: Path, made: Path, table: str, *, is_backward: bool) -> None:
    """Copy the entries of a table, as far as they can be read, to another store.

    Raises:
        lmdb.Error: it went no further.
    """
    name = table.encode()
    size = max((damaged / FILE).stat().st_size * 4, 2**24)
    with (
        lmdb.open(str(damaged), readonly=True, create=False, max_dbs=MAX_TABLES) as old,
        lmdb.open(str(made), map_size=size, max_dbs=MAX_TABLES) as new,
        old.begin() as reading,
    ):
        target = new.open_db(name)
        with reading.cursor(db=old.open_db(name, txn=reading, create=False)) as cursor:
            entries = iter(cursor.iterprev() if is_backward else cursor.iternext())
            waiting: list[tuple[bytes, bytes]] = []
            try:
                for entry in entries:
                    waiting.append(entry)
                    if len(waiting) >= AT_ONCE:
                        _put(new, target, waiting)
            finally:
                _put(new, target, waiting)


def _put(new: lmdb.Environment, target: object, waiting: list[tuple[bytes, bytes]]) -> None:
    with new.begin(write=True) as txn:
        for key, value in waiting:
            txn.put(key, value, db=target)  # type: ignore[arg-type]
    waiting.clear()


def main() -> None:
    """Do one step for `repair_store`; end with 1 if LMDB stops it."""
    damaged, made, what, table = sys.argv[1:]
    try:
        if what == "list":
            print("\n".join(list_tables(Path(damaged))))  # noqa: T201  # to the parent
        else:
            move(Path(damaged), Path(made), table, is_backward=what == "backward")
    except lmdb.Error:
        sys.exit(1)


if __name__ == "__main__":
    main()
