"""An S3 server for tests: moto's, in a process of its own, one for a whole run."""

import atexit
import subprocess
import sys
import time
from functools import cache
from typing import Any

import s3fs

from tests.actors.outputs.broker.broker import free_ports
from tests.actors.outputs.harness import DEADLINE_S


class S3Server:
    """Where it listens, and a way to look into it that is not the output's."""

    def __init__(self) -> None:
        [port] = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        atexit.register(self.stop)

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    @property
    def options(self) -> dict[str, Any]:
        """Storage options of a client; any key does."""
        return {"key": "k", "secret": "s", "endpoint_url": self.url}

    @property
    def client(self) -> Any:
        """A file system that remembers nothing of what it saw before."""
        client = s3fs.S3FileSystem(**self.options, use_listings_cache=False)
        client.invalidate_cache()
        return client


@cache
def shared_s3() -> S3Server:
    """Start the server at the first call, and wait until it answers."""
    server = S3Server()
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            server.client.ls("")
        except Exception:  # it does not listen yet
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return server
