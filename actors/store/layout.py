"""The data folder: which format it has, and where each store is in it.

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

Nothing is held here, and no store is opened: `folder` does that.
"""

import re
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from actors.errors import DataFolderError
from actors.store.files import replace_file
from actors.store.placement import NODE_FILE, stores_of_node
from actors.store.presence import absence_of, cut_off_in, is_there
from actors.store.slots import Run, SlotMap, even

FORMAT = 3
LAYOUT_FILE = "layout.json"

# And not what a repair has set aside, or left half made.
_COORDINATORS = re.compile(r"configuration|(scope|workspace)-\d+")


class Layout(Struct, frozen=True):
    """What `layout.json` says. A newer format may have more; its number is what counts."""

    format: int
    generation: int
    shards: int
    nodes: tuple[str, ...] = ()  # of each shard; empty without a cluster
    deployment: str = ""
    is_begun: bool = False  # of before `made`: there have been all
    made: int = 0  # how many shards' stores there have been: none is made anew
    coordinator: tuple[str, ...] = ()  # its stores, by name, as all had started the last time
    runs: tuple[Run, ...] = ()  # who owns which slots; empty: all as many
    epoch: int = 0  # of that map

    @property
    def slots(self) -> SlotMap:
        """Which shard owns which slots."""
        return SlotMap(self.shards, self.runs or even(self.shards).runs, self.epoch)

    def generation_in(self, path: Path) -> Path:
        """Return the folder of all shards' stores in a data folder."""
        return path / f"shards-{self.generation}"

    def shard_in(self, path: Path, number: int) -> Path:
        """Return the folder of a shard's store in a data folder."""
        return self.generation_in(path) / f"shard-{number:04d}"

    def has_made(self, path: Path, store: Path) -> bool:
        """Whether a store of a data folder was there when all had started."""
        if store.parent == path / "coordinator":
            return store.name in self.coordinator
        return any(store == self.shard_in(path, number) for number in range(self.made))


def read_layout(path: Path) -> Layout | None:
    """Return what `layout.json` of a data folder says; `None` if nobody has taken it yet.

    Raises:
        DataFolderError: it is of another format, or damaged.
    """
    try:
        encoded = (path / LAYOUT_FILE).read_bytes()
    except FileNotFoundError:
        if any(path.glob("shards-*")):
            raise DataFolderError(f"{path} has stores but no layout.json; restore it") from None
        return None
    try:
        layout = msgspec.json.decode(encoded, type=Layout)
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


def write_layout(path: Path, layout: Layout) -> None:
    """Replace `layout.json` of a data folder in one step; on disk when this returns."""
    replace_file(path / LAYOUT_FILE, msgspec.json.encode(layout))


def read_slots(path: Path) -> SlotMap:
    """Return which shard of a data folder, which somebody holds, owns which slots.

    Raises:
        DataFolderError: it is none, of another format, or damaged.
    """
    layout = read_layout(path)
    if layout is None:
        raise DataFolderError(f"{path} is no data folder: it has no layout.json")
    return layout.slots


def stores_of(path: Path) -> list[Path]:
    """Return the folders of all stores of a data folder, from there; those that are missing too.

    Of a cluster's shards it has those that are there.

    Raises:
        DataFolderError: it is none, of another format, or damaged.
    """
    if is_other_nodes(path):
        return stores_of_node(path)
    layout = read_layout(path)
    if layout is None:
        raise DataFolderError(f"{path} is no data folder: it has no layout.json")
    coordinator = path / "coordinator"
    known = {coordinator / name for name in layout.coordinator} | cut_off_in(coordinator)
    found = [
        each.relative_to(path) for each in sorted(known.union(coordinator_stores(coordinator)))
    ]
    if layout.nodes:
        return [*found, *stores_of_node(path)]
    shards = (layout.shard_in(path, number) for number in range(layout.shards))
    return [*found, *(each.relative_to(path) for each in shards)]


def absence_while_served(store: Path) -> str | None:
    """Return why a store that is missing is not made; `None` if it is there, or may be made.

    For who has to open it anew in the midst of a run: what the folder was like at the beginning of
    the run says nothing of its first one.

    Raises:
        DataFolderError: what its data folder has cannot be told.
    """
    if is_there(store):
        return None
    path = store.parent.parent
    layout = read_layout(path)
    if layout is None:
        return f"{path} has no {LAYOUT_FILE}, as it had before: bring it back"
    return absence_of(store, must_exist=layout.has_made(path, store))


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


def is_other_nodes(path: Path) -> bool:
    """Whether a folder is that of a node of a cluster on which `serve` does not run."""
    return (path / NODE_FILE).exists() and not (path / LAYOUT_FILE).exists()
