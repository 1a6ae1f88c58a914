"""What the conversions of events share."""

from collections.abc import Mapping
from typing import Any

import orjson
from msgspec import Struct

from actors.outputs.firehose.event_messages import Attributes, Location
from actors.outputs.firehose.registration import Permissions

Data = Mapping[str, Any]  # the `data` of an event of an outgoing batch


class Reading(Struct, frozen=True):
    """What a conversion has to know besides the event.

    Attributes:
        attribution: `attribution_info` of the batch.
        push_provider: whose pushes the module is told of.
    """

    permissions: Permissions
    attribution: Mapping[str, str | None] = {}
    push_provider: str | None = None


def members(data: Data, reading: Reading) -> dict[str, Any]:
    """Return what all events have."""
    location = None
    if reading.permissions.allow_access_location:
        location = to_location(data.get("location"))
    return {
        "id": data["message_id"],
        "timestamp_ms": data["timestamp_unixtime_ms"],
        "source_id": data.get("source_message_id"),
        "session_id": data.get("session_id"),
        "location": location,
    }


def described(data: Data, reading: Reading) -> dict[str, Any]:
    """Return what most events have."""
    flags = data.get("custom_flags") or {}
    return members(data, reading) | {
        "attributes": attributes(data),
        "custom_flags": {
            name: value if isinstance(value, str) else orjson.dumps(value).decode()
            for name, value in flags.items()
            if value is not None
        },
    }


def attributes(data: Data) -> Attributes:
    """Return the custom attributes of an event or a product."""
    found: Attributes = data.get("custom_attributes") or {}
    return found


def to_location(found: Mapping[str, Any] | None) -> Location | None:
    """Return a location that has coordinates."""
    if not found or found.get("latitude") is None or found.get("longitude") is None:
        return None
    return Location(found["latitude"], found["longitude"], found.get("accuracy"))
