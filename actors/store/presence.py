"""Whether stores are there that were made before: none of them is begun anew, as an empty one."""

import re
from pathlib import Path

from actors.store.checking import FILE

# And not copies that somebody has made.
_LEFT = re.compile(r"(configuration|(?:scope|workspace|shard)-\d+)\.damaged")


def aside_of(store: Path) -> Path:
    """Return where a repair sets a damaged store aside."""
    return store.with_name(f"{store.name}.damaged")


def repaired_of(store: Path) -> Path:
    """Return where a repair makes what takes the place of a damaged store."""
    return store.with_name(f"{store.name}.repaired")


def is_there(store: Path) -> bool:
    """Whether a store has been made, and is still there."""
    return (store / FILE).exists()


def cut_off_in(folder: Path) -> set[Path]:
    """Return the stores in a folder that a repair which was cut off has taken away.

    Where it has left only the one or the other somebody has decided so since.
    """
    left = (_LEFT.fullmatch(each.name) for each in folder.glob("*.damaged"))
    stores = {folder / each[1] for each in left if each is not None}
    return {each for each in stores if repaired_of(each).exists()}


def absence_of(store: Path, *, must_exist: bool) -> str | None:
    """Return why a store that is not there may not be made; `None` if it is there, or may be.

    Args:
        store: its folder.
        must_exist: it was made before. Else it may not be made where a repair was cut off.
    """
    if is_there(store):
        return None
    left = [each.name for each in (aside_of(store), repaired_of(store)) if each.exists()]
    if len(left) > 1:
        return f"{store} is not there: a repair was cut off, and `headwater data repair` ends it"
    if left:
        return f"{store} is not there, but {left[0]}: bring it back, or give {left[0]} its name"
    if must_exist:
        return f"{store} is not there, as it was before: bring it back, or restore a backup"
    return None
