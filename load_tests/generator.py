"""`ingest` in a process of its own, so that what sends shares nothing with what measures."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import msgspec

from load_tests.server_process import KEY


class LoadFailed(Exception):
    """The load could not be sent; says why, or holds what its process printed."""


class Generator:
    """Sends load to one server.

    Args:
        url, pid: the server's.
        folder: for what the process measures.
        flags: of `ingest`, for every run.
    """

    def __init__(self, url: str, pid: int, folder: Path, **flags: object) -> None:
        self._flags = {"url": url, "pid": pid, **flags}
        self._file = folder / "load.json"

    async def run(self, rate: float | None, seconds: float) -> dict[str, Any]:
        """Send so many batches per second, `None`: as fast as possible; return `ingest`'s report.

        Raises:
            LoadFailed: nothing could be sent.
        """
        flags = self._flags | {
            "rate": "max" if rate is None else rate,
            "seconds": seconds,
            "json": self._file,
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "load_tests", "ingest", *KEY),
            *(
                word
                for name, value in flags.items()
                for word in (f"--{name.replace('_', '-')}", str(value))
            ),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            printed, _ = await process.communicate()
        finally:
            if process.returncode is None:  # nobody waits for it any more
                process.kill()
        if process.returncode:
            raise LoadFailed(printed.decode(errors="replace"))
        report: dict[str, Any] = msgspec.json.decode(self._file.read_bytes())
        return report
