"""What the actors' processes are handed by `serve`: settings, version, the way of log lines."""

import ctypes
import logging
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, cast

from config.settings import Settings
from server.log_socket import LogStream
from server.logs import configure_logging, set_level


@dataclass(frozen=True)
class ServeHost:
    """`actors.hosting.Host` of a deployment; sent to every actor.

    Attributes:
        settings: of the installation.
        version: of the program.
        log_socket: where `serve` receives log lines.
    """

    settings: Settings
    version: str
    log_socket: Path

    def enter(self, role: str, instance: str) -> None:
        """Send this process's log lines to `serve`; a signal to end ends it at once.

        Ray would have it go on until the calls that are under way are through, and answer no other
        meanwhile: its successor would wait for those who wait for it. What was acknowledged is on
        disk.
        """
        # Python itself lets only the main thread, in which Ray constructs no asynchronous actor.
        ctypes.CDLL(None).signal(signal.SIGTERM, None)
        stream = cast(TextIO, LogStream(self.log_socket))
        configure_logging(self.settings, role, instance, stream)
        logging.captureWarnings(True)

    def set_log_level(self, logger: str, level: str | None) -> None:
        """Set the level of a logger in this process; `None` is the configured one."""
        set_level(self.settings, logger, level)
