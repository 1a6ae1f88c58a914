"""Waits in the midst of a run for a store that is missing: an empty one never takes its place."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event

from actors.errors import DataFolderError
from actors.store.layout import absence_while_served

logger = logging.getLogger("headwater.actors")

LOOK_S = 2.0


def wait_until_there(
    look: Callable[[], str | None],
    message: str,
    told: Mapping[str, object],
    pause: Event | None = None,
) -> None:
    """Return once there is no trouble with a store any more.

    Args:
        look: returns what is the trouble, or raises DataFolderError with it.
        message: logged with each trouble that is another one; `told`: with more of its context.
        pause: waited for between two looks.
    """
    said: str | None = None
    while (trouble := _trouble(look)) is not None:
        if trouble != said:
            extra = {"event": "store_missing", **told, "reason": trouble}
            logger.critical(message, extra=extra)
            said = trouble
        (pause or Event()).wait(LOOK_S)


def wait_for_coordinators(store: Path, *, may_wait: bool) -> None:
    """Wait for a store of the coordinator that there was before.

    Args:
        store: its folder.
        may_wait: the run has begun; before that `serve` has looked.
    """
    if may_wait:
        wait_until_there(
            lambda: absence_while_served(store),
            "the coordinator waits for a store",
            {"store": store.name},
        )


def _trouble(look: Callable[[], str | None]) -> str | None:
    try:
        return look()
    except DataFolderError as error:
        return str(error)
