"""What the processes of all actors have in common (`actors/hosted_*.py`, `server/hosted_edge.py`).

They are plain classes, each put together in its constructor. Ray names a process after its class,
so these are called as their role is. A constructor runs again when its process has died; everything
it needs it gets from its arguments and from disk. What a process imports it has to read before it
is back, so each has a file of its own.
"""

import gc
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from actors.errors import StoreDamaged

logger = logging.getLogger("headwater.actors")

# Batches and profiles hold no cycles: counting references frees them. So young objects are looked
# at seldom, and old ones, half a million of them in a full cache, practically never.
GC_THRESHOLDS = (50_000, 20, 1_000_000)


class Host(Protocol):
    """What a process is handed by whoever starts it."""

    version: str

    def enter(self, role: str, instance: str) -> None:
        """Set up the process: where its log lines go, and who they are from."""
        ...

    def set_log_level(self, logger: str, level: str | None) -> None:
        """Set the level of a logger in this process; `None` is the configured one."""
        ...


def settle_memory() -> None:
    """Spare the garbage collector what it could never free; to be called when all is set up."""
    gc.unfreeze()  # what a shard was before slots moved is nobody's any more
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


@contextmanager
def restarting_if_damaged(end: Callable[[int], object] = os._exit) -> Iterator[None]:
    """End the process when its store is damaged: Ray starts it again, and the store is opened anew.

    Whoever has called is answered as after any other death of the process.
    """
    try:
        yield
    except StoreDamaged:
        logger.critical(
            "the store does not work; the process ends, to be started again",
            extra={"event": "store_damaged"},
            exc_info=True,
        )
        end(1)
        raise


class Process:
    """What every actor's process can be asked."""

    def __init__(self, host: Host, role: str, instance: str) -> None:
        """Set up the process; comes before anything else."""
        host.enter(role, instance)
        self._host = host
        self._name = f"{role}-{instance}"

    def __repr__(self) -> str:
        """Return whose process it is; Ray writes that into the process's files of logs."""
        return self._name

    def set_log_level(self, logger: str, level: str | None) -> None:
        """Set the level of a logger of ours; `None` is the configured one."""
        self._host.set_log_level(logger, level)

    def pid(self) -> int:
        """Return the process that answers."""
        return os.getpid()
