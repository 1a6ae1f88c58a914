"""What is known of people is for its owner alone: folders and files of stores.

LMDB's own default are files that everybody can read.
"""

import logging
import os
import stat
from pathlib import Path

logger = logging.getLogger("headwater.actors")

FILE_MODE = 0o600


def make_private(folder: Path) -> None:
    """Make a folder that its owner alone can use; one that is there is made so, if it is ours.

    Raises:
        OSError: it cannot be made.
    """
    folder.mkdir(0o700, parents=True, exist_ok=True)
    if not keep_private(folder):
        logger.warning(
            "others can use a folder of stores, and it is not ours to change that",
            extra={"event": "folder_open", "folder": str(folder)},
        )


def keep_private(path: Path) -> bool:
    """Take from everybody else what they may do with a file or folder; return whether it is so.

    It is left as it is where it belongs to somebody else, or is one that many share, like `/tmp`.
    """
    found = path.stat()
    others = stat.S_IMODE(found.st_mode) & (stat.S_IRWXG | stat.S_IRWXO)
    if not others:
        return True
    if found.st_uid != os.geteuid() or found.st_mode & stat.S_ISVTX:
        return False
    try:
        path.chmod(stat.S_IMODE(found.st_mode) & ~(stat.S_IRWXG | stat.S_IRWXO))
    except OSError:  # a file system that has no modes, or is read-only
        return False
    return True
