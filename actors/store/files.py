"""Small files that are replaced in one step, and folders that are waited for."""

import os
from pathlib import Path
from threading import Event

from actors.clock import Clock
from actors.errors import DataFolderError
from actors.store.environment import lock_folder

WAIT_S = 10.0  # for the processes of a run that was killed to be gone
PAUSE_S = 0.05


def wait_until_free(folder: Path, clock: Clock) -> None:
    """Wait until no process holds a store: those of a run that was killed may still be ending.

    Raises:
        DataFolderError: somebody still holds it after `WAIT_S`.
    """
    deadline = clock.monotonic() + WAIT_S
    while folder.exists():
        try:
            os.close(lock_folder(folder))
        except DataFolderError:
            if clock.monotonic() >= deadline:
                raise
            Event().wait(PAUSE_S)
        else:
            return


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file, readable by its owner only, in one step; it is on disk then."""
    temporary = path.with_name(f".{path.name}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
