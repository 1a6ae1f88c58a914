"""The module `firehose` beside a service that speaks the protocol."""

import json
from pathlib import Path
from typing import Any

from aiohttp import web

from actors.model.deliveries import Delivery
from tests.actors.forwarding.support import delivery
from tests.actors.outputs.firehose.support import batch, event, registration
from tests.actors.outputs.harness import Received
from tests.actors.outputs.harnesses.webhook import WebhookHarness


class FirehoseHarness(WebhookHarness):
    """A service that takes events."""

    module = "firehose"
    secrets = {  # noqa: RUF012  # read only
        "token": "hidden",
        "client_secret": "hidden",
        "account_settings": {"apiKey": "hidden"},
    }
    wrong = (
        ({"event_url": "ftp://a.example"}, "settings.event_url"),
        ({"dsr_url": "https://a.example:99999/in"}, "settings.dsr_url"),
        ({"timeout_s": "30"}, "settings.timeout_s"),
        ({"registration": {"name": ""}}, "settings.registration"),
    )

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._receiver.answer = lambda request: self._answer(200)

    def settings(self) -> dict[str, Any]:
        """Post to the service; its registration is known already."""
        takes = {
            "supported_event_types": ["custom_event"],
            "account_settings": [{"type": "text", "id": "apiKey", "name": "API key"}],
        }
        registered = registration(event_processing_registration=takes)
        url = self._receiver.url
        return {"event_url": url, "audience_url": url, "registration": registered}

    def delivery(self, number: int, mpid: int) -> Delivery:
        """Return a batch of one custom event."""
        content = batch(event(), batch_id=number, mpid=mpid)
        return delivery(number, mpid=mpid, payload=json.dumps(content).encode())

    def _answer(self, status: int) -> web.Response:
        if status != 200:
            return super()._answer(status)
        message = json.loads(self._receiver.requests[-1][1])
        answer = {"type": "event_processing_response", "id": message["id"]}
        return web.json_response(answer)

    async def received(self) -> list[Received]:
        """Return what was answered with success, probes left out."""
        messages = [(headers, json.loads(body)) for headers, body in self._receiver.requests]
        return [
            Received(headers["x-cdp-delivery-id"], int(each["mpid"]), int(each["source_id"]))
            for headers, each in messages
            if each.get("events")
        ]
