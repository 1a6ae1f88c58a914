"""The data folder: whose it is, which format it has, and where each store is in it.

    LOCK            held while somebody serves
    layout.json     format, generation and number of shards
    server.key      signs tokens, where no setting does
    master.key      seals the kept workspace documents, where no setting does
    dsr.pair        signs what is said of data subject requests, where no setting does; sealed
    identity-<scope>.json   identity settings that the stores agree with
    coordinator/configuration/          the workspace documents that were applied
    coordinator/scope-<number>/         the coordinator's store of an identity scope
    coordinator/workspace-<number>/     and of a workspace
    shards-<generation>/shard-<number>/     the shards' stores
    spool/<output>/ files that are being written
    limits          counters of rate limits
    node.json       on a cluster: whose the folder is; other nodes have it and their shards' stores

A change of the number of shards makes a new generation beside the old one; `layout.json` is then
replaced in one step, so that a crash leaves either the one or the other.
"""

import os
import re
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from actors.clock import Clock
from actors.errors import DataFolderError
from actors.store.checking import FILE, damage_of
from actors.store.environment import lock_folder
from actors.store.files import replace_file, wait_until_free
from actors.store.moving import settle_folder
from actors.store.placement import NODE_FILE, NodeFolder, placed, stores_of_node
from actors.store.resharding import reshard
from actors.store.slots import Run, SlotMap, even

FORMAT = 3
LAYOUT_FILE = "layout.json"

_GENERATION = re.compile(r"shards-\d+")  # and not a copy that somebody has made of one
# And not one that a repair has set aside, or left half made.
_COORDINATORS = re.compile(r"configuration|(scope|workspace)-\d+")


class _Layout(Struct, frozen=True):
    """What `layout.json` says. A newer format may have more; its number is what counts."""

    format: int
    generation: int
    shards: int
    nodes: tuple[str, ...] = ()  # of each shard; empty without a cluster
    deployment: str = ""
    is_begun: bool = False  # of before `made`: there have been all
    made: int = 0  # how many stores of a cluster there have been: none is made anew
    runs: tuple[Run, ...] = ()  # who owns which slots; empty: all as many
    epoch: int = 0  # of that map


