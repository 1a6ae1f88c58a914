"""A process that others serve without waits for its disk while that takes nothing, or is full.

Without that its constructor would fail, and an actor whose constructor has failed ends the
deployment.
"""

import errno
import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Event

from actors.errors import StoreFull

logger = logging.getLogger("headwater.actors")

LOOK_S = 1.0
DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS})


def wait_for_disk(folder: Path, *, may_wait: bool, pause: Event | None = None) -> None:
    """Return once files can be opened for writing in a folder, or if there is no point in waiting.

    Args:
        folder: of a store.
        may_wait: the run has begun, with this process or without; else nothing is waited for.
        pause: waited for between two looks.
    """
    if may_wait:
        _wait(partial(_trouble, folder), pause)


def wait_for_room(
    begin: Callable[[], None],
    undo: Callable[[], None],
    *,
    may_wait: bool,
    pause: Event | None = None,
) -> None:
    """Begin what has to write something, as often as it takes until the store has room for it.

    Args:
        begin: what is to be done; raises StoreFull.
        undo: called before it is done again.
        may_wait, pause: see `wait_for_disk`.

    Raises:
        StoreFull: there is no room, at the start of a run.
    """

    def attempt() -> str | None:
        try:
            begin()
        except StoreFull as error:
            if not may_wait:
                raise
            undo()
            return str(error)
        return None

    _wait(attempt, pause)


def _wait(look: Callable[[], str | None], pause: Event | None) -> None:
    """Look until there is no trouble any more; a trouble is logged when it is another."""
    said: str | None = None
    while (trouble := look()) is not None:
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
