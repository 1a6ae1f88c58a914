"""How a batch looks on one connection: the bytes that go out.

Source: spec/connections.md, 6.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import orjson
from msgspec import Struct

from actors.model import Event
from actors.outgoing import inbound_event, outgoing_event

METADATA = ("application_info", "device_info", "source_info")
BATCH_IDS = ("mpid", "batch_id")
EVENT_IDS = ("event_id", "session_id")


class PayloadSettings(Struct, frozen=True):
    """Connection settings as `actors.outputs.connection_settings` compiles them.

    Connections with equal ones share their bytes.

    Attributes:
        excluded_types: event types that do not go out.
        excluded_metadata: paths below the batch, such as `("device_info", "device")`.
    """

    excluded_types: frozenset[str]
    excluded_metadata: tuple[tuple[str, ...], ...]
    unique_id: str | None
    include_location: bool
    include_event_batch_location: bool
    include_metadata: bool
    include_mp_device_id: bool
    include_consent_state: bool
    include_system_notifications: bool
    ids_as_strings: bool
    send_batches_without_events: bool
    is_raw: bool


class Shaped:
    """One batch in the shape of one set of settings; encodes each part once, when it is wanted."""

    def __init__(
        self, batch: dict[str, Any], events: Sequence[Event], settings: PayloadSettings
    ) -> None:
        """Take a batch (`actors.outgoing`) and its events without changing them."""
        self._events = events
        self._encoded: list[bytes | None] = [None] * len(events)
        head = batch
        if settings.is_raw:
            self._encode = inbound_event
        else:
            head = dict(batch)
            _shape_head(head, settings)
            is_whole = settings.include_location and not settings.ids_as_strings
            self._encode = outgoing_event if is_whole else partial(_encode_event, settings)
        self._head = orjson.dumps(head)[:-1]  # its closing brace follows after the events

    def payload(self, indices: list[int]) -> bytes:
        """Return the JSON of the batch with those of its events."""
        encoded = self._encoded
        parts: list[bytes] = []
        for index in indices:
            part = encoded[index]
            if part is None:
                part = encoded[index] = self._encode(self._events[index])
            parts.append(part)
        return b'%b,"events":[%b]}' % (self._head, b",".join(parts))


def _shape_head(head: dict[str, Any], settings: PayloadSettings) -> None:
    if settings.unique_id is not None:
        _add_unique_id(head, settings.unique_id)
    if not settings.include_metadata:
        for name in METADATA:
            head.pop(name, None)
    for path in settings.excluded_metadata:
        _remove(head, path)
    if not settings.include_mp_device_id:
        head.pop("mp_deviceid", None)
    if not settings.include_consent_state:
        head.pop("consent_state", None)
    if not settings.include_event_batch_location and "location" in head.get("context", ()):
        _remove(head, ("context", "location"))
        if not head["context"]:
            del head["context"]
    if not settings.include_system_notifications:
        del head["system_notifications"]
    if settings.ids_as_strings:
        _ids_as_strings(head, BATCH_IDS)


def _encode_event(settings: PayloadSettings, event: Event) -> bytes:
    encoded = outgoing_event(event)
    if not settings.ids_as_strings and event.get("location") is None:
        return encoded
    shaped = orjson.loads(encoded)
    if not settings.include_location:
        shaped["data"].pop("location", None)
    if settings.ids_as_strings:
        _ids_as_strings(shaped["data"], EVENT_IDS)
    return orjson.dumps(shaped)


def _add_unique_id(head: dict[str, Any], kind: str) -> None:
    if kind == "mpid":
        value = None if head["mpid"] is None else str(head["mpid"])
    elif kind == "device_application_stamp":
        value = head.get("mp_deviceid")
    else:
        identities = head["user_identities"]
        found = (entry["identity"] for entry in identities if entry["identity_type"] == kind)
        value = next(found, None)
    if value is not None:
        head["unique_id"] = value


def _remove(parent: dict[str, Any], path: tuple[str, ...]) -> None:
    """Remove a member at any depth, copying the objects on the way: others share them."""
    name, *rest = path
    if not rest:
        parent.pop(name, None)
        return
    child = parent.get(name)
    if isinstance(child, dict):
        parent[name] = child = dict(child)
        _remove(child, tuple(rest))


def _ids_as_strings(members: dict[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if isinstance(members.get(name), int):
            members[name] = str(members[name])