class DataFolder:
    """A data folder that this process holds, until `close`."""

    def __init__(
        self,
        path: Path,
        shards: int,
        map_size_bytes: int,
        clock: Clock,
        nodes: Sequence[str] = (),
    ) -> None:
        """Take the folder, make it if it is new, and bring it to a number of shards.

        Args: `nodes` of the cluster that have shards.

        Raises:
            DataFolderError: in use, of a newer format, damaged, or not writable; its shards are
                on other nodes than these.
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
            self._layout = self._prepare(shards, map_size_bytes, clock, nodes)
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
    def nodes(self) -> tuple[str, ...]:
        """The node of each shard; empty without a cluster."""
        return self._layout.nodes

    @property
    def node_folder(self) -> NodeFolder | None:
        """The data folder as each node of the cluster has it; `None` without a cluster."""
        return NodeFolder(self.path, self._layout.deployment) if self.nodes else None

    @property
    def made(self) -> int:
        """How many shards of a cluster have had a store: none of these is made anew."""
        return self._layout.made

    @property
    def slots(self) -> SlotMap:
        """Which shard owns which slots."""
        return _slots_of(self._layout)

    def move_slots(self, slots: SlotMap) -> None:
        """Have slots owned by other shards, from now on; on disk when this returns.

        Raises:
            OSError: it may be so or not; `slots` tells.
        """
        try:
            self._write_layout(replace(self._layout, runs=slots.runs, epoch=slots.epoch))
        finally:
            self._layout = _read_layout(self.path) or self._layout

    def begun(self) -> None:
        """Note that all stores of the cluster have been made."""
        if self.nodes and self.made < self._layout.shards:
            self._layout = replace(self._layout, made=self._layout.shards)
            self._write_layout(self._layout)

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
        replace_file(self.path / name, content)

    def close(self) -> None:
        """Let others have the folder."""
        os.close(self._lock)

    def _prepare(
        self, shards: int, map_size_bytes: int, clock: Clock, nodes: Sequence[str]
    ) -> _Layout:
        for store in coordinator_stores(self.coordinator):
            wait_until_free(store, clock)
        layout = found = _read_layout(self.path)
        if layout is None:
            layout = _Layout(FORMAT, 1, shards)
        else:
            for number in range(layout.shards):
                wait_until_free(_shard_folder(self.path, layout, number), clock)
            self._refuse_damaged()
            if layout.shards != shards and not layout.nodes:
                layout = self._move(layout, shards, map_size_bytes)
        if nodes or layout.nodes:
            layout = _placed(layout, shards, nodes, is_new=found is None)
        if layout != found:
            self._write_layout(layout)
        for folder in self.path.iterdir():  # of a move that was cut off, or is done
            is_generation = _GENERATION.fullmatch(folder.name)
            if is_generation and folder != _generation(self.path, layout):
                shutil.rmtree(folder)
        return layout

    def _write_layout(self, layout: _Layout) -> None:
        replace_file(self.path / LAYOUT_FILE, msgspec.json.encode(layout))

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
        slots = _slots_of(layout)
        for number, folder in enumerate(old):
            settle_folder(folder, map_size_bytes, number, slots)
        reshard(old, new, map_size_bytes)
        return moved


def read_slots(path: Path) -> SlotMap:
    """Return which shard of a data folder, which somebody holds, owns which slots.

    Raises:
        DataFolderError: it is none, of another format, or damaged.
    """
    layout = _read_layout(path)
    if layout is None:
        raise DataFolderError(f"{path} is no data folder: it has no layout.json")
    return _slots_of(layout)


def stores_of(path: Path) -> list[Path]:
    """Return the folders of all stores of a data folder, from there.

    Raises:
        DataFolderError: it is none, of another format, or damaged.
    """
    if _is_other_nodes(path):
        return stores_of_node(path)
    layout = _read_layout(path)
    if layout is None:
        raise DataFolderError(f"{path} is no data folder: it has no layout.json")
    if layout.nodes:
        coordinator = coordinator_stores(path / "coordinator")
        return [*(each.relative_to(path) for each in coordinator), *stores_of_node(path)]
    shards = [_shard_folder(path, layout, number) for number in range(layout.shards)]
    found = [*coordinator_stores(path / "coordinator"), *shards]
    return [each.relative_to(path) for each in found]


def refuse_served_on_cluster(path: Path) -> None:
    """Refuse a data folder of a cluster that is served.

    Nobody can look at all nodes at one instant, so what is done to each has to wait until no
    shard changes anything. Other folders are never refused.

    Raises:
        DataFolderError: it is served; or it is no data folder.
    """
    if _is_other_nodes(path) or ((layout := _read_layout(path)) is not None and layout.nodes):
        for store in stores_of(path):
            os.close(lock_folder(path / store))


def place_shard(path: Path, number: int, node: str) -> None:
    """Note that a shard's store has been brought to another node of the cluster.

    Raises:
        DataFolderError: the folder is served; there is no cluster, or no such shard.
    """
    if _read_layout(path) is None:  # nor is a lock made in it
        raise DataFolderError(f"{path} is no data folder of a cluster")
    lock = lock_folder(path)
    try:
        layout = _read_layout(path)  # whoever held it until now may have moved slots
        if layout is None or not layout.nodes:
            raise DataFolderError(f"{path} is no data folder of a cluster")
        if number >= layout.shards:
            raise DataFolderError(f"there is no shard {number}: there are {layout.shards}, from 0")
        nodes = [*layout.nodes[:number], node, *layout.nodes[number + 1 :]]
        changed = replace(layout, nodes=tuple(nodes))
        replace_file(path / LAYOUT_FILE, msgspec.json.encode(changed))
    finally:
        os.close(lock)


def coordinator_stores(coordinator: Path) -> list[Path]:
    """Return the folders of all stores of the coordinator that there are."""
    found = sorted(coordinator.glob("*/"))
    return [each for each in found if _COORDINATORS.fullmatch(each.name)]


def scope_store(coordinator: Path, scope: int) -> Path:
    """Return the folder of the coordinator's store of an identity scope."""
    return coordinator / f"scope-{scope}"


def workspace_store(coordinator: Path, workspace: int) -> Path:
    """Return the folder of the coordinator's store of a workspace."""
    return coordinator / f"workspace-{workspace}"


def configuration_store(coordinator: Path) -> Path:
    """Return the folder of the coordinator's store of what was applied."""
    return coordinator / "configuration"


def _slots_of(layout: _Layout) -> SlotMap:
    return SlotMap(layout.shards, layout.runs or even(layout.shards).runs, layout.epoch)


def _read_layout(path: Path) -> _Layout | None:
    try:
        encoded = (path / LAYOUT_FILE).read_bytes()
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
    return replace(layout, is_begun=False, made=layout.shards) if layout.is_begun else layout


def _is_other_nodes(path: Path) -> bool:
    """Whether a folder is that of a node of a cluster on which `serve` does not run."""
    return (path / NODE_FILE).exists() and not (path / LAYOUT_FILE).exists()


def _placed(layout: _Layout, shards: int, nodes: Sequence[str], *, is_new: bool) -> _Layout:
    """Return a layout with the node of each shard. Raises DataFolderError as `placed` does."""
    # What was served without a cluster is all on the node of `serve`, the first.
    kept = layout.nodes or (() if is_new else (nodes[0],) * shards)
    return replace(
        layout,
        nodes=placed(kept, shards, nodes),
        deployment=layout.deployment or secrets.token_hex(16),
        made=layout.made if is_new or layout.nodes else layout.shards,
        shards=shards,
        runs=layout.runs or even(layout.shards).runs,  # further shards begin without slots
    )


def _generation(path: Path, layout: _Layout) -> Path:
    return path / f"shards-{layout.generation}"


def _shard_folder(path: Path, layout: _Layout, number: int) -> Path:
    return _generation(path, layout) / f"shard-{number:04d}"
