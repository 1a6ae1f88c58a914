"""The module `file` beside a folder of this machine."""

from pathlib import Path
from typing import Any

from tests.actors.outputs.harness import Fault, Harness, Received, members


class FileHarness(Harness):
    """A folder."""

    module = "file"
    faults = frozenset({"gone"})
    reaches_network = False
    keeps_repeats = False
    secrets = {"storage_options": {"secret": "hidden"}}  # noqa: RUF012  # read only
    wrong = (
        ({"url": "/tmp/x"}, "settings.url"),
        ({"roll": {"max_rows": 0}}, "settings.roll.max_rows"),
    )

    @property
    def root(self) -> Path:
        """Where files appear."""
        return self.folder / "out"

    def settings(self) -> dict[str, Any]:
        """Write into the folder."""
        return {"url": f"file://{self.root}", "roll": {"max_wait_s": 1}}

    async def set_fault(self, fault: Fault | None) -> None:
        """Put a file where the folder should be."""
        moved = self.folder / "moved"
        if fault == "gone":
            if self.root.is_dir():
                self.root.rename(moved)
            self.root.write_text("a file where a folder should be")
        elif self.root.is_file():
            self.root.unlink()
            if moved.is_dir():
                moved.rename(self.root)

    async def received(self) -> list[Received]:
        """Return the rows of all files, by the names of the files."""
        return [
            members(path.name, line)
            for path in sorted(self.root.glob("*.ndjson"))
            for line in path.read_bytes().splitlines()
        ]
