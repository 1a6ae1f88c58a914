"""Looks whether a store can be read, in a process of its own.

LMDB has no checksums, and a file that was cut off or overwritten can end the process that reads
it: so whoever wants to know lets another process look. A store may be looked at while it is served.
"""

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import lmdb

MAX_TABLES = 65_536
FILE = "data.mdb"
# Of address space alone. Without it LMDB maps what the file has as it is opened, and refuses to
# read a store which has grown since.
MAP_SIZE_BYTES = 2**40
ALL_MAPS_BYTES = 2**46  # half of what a process has; a backup maps all stores of a folder at once
SMALL_PAGES = 256  # a table that is always read whole: it is there in a millisecond
PLACES = 64  # that are looked at in another one; a tenth of it is missed by all in one of 800 cases
MOST_LOOKS = 4096  # until so many are found
GROWTH = 4  # of a file while it is looked at, where there are so many stores that less is left


class Damage(NamedTuple):
    """What is wrong with a store."""

    store: Path
    what: str


def damage_of(stores: Sequence[Path], *, is_whole: bool) -> Damage | None:
    """Return what is wrong with the first store that is damaged; `None` if nothing is found.

    Args:
        stores: their folders.
        is_whole: every entry is read, which takes as long as reading the files. Else that is done
            with small tables alone, and of others entries are read that lie all over them: what
            tells a file that was cut off, was overwritten for a good part, or is another one's.
    """
    for store in stores:
        if not (store / FILE).exists():
            return Damage(store, f"there is no {FILE}")
    how = "whole" if is_whole else "quick"
    command = [sys.executable, "-m", __spec__.name, how, *map(str, stores)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode == 0:
        return None
    number, _, table = (done.stdout.splitlines() or ["0"])[-1].partition(" ")
    where = f"table {table}: " if table else ""
    if done.returncode < 0:
        what = f"reading it ends the process ({signal.Signals(-done.returncode).name})"
    else:
        what = (done.stderr.strip().splitlines() or ["it cannot be read"])[-1]
    return Damage(stores[int(number)], where + what)


def opened_to_look(folder: Path, max_tables: int = 0, at_once: int = 1) -> lmdb.Environment:
    """Open a store that others may be writing to, to read it.

    Args: `at_once`: how many are opened together.

    Raises:
        lmdb.Error, OSError: it cannot be opened.
    """
    page = os.sysconf("SC_PAGE_SIZE")
    share = min(MAP_SIZE_BYTES, ALL_MAPS_BYTES // at_once // page * page)
    size = max(share, (folder / FILE).stat().st_size // page * page * GROWTH)
    return lmdb.open(str(folder), map_size=size, readonly=True, create=False, max_dbs=max_tables)


def look(number: int, folder: Path, *, is_whole: bool) -> None:
    """Read a store in this process; prints its number, and each table before it is read.

    Raises:
        ValueError: entries are missing or in no order.
        lmdb.Error: LMDB finds it damaged.
    """
    print(number, flush=True)  # noqa: T201  # to the parent, as all that is printed here
    with opened_to_look(folder, MAX_TABLES) as environment, environment.begin() as txn:
        page = int(environment.stat()["psize"])
        least = (int(environment.info()["last_pgno"]) + 1) * page
        # The last pages may never have been written, if they were given back at once.
        is_whole |= (folder / FILE).stat().st_size < least
        with txn.cursor() as cursor:
            names = list(cursor.iternext(values=False))
        for name in names:
            print(number, name.decode(errors="replace"), flush=True)  # noqa: T201
            table = environment.open_db(name, txn=txn, create=False)
            stat = txn.stat(table)
            with txn.cursor(db=table) as cursor:
                if is_whole or stat["leaf_pages"] + stat["overflow_pages"] <= SMALL_PAGES:
                    _read_all(cursor, stat["entries"])
                else:
                    _read_some(cursor)


def _read_all(cursor: lmdb.Cursor, entries: int) -> None:
    seen, last = 0, None
    for found, _ in cursor.iternext():
        key = bytes(found)
        if last is not None and key <= last:
            raise ValueError("its keys are not in order")
        seen, last = seen + 1, key
    if seen != entries:
        raise ValueError(f"it has {seen} entries, not {entries}")


def _read_some(cursor: lmdb.Cursor) -> None:
    """Read the first entry, the last one, and others between them.

    Keys may lie close together in a few places, as those of a connection do. So what lies between
    two entries is halved by their keys, until entries enough have been found.
    """
    if not (cursor.first() and cursor.last()):
        raise ValueError("it has no entries")
    last = bytes(cursor.item()[0])
    cursor.first()
    first = bytes(cursor.item()[0])
    size = max(len(first), len(last))
    found = {first, last}
    between = deque([(_number(first, size), _number(last, size))])
    for _ in range(MOST_LOOKS):
        if not between or len(found) > PLACES:
            return
        start, end = between.popleft()
        middle = (start + end) // 2
        wanted = middle.to_bytes(size, "big")
        if not cursor.set_range(wanted):
            raise ValueError("its last entry is not found")
        key = bytes(cursor.item()[0])
        if not wanted <= key <= last:
            raise ValueError("its keys are not in order")
        found.add(key)
        place = _number(key, size)
        parts = [(start, min(place, middle)), (place, end)]
        between += [(low, high) for low, high in parts if high - low > 1]


def _number(key: bytes, size: int) -> int:
    return int.from_bytes(key.ljust(size, b"\0"), "big")


def main() -> None:
    """Look at the stores of the command line; end with 1 and a line if one is damaged."""
    how, *stores = sys.argv[1:]
    try:
        for number, store in enumerate(stores):
            look(number, Path(store), is_whole=how == "whole")
    except (ValueError, OSError, lmdb.Error) as error:
        print(error, file=sys.stderr)  # noqa: T201  # to the parent
        sys.exit(1)


if __name__ == "__main__":
    main()
