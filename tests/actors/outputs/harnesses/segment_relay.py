"""The module `segment_relay` beside an HTTP server."""

import json
from typing import Any

from tests.actors.outputs.harness import Received
from tests.actors.outputs.harnesses.webhook import WebhookHarness


class SegmentRelayHarness(WebhookHarness):
    """A server that takes batches of messages."""

    module = "segment_relay"
    secrets = {"write_key": "hidden"}  # noqa: RUF012  # read only
    wrong = (
        ({"url": "ftp://a.example"}, "settings.url"),
        ({"url": "https://a.example:99999/in"}, "settings.url"),
        ({"path": "v1"}, "settings.path"),
        ({"compression": "zip"}, "settings.compression"),
    )

    def settings(self) -> dict[str, Any]:
        """Post to the server."""
        return {"url": self._receiver.url, "write_key": "key"}

    async def received(self) -> list[Received]:
        """Return the messages, tests left out."""
        return [
            Received(each["messageId"], int(each["anonymousId"]), int(each["messageId"]))
            for headers, body in self._receiver.requests
            if "x-cdp-test" not in headers
            for each in json.loads(body)["batch"]
        ]
