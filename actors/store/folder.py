"""The data folder: whose it is, which format it has, and where each store is in it.

    LOCK            held while somebody serves
    layout.json     format, generation and number of shards
    server.key      signs tokens, where no setting does
    master.key      seals the kept workspace documents, where no setting does
    identity-<scope>.json   identity settings that the stores agree with
    coordinator/configuration/          the workspace documents that were applied
    coordinator/scope-<number>/         the coordinator's store of an identity scope
    coordinator/workspace-<number>/     and of a workspace
    shards-<generation>/shard-<number>/     the shards' stores
    spool/<output>/ files that are being written
    limits          counters of rate limits

A change of the number of shards makes a new generation beside the old one; `layout.json` is then
replaced in one step, so that a crash leaves either the one or the other.
"""

import os
import re
import shutil
from pathlib import Path
from threading import Event

import msgspec
from msgspec import Struct

from actors.clock import Clock
from actors.errors import DataFolderError
from actors.store.checking import FILE, damage_of
from actors.store.environment import lock_folder
from actors.store.resharding import reshard

FORMAT = 3
WAIT_S = 10.0  # for the processes of a run that was killed to be gone
PAUSE_S = 0.05

_GENERATION = re.compile(r"shards-\d+")  # and not a copy that somebody has made of one


class _Layout(Struct, frozen=True):
    """What `layout.json` says. A newer format may have more; its number is what counts."""

    format: int
    generation: int
    shards: int


class DataFolder:
    """A data folder that this process holds, until `close`."""

    def __init__(self, path: Path, shards: int, map_size_bytes: int, clock: Clock) -> None:
        """Take the folder, make it if it is new, and bring it to a number of shards.

        Raises:
            DataFolderError: in use, of a newer format, damaged, or not writable.
            StoreFull: there is no room to change the number of shards.
            StoreDamaged: a store does not work while the number of shards is changed.
        """
        self.path = path
        try:
            # Stores hold what is known of people, and LMDB's files are readable for everybody.
            path.mkdir(0o700, parents=True, exist_ok=True)
            self._lock = lock_folder(path)
        except OSError as error:
            raise DataFolderError(f"{path} cannot be used: {error.strerror}") from error
        try:
            self._layout = self._prepare(shards, map_size_bytes, clock)
        except BaseException:
            os.close(self._lock)
            raise

    def shard(self, number: int) -> Path:
        """Return the folder of a shard's store."""
        return _shard_folder(self.path, self._layout, number)

    @property
    def shards(self) -> list[Path]:
        """The folders of all shards' stores, in order."""
        return [self.shard(number) for number in range(self._layout.shards)]

    @property
    def coordinator(self) -> Path:
        """The folder of the coordinator's stores."""
        return self.path / "coordinator"

    def spool(self, output: str) -> Path:
        """Return the folder in which an output's forwarder keeps unfinished files."""
        return self.path / "spool" / output

    def read(self, name: str) -> bytes | None:
        """Return the content of a file of the folder, `None` if there is none."""
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Replace a file of the folder, readable by its owner only, in one step."""
        _replace(self.path / name, content)

    def close(self) -> None:
        """Let others have the folder."""
        os.close(self._lock)

    def _prepare(self, shards: int, map_size_bytes: int, clock: Clock) -> _Layout:
        for store in self.coordinator.glob("*/"):
            wait_until_free(store, clock)
        layout = found = _read_layout(self.path)
        if layout is None:
            layout = _Layout(FORMAT, 1, shards)
        else:
            for number in range(layout.shards):
                wait_until_free(_shard_folder(self.path, layout, number), clock)
            self._refuse_damaged()
            if layout.shards != shards:
                layout = self._move(layout, shards, map_size_bytes)
        if layout != found:
            _replace(self.path / "layout.json", msgspec.json.encode(layout))
        for folder in self.path.iterdir():  # of a move that was cut off, or is done
            is_generation = _GENERATION.fullmatch(folder.name)
            if is_generation and folder != _generation(self.path, layout):
                shutil.rmtree(folder)
        return layout

    def _refuse_damaged(self) -> None:
        stores = [self.path / store for store in stores_of(self.path)]
        # One that has no file yet is of a run that was cut off while it made it.
        damage = damage_of([each for each in stores if (each / FILE).exists()], is_whole=False)
        if damage is not None:
            raise DataFolderError(
                f"{damage.store} is damaged: {damage.what}. "
                "`headwater data check` tells more; restore a backup, or try a repair"
            )

    def _move(self, layout: _Layout, shards: int, map_size_bytes: int) -> _Layout:
        moved = _Layout(FORMAT, layout.generation + 1, shards)
        if (unfinished := _generation(self.path, moved)).exists():
            shutil.rmtree(unfinished)
        old = [_shard_folder(self.path, layout, number) for number in range(layout.shards)]
        new = [_shard_folder(self.path, moved, number) for number in range(shards)]
        reshard(old, new, map_size_bytes)
        return moved


def stores_of(path: Path) -> list[Path]:
    """Return the folders of all stores of a data folder, from there.

    Raises:
        DataFolderError: it is none, of another format, or damaged.
    """
    layout = _read_layout(path)
    if layout is None:
        raise DataFolderError(f"{path} is no data folder: it has no layout.json")
    shards = [_shard_folder(path, layout, number) for number in range(layout.shards)]
    found = [*sorted((path / "coordinator").glob("*/")), *shards]
    return [each.relative_to(path) for each in found]


def scope_store(coordinator: Path, scope: int) -> Path:
    """Return the folder of the coordinator's store of an identity scope."""
    return coordinator / f"scope-{scope}"


def workspace_store(coordinator: Path, workspace: int) -> Path:
    """Return the folder of the coordinator's store of a workspace."""
    return coordinator / f"workspace-{workspace}"


def configuration_store(coordinator: Path) -> Path:
    """Return the folder of the coordinator's store of what was applied."""
    return coordinator / "configuration"


def wait_until_free(folder: Path, clock: Clock) -> None:
    """Wait until no process holds a store: those of a run that was killed may still be ending.

    Raises:
        DataFolderError: somebody still holds it after `WAIT_S`.
    """
    deadline = clock.monotonic() + WAIT_S
    while folder.exists():
        try:
            os.close(lock_folder(folder))
        except DataFolderError:
            if clock.monotonic() >= deadline:
                raise
            Event().wait(PAUSE_S)
        else:
            return


def _read_layout(path: Path) -> _Layout | None:
    try:
        encoded = (path / "layout.json").read_bytes()
    except FileNotFoundError:
        if any(path.glob("shards-*")):
            raise DataFolderError(f"{path} has stores but no layout.json; restore it") from None
        return None
    try:
        layout = msgspec.json.decode(encoded, type=_Layout)
    except msgspec.DecodeError as error:
        raise DataFolderError(f"{path}/layout.json is damaged: {error}") from error
    if layout.format > FORMAT:
        raise DataFolderError(
            f"{path} was written by a newer version of headwater (format {layout.format}, "
            f"this one knows {FORMAT}); use that version"
        )
    if layout.format < FORMAT:
        raise DataFolderError(
            f"{path} was written by an older version of headwater (format "
            f"{layout.format}, this one knows {FORMAT}); use that version, or an empty folder"
        )
    return layout


def _generation(path: Path, layout: _Layout) -> Path:
    return path / f"shards-{layout.generation}"


def _shard_folder(path: Path, layout: _Layout, number: int) -> Path:
    return _generation(path, layout) / f"shard-{number:04d}"


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
