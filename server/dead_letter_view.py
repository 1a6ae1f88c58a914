"""A dead letter as the Platform API shows it (spec/connections.md, 3.7)."""

from datetime import UTC, datetime
from typing import Any

import orjson

from actors.model.deliveries import DeadLetter


def shown(letter: DeadLetter, connection_id: str) -> dict[str, Any]:
    """Show one in a list, without its payload."""
    delivery = letter.delivery
    return {
        "delivery_id": delivery.delivery_id,
        "connection_id": connection_id,
        "mpid": delivery.mpid,
        "created_on": _moment(delivery.created_ms),
        "first_attempt_on": _moment(delivery.first_attempt_ms),
        "last_attempt_on": _moment(letter.last_attempt_ms),
        "attempts": delivery.attempts,
        "reason": letter.reason,
        "http_status": letter.http_status,
        "response_excerpt": letter.response_excerpt,
        "payload_size": len(delivery.payload),
    }


def shown_whole(letter: DeadLetter, connection_id: str) -> dict[str, Any]:
    """Show one with its payload."""
    return shown(letter, connection_id) | {"payload": orjson.loads(letter.delivery.payload)}


def _moment(ms: int) -> str | None:
    """Write a time as ISO 8601 in UTC, `None` for one that never was."""
    if not ms:
        return None
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
