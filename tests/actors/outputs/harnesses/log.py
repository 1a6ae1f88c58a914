"""The module `log` beside the log of this process, formatted as the server's is."""

import io
import json
import logging
from pathlib import Path
from typing import Any

from server.logs import CollapsingHandler, JsonFormatter
from tests.actors.outputs.harness import Harness, Received, members


class LogHarness(Harness):
    """Lines as they are written."""

    module = "log"
    reaches_network = False
    wrong = (({"include_data": "yes"}, "settings.include_data"),)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._stream = io.StringIO()
        self._handler = CollapsingHandler(self._stream)
        self._handler.setFormatter(JsonFormatter("forwarder", "out"))
        self._logger = logging.getLogger("headwater.output")

    async def start(self) -> None:
        """Listen to the log."""
        self._logger.addHandler(self._handler)
        self._logger.setLevel(logging.INFO)

    async def stop(self) -> None:
        """Listen no more."""
        self._logger.removeHandler(self._handler)
        self._logger.setLevel(logging.NOTSET)

    def settings(self) -> dict[str, Any]:
        """Show what was sent."""
        return {"include_data": True}

    async def received(self) -> list[Received]:
        """Return what the lines say."""
        lines = [json.loads(line) for line in self._stream.getvalue().splitlines()]
        return [
            members(line["delivery_id"], line["ctx"]["data"])
            for line in lines
            if line["event"] == "output_logged"
        ]
