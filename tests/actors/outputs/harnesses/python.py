"""The module `python` with a class that appends to a file."""

from pathlib import Path
from typing import Any

from tests.actors.outputs.harness import Fault, Harness, Received, members

CODE = """
import asyncio
import json
from pathlib import Path

from actors.outputs.python_jobs import Delivered, Fatal, Job, Result, Retry

HERE = Path(__file__).parent


def written(name):
    file = HERE / name
    return file.read_text() if file.exists() else ""


class Writer:
    def __init__(self, settings):
        self.settings = settings

    async def answer(self):
        fault = await asyncio.to_thread(written, "fault")
        if fault == "slow":
            (HERE / "asked").touch()
            await asyncio.Event().wait()
        if fault == "gone":
            raise ConnectionRefusedError(self.settings.get("password"))
        return {"retryable": Retry("later"), "fatal": Fatal("no", "never")}.get(fault, Delivered())

    async def test(self):
        return await self.answer()

    async def send(self, jobs):
        answer = await self.answer()
        if isinstance(answer, Delivered):
            lines = "".join(json.dumps([each.delivery_id, each.payload]) + "\\n" for each in jobs)
            await asyncio.to_thread(self.append, lines)
        return [answer] * len(jobs)

    def append(self, lines):
        with (HERE / "received").open("a") as file:
            file.write(lines)
"""


class PythonHarness(Harness):
    """A class whose faults are told it in a file."""

    module = "python"
    faults = frozenset({"retryable", "fatal", "slow", "gone"})
    reaches_network = False
    secrets = {"settings": {"password": "hidden"}}  # noqa: RUF012  # read only
    wrong = (
        ({"path": "/etc/crm.py"}, "settings.path"),
        ({"path": "../crm.py"}, "settings.path"),
        ({"path": "crm"}, "settings.path"),
        ({"class": "a b"}, "settings.class"),
        ({"max_jobs": 0}, "settings.max_jobs"),
    )

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._fault = folder / "fault"

    async def start(self) -> None:
        """Write the class."""
        (self.folder / "writer.py").write_text(CODE)

    def settings(self) -> dict[str, Any]:
        """Use it."""
        return {"path": "writer.py", "class": "Writer"}

    def impatient(self) -> dict[str, Any]:
        """Wait as long as a test can."""
        return {"timeout_s": 0.1}

    async def set_fault(self, fault: Fault | None) -> None:
        """Tell the class."""
        self._fault.write_text(fault or "")

    def is_asked(self) -> bool:
        """The class waits."""
        return (self.folder / "asked").exists()

    async def received(self) -> list[Received]:
        """Return the lines of the file."""
        file = self.folder / "received"
        if not file.exists():
            return []
        found = []
        for line in file.read_text().splitlines():
            stable_id, _, payload = line[2:-1].partition('", ')
            found.append(members(stable_id, payload))
        return found
