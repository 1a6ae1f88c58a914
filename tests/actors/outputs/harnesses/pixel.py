"""The module `pixel`, which browsers load an image of; nothing is sent to it."""

from typing import Any

from tests.actors.outputs.harness import Harness, Received


class PixelHarness(Harness):
    """Nothing."""

    module = "pixel"
    reaches_network = False
    keeps_nothing = True

    def settings(self) -> dict[str, Any]:
        """An image."""
        return {"pixel_url": "https://partner.example.com/sync"}

    async def received(self) -> list[Received]:
        """Nothing is kept."""
        return []
