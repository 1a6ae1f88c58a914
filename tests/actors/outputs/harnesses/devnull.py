"""The module `devnull`, which has no receiver."""

from typing import Any

from tests.actors.outputs.harness import Harness, Received


class DevnullHarness(Harness):
    """Nothing."""

    module = "devnull"
    reaches_network = False
    keeps_nothing = True

    def settings(self) -> dict[str, Any]:
        """There are none."""
        return {}

    async def received(self) -> list[Received]:
        """Nothing is kept."""
        return []
