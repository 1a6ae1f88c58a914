"""The store of a shard, where its data are: on a cluster on one of the nodes."""

from threading import Event

from msgspec.structs import replace

from actors.clock import Clock
from actors.errors import DataFolderError
from actors.shard_options import StoreOptions
from actors.store.layout import absence_while_served
from actors.store.placement import trouble_of
from actors.store.presence import absence_of
from actors.store_wait import wait_until_there


def found_here(
    options: StoreOptions, clock: Clock, *, may_wait: bool, pause: Event | None = None
) -> StoreOptions:
    """Return options with the folder that the store has on this node.

    A node that comes back may not have its disk yet, or another one, and a disk may go while all
    is served. A shard that others serve without then waits, so that they go on, and never begins
    with an empty store.

    Args:
        options: as `serve` sees them.
        clock: for how long another process may have the store.
        may_wait: the run has begun, with this shard or without it; its store was made before.
        pause: waited for between two looks.

    Raises:
        DataFolderError: it cannot be opened, at the start of a run.
    """
    node_folder = options.node_folder
    folder = options.folder if node_folder is None else node_folder.here(options.folder)

    def look() -> str | None:
        if node_folder is not None:
            node_folder.take()
            return trouble_of(folder, clock, must_exist=options.is_begun or may_wait)
        if may_wait:  # `serve` has looked for damage
            return absence_while_served(folder)
        return absence_of(folder, must_exist=options.is_begun)

    if may_wait:
        told = {"shard": options.number}
        wait_until_there(look, "a shard waits for its store", told, pause)
    elif (trouble := look()) is not None:
        raise DataFolderError(trouble)
    return replace(options, folder=folder)
