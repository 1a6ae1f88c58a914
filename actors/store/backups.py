"""Backups of a data folder, while it is served or not, and their way back.

A backup is a data folder of one instant: all stores as they were at the same time, so that it is
what a crash at that instant would have left. Nothing is stopped for it.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import lmdb

from actors.errors import DataFolderError
from actors.store.checking import FILE, damage_of, opened_to_look
from actors.store.files import replace_file
from actors.store.folder import refuse_served_on_cluster
from actors.store.layout import LAYOUT_FILE, stores_of
from actors.store.permissions import FILE_MODE

TRIES = 20_000
# Small files that are replaced in one step. Not of the limits and the spool: they begin anew.
_FILES = (
    LAYOUT_FILE,
    "node.json",
    "server.key",
    "master.key",
    "dsr.pair",
    "identity-*.json",
)
# Of a workspace's store: files that its entries speak of, each whole before an entry does.
_SPOKEN_OF = ("results/*.zip", "downloads/*.zip")
_COMPLETE = "backup.complete"


def check(data_dir: Path) -> Iterator[tuple[Path, str | None]]:
    """Yield each store of a data folder, and what is wrong with it.

    Raises:
        DataFolderError: it is no data folder.
    """
    for store in stores_of(data_dir):
        damage = damage_of([data_dir / store], is_whole=True)
        yield store, None if damage is None else damage.what


def back_up(data_dir: Path, target: Path) -> int:
    """Copy a data folder as it is at one instant; return how many bytes the copy has.

    Args:
        data_dir: may be served meanwhile, except on a cluster, where each node has its own.
        target: must not exist. It appears when it is complete; its owner alone can read it.

    Raises:
        DataFolderError: no data folder, no room, a target that exists, slots that move or settings
            that change meanwhile, or stores that are written so often that no instant between two
            writes was found.
    """
    _refuse_existing(target)
    refuse_served_on_cluster(data_dir)
    stores = stores_of(data_dir)
    files = _files_of(data_dir)
    with _appearing(target) as partial, ExitStack() as stack:
        environments = [_opened(data_dir / store, stack, len(stores)) for store in stores]
        cut = _cut(environments, stack)
        if _files_of(data_dir) != files:
            raise DataFolderError("slots have moved, or settings have changed; try again")
        for store, environment, txn in zip(stores, environments, cut, strict=True):
            copy = partial / store
            copy.mkdir(0o700, parents=True)
            environment.copy(str(copy), compact=True, txn=txn)
            _copy_spoken_of(data_dir / store, copy)
        for name, content in files.items():
            replace_file(partial / name, content)
        (partial / _COMPLETE).touch()
    return sum(file.stat().st_size for file in target.rglob("*") if file.is_file())


def restore(backup: Path, data_dir: Path) -> None:
    """Make a data folder of a backup.

    Args:
        backup: is read to its end before anything is written.
        data_dir: must not exist, or be empty.

    Raises:
        DataFolderError: the backup is none, or damaged; the folder has something in it; no room.
    """
    if not (backup / _COMPLETE).exists():
        raise DataFolderError(f"{backup} is no complete backup")
    if data_dir.is_dir() and not any(data_dir.iterdir()):
        data_dir.rmdir()
    _refuse_existing(data_dir)
    for store, damage in check(backup):
        if damage is not None:
            raise DataFolderError(f"{backup / store} is damaged: {damage}")
    with _appearing(data_dir) as partial:
        for folder, _, files in os.walk(backup, followlinks=True):
            copy = partial / Path(folder).relative_to(backup)
            copy.mkdir(exist_ok=True)
            for name in files:  # without modes, which whoever carried the backup may have changed
                shutil.copyfile(Path(folder, name), copy / name)
        (partial / _COMPLETE).unlink()


def _files_of(data_dir: Path) -> dict[str, bytes]:
    """Return the small files, with which the stores of an instant have to agree."""
    found = (file for pattern in _FILES for file in data_dir.glob(pattern))
    return {file.name: file.read_bytes() for file in found}


def _copy_spoken_of(store: Path, copy: Path) -> None:
    for pattern in _SPOKEN_OF:
        for file in store.glob(pattern):
            (folder := copy / file.parent.name).mkdir(0o700, exist_ok=True)
            with suppress(FileNotFoundError):  # deleted since, as it will be by who restores
                shutil.copy(file, folder)


def _opened(folder: Path, stack: ExitStack, at_once: int) -> lmdb.Environment:
    if not (folder / FILE).exists():
        removed = (
            "; remove that of a workspace while nothing is served, and start once without it"
            if folder.parent.name == "coordinator"
            else ""
        )
        raise DataFolderError(f"{folder}: there is no {FILE}{removed}")
    return stack.enter_context(opened_to_look(folder, at_once=at_once))


def _cut(environments: list[lmdb.Environment], stack: ExitStack) -> "list[lmdb.Transaction[bytes]]":
    """Return a transaction of each store, all of which saw the newest state at one instant."""
    for _ in range(TRIES):
        with ExitStack() as tried:
            txns = [tried.enter_context(each.begin()) for each in environments]
            pairs = zip(environments, txns, strict=True)
            # If nobody has written since the first began, then all are of now.
            if all(int(each.info()["last_txnid"]) == txn.id() for each, txn in pairs):
                stack.push(tried.pop_all())
                return txns
    raise DataFolderError("the stores are written without a pause; try again with less load")


@contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """Fill a folder under another name; it gets its own once all of it is on disk.

    Its owner alone can read it, and all that is in it.
    """
    partial = target.with_name(f".{target.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(0o700, parents=True)
        yield partial
        for folder, _, files in os.walk(partial):
            for name in files:
                Path(folder, name).chmod(FILE_MODE)
                _fsync(Path(folder, name))
            Path(folder).chmod(0o700)
            _fsync(Path(folder))
        partial.rename(target)
        _fsync(target.parent)
    except (OSError, lmdb.Error) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise DataFolderError(f"{target} cannot be written: {error}") from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise DataFolderError(f"{path} exists already; name a folder that does not")
