"""A Redis of the tests' own, installed if it is missing."""

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from tests.installing import install

PROGRAM = "redis-server"
START_S = 10.0


def _program() -> str:
    if shutil.which(PROGRAM) is None:
        assert install(PROGRAM), "there is no Redis, and it cannot be installed"
    found = shutil.which(PROGRAM)
    assert found is not None, "it was just installed"
    return found


class RedisServer:
    """A server on a free port, which keeps nothing over a restart."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.port: int = taken.getsockname()[1]

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def is_running(self) -> bool:
        """Whether it was started, and not stopped since."""
        return self._process is not None

    def start(self, *options: str) -> None:
        """Start it, and wait until it answers."""
        listening = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder))
        self._process = subprocess.Popen(
            [_program(), *listening, "--save", "", "--notify-keyspace-events", "Eg", *options],
            stdout=subprocess.DEVNULL,
        )
        with self.client() as client:
            deadline = time.monotonic() + START_S
            while True:
                try:
                    client.ping()
                except RedisError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.01)
                else:
                    return

    def client(self, **options: str) -> Redis:
        """Return a client."""
        return Redis(port=self.port, decode_responses=True, **options)  # type: ignore[arg-type]

    def hold(self, *, is_held: bool) -> None:
        """Have it answer nothing, or again."""
        assert self._process is not None, "it runs"
        self._process.send_signal(signal.SIGSTOP if is_held else signal.SIGCONT)

    def stop(self) -> None:
        """End it as a crash would; may be called twice."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
