"""A module that speaks the protocol, on 127.0.0.1, and what it is sent."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import web

from actors.clock import ManualClock
from actors.model.deliveries import Delivery
from actors.outputs.egress import EgressRules
from actors.outputs.environment import (
    ConnectionTerms,
    OutputEnvironment,
    OutputPlace,
    WorkspaceNames,
)
from actors.outputs.firehose.output import FirehoseOutput
from actors.outputs.firehose.settings import FirehoseSettings
from tests.actors.forwarding.support import Receiver, delivery

NOW_MS = ManualClock().now_ms()
ALL_EVENTS = [
    "session_start",
    "session_end",
    "custom_event",
    "screen_view",
    "error",
    "privacy_setting_change",
    "user_attribute_change",
    "user_identity_change",
    "push_subscription",
    "application_state_transition",
    "push_message_receipt",
    "push_message_open",
    "product_action",
    "promotion_action",
    "impression",
    "attribution",
]
ALL_PERMISSIONS = {
    "allow_access_location": True,
    "allow_access_ip_address": True,
    "allow_access_device_application_stamp": True,
    "allow_device_info": True,
    "allow_user_attributes": True,
    "allow_consent_state": True,
    "allow_audience_user_attributes": True,
    "allow_access_http_user_agent": True,
    "allow_access_mpid": True,
    "allow_platform_fields": True,
    "allow_eventless_batches": True,
    "user_identities": [{"type": "customer", "encoding": "raw"}, {"type": "email"}],
    "device_identities": [{"type": "google_advertising_id"}, {"type": "ios_advertising_id"}],
    "partner_identities": [{"type": "Acme_Id"}],
}


def registration(*, permissions: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return a registration for all three kinds; members of `changes` replace its own."""
    return {
        "type": "module_registration_response",
        "id": "r-1",
        "name": "Acme",
        "version": "1.0",
        "permissions": ALL_PERMISSIONS if permissions is None else dict(permissions),
        "event_processing_registration": {
            "supported_event_types": ALL_EVENTS,
            "supported_system_notification_types": ["gdpr_consent_state", "ccpa_consent_state"],
            "push_messaging_provider_id": "acme-push",
        },
        "audience_processing_registration": {},
        "dsr_processing_registration": {},
    } | changes


class Module(Receiver):
    """Answers as the protocol asks for; `say` changes the answer to one type of request."""

    def __init__(self, registered: Mapping[str, Any] | None = None) -> None:
        super().__init__(self._respond)
        self.registration: Mapping[str, Any] = registered or registration()
        self.say: dict[str, dict[str, Any]] = {}
        self.status = 200
        self.text: str | bytes | None = None
        self.custom: Callable[[dict[str, Any]], web.Response | None] = lambda message: None

    @property
    def messages(self) -> list[dict[str, Any]]:
        """All messages that came, but for registration requests."""
        found = [json.loads(body) for _, body in self.requests if body[:1] == b"{"]
        return [each for each in found if each["type"] != "module_registration_request"]

    def of_type(self, name: str) -> list[dict[str, Any]]:
        """The messages of one type."""
        return [each for each in self.messages if each["type"] == name]

    def _respond(self, request: web.Request) -> web.Response:
        message = json.loads(self.requests[-1][1])
        custom = self.custom(message)
        if custom is not None:
            return custom
        if self.text is not None or self.status != 200:
            text = self.text or "because"
            body = text if isinstance(text, bytes) else text.encode()
            return web.Response(status=self.status, body=body, content_type="text/plain")
        if message["type"] == "module_registration_request":
            return web.json_response(self.registration)
        response = {"type": message["type"].replace("_request", "_response"), "id": message["id"]}
        return web.json_response(response | self.say.get(message["type"], {}))


class MemoryState:
    """`OutputState` in memory; survives the outputs that use it.

    `failing`: raised instead of keeping anything.
    """

    def __init__(self) -> None:
        self.values: dict[str, dict[str, bytes]] = {}
        self.failing: Exception | None = None

    async def output_state(self, output: str) -> dict[str, bytes]:
        """Return a copy."""
        return dict(self.values.get(output, {}))

    async def keep_output_state(self, output: str, changes: Mapping[str, bytes | None]) -> None:
        """Change it."""
        if self.failing is not None:
            raise self.failing
        kept = self.values.setdefault(output, {})
        for name, value in changes.items():
            if value is None:
                kept.pop(name, None)
            else:
                kept[name] = value


class Place:
    """What an output is opened with, and what it has told."""

    def __init__(self, kind: str = "event", settings: Mapping[str, Any] | None = None) -> None:
        """`settings`: of connection 1, by the input "Acme web"."""
        self.clock = ManualClock()
        self.state = MemoryState()
        self.drops: list[tuple[int, str, int]] = []
        place = OutputPlace(
            number=7,
            kind=kind,
            workspace=WorkspaceNames(3, "Acme Shop", 2, "Acme"),
            connections={1: ConnectionTerms("Acme web", settings or {})},
        )
        self.environment = OutputEnvironment(
            "mailer",
            self.clock,
            EgressRules(["127.0.0.1"]),
            Path("unused"),
            place=place,
            state=self.state,
            count_drop=lambda *drop: self.drops.append(drop),
        )

    def restart(self) -> None:
        """Let what is opened from now on be in another process."""
        self.environment = replace(self.environment, memory={})

    def open(self, url: str | None = None, **settings: Any) -> FirehoseOutput:
        """Open an output; `url`: the module's, asked for its registration too."""
        given = {} if url is None else {"registration_url": url}
        return FirehoseOutput(FirehoseSettings.model_validate(given | settings), self.environment)


def event(event_type: str = "custom_event", **data: Any) -> dict[str, Any]:
    """Return an event of an outgoing batch."""
    named = {"event_name": "Viewed"} if event_type == "custom_event" else {}
    return {
        "event_type": event_type,
        "data": {
            "event_id": 11,
            "message_id": "0f8fad5b-d9cb-569f-a165-70867728950e",
            "timestamp_unixtime_ms": NOW_MS,
        }
        | named
        | data,
    }


def batch(*events: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return an outgoing batch of an Android device."""
    return {
        "schema_version": 2,
        "environment": "production",
        "batch_id": 99,
        "mpid": 42,
        "timestamp_unixtime_ms": NOW_MS,
        "source_info": {"channel": "native"},
        "user_identities": [
            {"identity_type": "email", "identity": "Jane.Doe@Example.com"},
            {"identity_type": "other_id_2", "identity": "x-2"},
        ],
        "user_attributes": {"plan": "gold", "tags": ["a", "b"], "vip": None},
        "system_notifications": [],
        "device_info": {
            "platform": "Android",
            "android_advertising_id": "8b1f0c1e-0000-4000-8000-000000000001",
        },
        "events": list(events),
    } | changes


def sent(sequence: int, content: Mapping[str, Any], **changes: Any) -> Delivery:
    """Return a delivery of a batch or message."""
    payload = json.dumps(content).encode()
    return delivery(sequence, 42, payload=payload, **changes)
