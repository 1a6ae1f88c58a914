"""What browser SDKs ask for before they send, and pixels (spec/clients.md, 6.5 and 6.6).

Neither has anything of its own to load here: what an event goes on to is decided on the server.
"""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import orjson

from server.segment.keys import Writer

_NESTED_DEPTH = 8


def segment_settings(write_key: str) -> dict[str, Any]:
    """Return the settings of a Segment source, without integrations but Segment's own."""
    return {
        "integrations": {
            "Segment.io": {
                "apiKey": write_key,
                "unbundledIntegrations": [],
                "addBundledMetadata": True,
            }
        },
        "plan": {"track": {"__default": {"enabled": True, "integrations": {}}}},
        "edgeFunction": {},
        "metrics": {"sampleRate": 0},
    }


def rudder_source(writer: Writer, now_ms: int) -> dict[str, Any]:
    """Return the configuration of a RudderStack source, without destinations."""
    off = {"enabled": False}
    updated = datetime.fromtimestamp(now_ms / 1000, UTC)
    return {
        "source": {
            "id": writer.key.input_id,
            "name": writer.key.input_id,
            "writeKey": writer.key.key,
            "enabled": True,
            "workspaceId": writer.config.workspace_slug,
            "destinations": [],
            "config": {"statsCollection": {"errors": off, "metrics": off}},
            "dataplanes": {},
        },
        "updatedAt": updated.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


def pixel_message(query: str) -> bytes:
    """Return the JSON of the message in a pixel's query, whose dotted names are members of objects.

    Where a name is both a value and an object the one that came first stays.
    """
    message: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True, errors="replace"):
        *path, last = name.split(".", _NESTED_DEPTH)
        holder: Any = message
        for step in path:
            holder = holder.setdefault(step, {}) if isinstance(holder, dict) else None
        if isinstance(holder, dict):
            holder.setdefault(last, value)
    return orjson.dumps(message)
