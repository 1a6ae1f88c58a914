"""When a message happened (spec/clients.md, 6.2)."""

from datetime import UTC, datetime
from typing import Any

from server.segment.requests import Sent

MAX_SKEW_MS = 60_000
_END_MS = 253_402_300_800_000  # the year 10000


def event_time_ms(message: dict[str, Any], request: Sent, received_ms: int) -> int:
    """Return the time of a message, moved by how far the client's clock is wrong.

    Args:
        message: its members.
        request: whose own times count where the message has none; RudderStack's Node SDK gives
            there when it sent, and in each message's `originalTimestamp` when that happened.
        received_ms: by our clock; also what counts where the message says nothing readable.
    """
    told = (message.get("timestamp"), message.get("originalTimestamp"), request.timestamp)
    time_ms = _time_ms(next((each for each in told if each is not None), None))
    if time_ms is None:
        return received_ms
    sent_ms = _time_ms(message.get("sentAt") or request.sent_at)
    if sent_ms is not None and abs(received_ms - sent_ms) > MAX_SKEW_MS:
        time_ms += received_ms - sent_ms
    return time_ms


def _time_ms(value: Any) -> int | None:
    """Read ISO 8601, without a zone UTC, or milliseconds since 1970."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return round(value) if 0 < value < _END_MS else None
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    time_ms = round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)
    return time_ms if time_ms > 0 else None
