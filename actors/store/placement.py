"""Which node of a cluster has which shard, and where on a node its data are.

A shard's store stays on the disk of one node; `layout.json` in the data folder of `serve` says on
which. Other nodes have a folder of their own, with the same stores' names and `node.json`, which
says whose they are.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from actors.clock import Clock
from actors.errors import DataFolderError
from actors.store.checking import damage_of
from actors.store.files import replace_file, wait_until_free
from actors.store.permissions import make_private
from actors.store.presence import absence_of, cut_off_in, is_there

# In the environment of `ray start`: the data folder of that node, if its path is another one.
NODE_DATA_DIR = "HEADWATER_NODE_DATA_DIR"
NODE_FILE = "node.json"


class NodeFolder(Struct, frozen=True):
    """The data folder of whichever node of a cluster it is looked at from.

    Attributes:
        path: of the folder on the node of `serve`, and on others unless `NODE_DATA_DIR` is set.
        deployment: whose it is.
    """

    path: Path
    deployment: str

    def here(self, path: Path, environ: Mapping[str, str] = os.environ) -> Path:
        """Return where on this node a path is that `serve` has below its folder."""
        return self._folder(environ) / path.relative_to(self.path)

    def take(self, environ: Mapping[str, str] = os.environ) -> None:
        """Make the folder on this node if it is new.

        Raises:
            DataFolderError: it belongs to another deployment, or cannot be used.
        """
        folder = self._folder(environ)
        file = folder / NODE_FILE
        try:
            make_private(folder)
            if not file.exists():
                replace_file(file, msgspec.json.encode({"deployment": self.deployment}))
            kept = msgspec.json.decode(file.read_bytes())
        except OSError as error:
            raise DataFolderError(f"{folder} cannot be used: {error.strerror}") from error
        except msgspec.DecodeError as error:
            raise DataFolderError(f"{file} is damaged: {error}") from error
        if kept != {"deployment": self.deployment}:
            raise DataFolderError(f"{folder} belongs to another deployment")

    def _folder(self, environ: Mapping[str, str]) -> Path:
        return Path(environ.get(NODE_DATA_DIR) or self.path)


def placed(kept: Sequence[str], shards: int, nodes: Sequence[str]) -> tuple[str, ...]:
    """Return the node of each shard; empty without a cluster.

    Args:
        kept: where they are already, empty if there are none yet.
        shards: how many there are to be.
        nodes: of the settings. New shards go to those that have the fewest.

    Raises:
        DataFolderError: a shard's node is not among them, or there are to be fewer shards.
    """
    if not kept and not nodes:
        return ()
    if absent := sorted(set(kept) - set(nodes)):
        raise DataFolderError(
            f"shards are on the nodes {', '.join(absent)}, which the setting `nodes` lacks"
        )
    if len(kept) > shards:
        raise DataFolderError(
            f"the deployment has {len(kept)} shards, not {shards}: a cluster keeps all it has"
        )
    found = list(kept)
    while len(found) < shards:
        found.append(min(nodes, key=found.count))
    return tuple(found)


def trouble_of(store: Path, clock: Clock, *, must_exist: bool) -> str | None:
    """Return why the store of a shard cannot be opened here, `None` if it can.

    Waits for the process that had it before, which may be ending still.

    Args:
        must_exist: it was made before. Where it is missing, the disk is not the shard's.
    """
    if not is_there(store):
        return absence_of(store, must_exist=must_exist)
    try:
        wait_until_free(store, clock)
    except DataFolderError as error:
        return str(error)
    damage = damage_of([store], is_whole=False)
    return None if damage is None else f"{damage.store} is damaged: {damage.what}"


def stores_of_node(path: Path) -> list[Path]:
    """Return the folders of the stores that a node of a cluster has, from its data folder.

    Also of those that a repair which was cut off has taken away.
    """
    known = set(path.glob("shards-*/shard-????"))
    for generation in path.glob("shards-*"):
        known |= cut_off_in(generation)
    return [each.relative_to(path) for each in sorted(known)]
