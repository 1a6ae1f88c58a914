"""A process that is started again while its disk is read-only, or gives errors, waits for it.

Without that its constructor would fail, and an actor whose constructor has failed ends the
deployment.
"""

import errno
import logging
import os
from pathlib import Path
from threading import Event

logger = logging.getLogger("headwater.actors")

LOOK_S = 1.0
DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS})


def wait_for_disk(folder: Path, *, is_restarted: bool, pause: Event | None = None) -> None:
    """Return once files can be opened for writing in a folder, or if there is no point in waiting.

    Args:
        folder: of a store.
        is_restarted: the process has served before, in this run; else nothing is waited for.
        pause: waited for between two looks.
    """
    said: str | None = None
    while is_restarted and (trouble := _trouble(folder)) is not None:
        if trouble != said:
            logger.critical(
                "a process waits for its disk", extra={"event": "disk_unwell", "reason": trouble}
            )
            said = trouble
        (pause or Event()).wait(LOOK_S)


def _trouble(folder: Path) -> str | None:
    try:
        os.close(os.open(folder / "LOCK", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        return os.strerror(error.errno or 0) if error.errno in DISK_ERRORS else None
    return None
