"""The time of day that the processes of a deployment read, which can be made to jump."""

import os
import struct
from pathlib import Path

_OFFSET = struct.Struct("<q")  # nanoseconds, as in `skew/sitecustomize.py`
_SKEW = Path(__file__).with_name("skew")


class WallClock:
    """How far it is from the real one, in a file that all of them have mapped into memory."""

    def __init__(self, file: Path) -> None:
        self._file = file
        file.write_bytes(_OFFSET.pack(0))

    def environ(self) -> dict[str, str]:
        """Return what lets Python processes read it."""
        path = os.pathsep.join(filter(None, (str(_SKEW), os.environ.get("PYTHONPATH"))))
        return {"PYTHONPATH": path, "HEADWATER_FAULTS_CLOCK": str(self._file)}

    def is_read_by(self, pid: int) -> bool:
        """Tell whether a process reads it. Raises OSError if it has ended."""
        return f" {self._file}\n" in Path(f"/proc/{pid}/maps").read_text()

    def jump(self, seconds: int) -> None:
        """Be so far from the real one from now on."""
        with self._file.open("r+b") as file:
            file.write(_OFFSET.pack(seconds * 1_000_000_000))
