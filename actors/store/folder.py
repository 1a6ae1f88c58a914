"""The data folder: whose it is, and what is done to it as it is taken.

`LOCK` in it is held while somebody serves. A change of the number of shards makes a new generation
beside the old one; `layout.json` is then replaced in one step, so that a crash leaves either the
one or the other.
"""

import logging
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec.structs import replace

from actors.clock import Clock
from actors.errors import DataFolderError
from actors.store.checking import damage_of
from actors.store.environment import lock_folder
from actors.store.files import replace_file, wait_until_free
from actors.store.layout import (
    FORMAT,
    Layout,
    configuration_store,
    coordinator_stores,
    is_other_nodes,
    read_layout,
    stores_of,
    write_layout,
)
from actors.store.moving import settle_folder
from actors.store.permissions import make_private
from actors.store.placement import NodeFolder, placed
from actors.store.presence import absence_of, is_there
from actors.store.resharding import reshard
from actors.store.slots import SlotMap, even

logger = logging.getLogger("headwater.serve")

_GENERATION = re.compile(r"shards-\d+")  # and not a copy that somebody has made of one


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
            DataFolderError: in use, of a newer format, damaged, or not writable; a store is
                missing; its shards are on other nodes than these.
            StoreFull: there is no room to change the number of shards.
            StoreDamaged: a store does not work while the number of shards is changed.
        """
        self.path = path
        try:
            make_private(path)
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
        return self._layout.shard_in(self.path, number)

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
        """How many shards have had a store: none of these is made anew."""
        return self._layout.made

    @property
    def slots(self) -> SlotMap:
        """Which shard owns which slots."""
        return self._layout.slots

    def move_slots(self, slots: SlotMap) -> None:
        """Have slots owned by other shards, from now on; on disk when this returns.

        Raises:
            OSError: it may be so or not; `slots` tells.
        """
        try:
            write_layout(self.path, replace(self._layout, runs=slots.runs, epoch=slots.epoch))
        finally:
            self._layout = read_layout(self.path) or self._layout

    def begun(self) -> None:
        """Note which stores there are: all have started, and none may be missing from now on."""
        there = tuple(each.name for each in coordinator_stores(self.coordinator) if is_there(each))
        if gone := set(self._layout.coordinator).difference(there):
            logger.warning(
                "stores of workspaces that are not served are not there any more",
                extra={"event": "stores_gone", "stores": sorted(gone)},
            )
        layout = replace(self._layout, made=self._layout.shards, coordinator=there)
        if layout != self._layout:
            self._layout = layout
            write_layout(self.path, layout)

    def refuse_missing(self, stores: Iterable[Path]) -> None:
        """Refuse to be served without stores of the coordinator that there were before.

        Also without those in whose place a repair has left something.

        Args: `stores` of what is served: others may have been removed.

        Raises:
            DataFolderError: one is missing.
        """
        for store in stores:
            _refuse_missing(store, must_exist=store.name in self._layout.coordinator)

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
    ) -> Layout:
        for store in coordinator_stores(self.coordinator):
            wait_until_free(store, clock)
        layout = found = read_layout(self.path)
        if layout is None:
            layout = Layout(FORMAT, 1, shards)
        else:
            for number in range(layout.shards):
                wait_until_free(layout.shard_in(self.path, number), clock)
            self._refuse_all_missing(layout)
            self._refuse_damaged()
            if layout.shards != shards and not layout.nodes:
                layout = self._move(layout, shards, map_size_bytes)
        if nodes or layout.nodes:
            layout = _placed(layout, shards, nodes, is_new=found is None)
        if layout != found:
            write_layout(self.path, layout)
        for folder in self.path.iterdir():  # of a move that was cut off, or is done
            is_generation = _GENERATION.fullmatch(folder.name)
            if is_generation and folder != layout.generation_in(self.path):
                shutil.rmtree(folder)
        return layout

    def _refuse_all_missing(self, layout: Layout) -> None:
        configuration = configuration_store(self.coordinator)
        _refuse_missing(configuration, must_exist=configuration.name in layout.coordinator)
        if not layout.nodes:  # which look themselves for what they have
            for number in range(layout.shards):
                must_exist = number < layout.made
                _refuse_missing(layout.shard_in(self.path, number), must_exist=must_exist)

    def _refuse_damaged(self) -> None:
        stores = [self.path / store for store in stores_of(self.path)]
        # One that has no file yet is of a run that was cut off while it made it.
        damage = damage_of([each for each in stores if is_there(each)], is_whole=False)
        if damage is not None:
            raise DataFolderError(
                f"{damage.store} is damaged: {damage.what}. "
                "`headwater data check` tells more; restore a backup, or try a repair"
            )

    def _move(self, layout: Layout, shards: int, map_size_bytes: int) -> Layout:
        moved = Layout(
            FORMAT, layout.generation + 1, shards, made=shards, coordinator=layout.coordinator
        )
        if (unfinished := moved.generation_in(self.path)).exists():
            shutil.rmtree(unfinished)
        old = [layout.shard_in(self.path, number) for number in range(layout.shards)]
        new = [moved.shard_in(self.path, number) for number in range(shards)]
        slots = layout.slots
        for number, folder in enumerate(old):
            settle_folder(folder, map_size_bytes, number, slots)
        reshard(old, new, map_size_bytes)
        return moved


def refuse_served_on_cluster(path: Path) -> None:
    """Refuse a data folder of a cluster that is served.

    Nobody can look at all nodes at one instant, so what is done to each has to wait until no
    shard changes anything. Other folders are never refused.

    Raises:
        DataFolderError: it is served; or it is no data folder.
    """
    if is_other_nodes(path) or ((layout := read_layout(path)) is not None and layout.nodes):
        for store in stores_of(path):
            if (path / store).exists():
                os.close(lock_folder(path / store))


def place_shard(path: Path, number: int, node: str) -> None:
    """Note that a shard's store has been brought to another node of the cluster.

    Raises:
        DataFolderError: the folder is served; there is no cluster, or no such shard.
    """
    if read_layout(path) is None:  # nor is a lock made in it
        raise DataFolderError(f"{path} is no data folder of a cluster")
    lock = lock_folder(path)
    try:
        layout = read_layout(path)  # whoever held it until now may have moved slots
        if layout is None or not layout.nodes:
            raise DataFolderError(f"{path} is no data folder of a cluster")
        if number >= layout.shards:
            raise DataFolderError(f"there is no shard {number}: there are {layout.shards}, from 0")
        nodes = [*layout.nodes[:number], node, *layout.nodes[number + 1 :]]
        changed = replace(layout, nodes=tuple(nodes))
        write_layout(path, changed)
    finally:
        os.close(lock)


def _refuse_missing(store: Path, *, must_exist: bool) -> None:
    """Raise DataFolderError if a store is missing."""
    trouble = absence_of(store, must_exist=must_exist)
    if trouble is not None:
        raise DataFolderError(trouble)


def _placed(layout: Layout, shards: int, nodes: Sequence[str], *, is_new: bool) -> Layout:
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
