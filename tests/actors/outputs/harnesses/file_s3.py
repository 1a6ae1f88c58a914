"""The module `file` beside an S3 server."""

from itertools import count
from pathlib import Path
from typing import Any

from tests.actors.outputs.harness import Fault, Received, members
from tests.actors.outputs.harnesses.file import FileHarness
from tests.actors.outputs.s3_server import S3Server, shared_s3

_numbers = count(1)


class FileS3Harness(FileHarness):
    """A bucket."""

    faults = frozenset({"retryable"})
    reaches_network = True
    secrets = {"storage_options": {"key": "hidden", "secret": "hidden"}}  # noqa: RUF012  # read only
    wrong = (
        ({"url": "/tmp/x"}, "settings.url"),
        ({"compression": "snappy"}, "settings"),
    )

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._bucket = f"contract-{next(_numbers)}"

    @property
    def _server(self) -> S3Server:
        return shared_s3()

    async def start(self) -> None:
        """Make the bucket."""
        self._server.client.mkdir(self._bucket)

    def settings(self) -> dict[str, Any]:
        """Write into the bucket."""
        return {
            "url": f"s3://{self._bucket}/lake",
            "storage_options": self._server.options,
            "roll": {"max_wait_s": 1},
        }

    async def set_fault(self, fault: Fault | None) -> None:
        """Remove the bucket."""
        client = self._server.client
        is_there = client.exists(self._bucket)
        if fault is not None and is_there:
            client.rm(self._bucket, recursive=True)
        elif fault is None and not is_there:
            client.mkdir(self._bucket)

    async def received(self) -> list[Received]:
        """Return the rows of all objects, by their names."""
        client = self._server.client
        return [
            members(path, line)
            for path in sorted(client.find(f"{self._bucket}/lake"))
            if "/_manifest/" not in path
            for line in client.cat_file(path).splitlines()
        ]
