"""Why connections do not send, remembered over restarts (spec/connections.md, 1.3).

Of audiences the coordinator knows; this is for connections of inputs.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct, field

logger = logging.getLogger("headwater.forwarder")


class Fault(Struct, frozen=True):
    """Why a connection stopped sending. `message`: the answer's body, up to 10 KiB."""

    faulted_on: str
    reason_code: str
    message: str
    first_delivery_id: str = field(name="first_job_id")


class FaultMemory(Protocol):
    """Where faults are kept by the number of their connection."""

    def read(self) -> dict[int, Fault]:
        """Return those that were written last."""
        ...

    def write(self, faults: Mapping[int, Fault]) -> None:
        """Keep these in the place of those from before. Raises OSError."""
        ...


class FaultFile:
    """A file with the faults of one output, replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[int, Fault]:
        """Return what the file has; nothing if it was never written, or is damaged.

        Raises:
            OSError: it cannot be read.
        """
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[int, Fault])
        except FileNotFoundError:
            return {}
        except msgspec.MsgspecError:
            # What waits is then sent, and refused, once more: better than an output that stands.
            logger.exception("A file of faults is damaged", extra={"event": "faults_damaged"})
            return {}

    def write(self, faults: Mapping[int, Fault]) -> None:
        """Replace the file; whoever reads sees the one before or this one. Raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            file.write(msgspec.json.encode(faults))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)


class NoFaults:
    """Remembers nothing: for what does not outlive its process."""

    def read(self) -> dict[int, Fault]:
        """Return nothing."""
        return {}

    def write(self, faults: Mapping[int, Fault]) -> None:
        """Keep nothing."""
