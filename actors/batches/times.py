"""Event times and session ids (spec/events-api.md, 13)."""

from functools import lru_cache
from typing import Any

from actors.batches.coerce import to_integer
from actors.batches.exact import INT64, takes
from actors.batches.reading import Invalid, Reading

HISTORICAL_AGE_MS = 72 * 3_600_000
FUTURE_MS = 24 * 3_600_000

_OFFSET_BASIS = 14695981039346656037
_PRIME = 1099511628211
_MASK = (1 << 64) - 1


@lru_cache(maxsize=4096)  # the events of a batch share a session; hashing costs about 3 µs
def session_id(session_uuid: str) -> int:
    """Return the signed 64-bit FNV-1a hash of a session's UUID, given in lower case."""
    value = _OFFSET_BASIS
    for byte in session_uuid.encode():
        value = ((value ^ byte) * _PRIME) & _MASK
    return value - (1 << 64) if value >> 63 else value


@takes(INT64)
def to_event_time(value: Any, reading: Reading) -> int | None:
    """Coerce an event's timestamp to its event time (13.1); of historical batches also judge it."""
    now_ms = reading.received_ms
    if type(value) is int and 0 < value <= now_ms and not reading.is_historical:
        return value
    timestamp_ms = to_integer(value, reading)
    if timestamp_ms is None:
        return None
    if timestamp_ms <= 0:
        reading.drops.append("timestamp_invalid")
        timestamp_ms = now_ms
    elif timestamp_ms > now_ms + FUTURE_MS:
        reading.drops.append("timestamp_future")
    if reading.is_historical and timestamp_ms > now_ms - HISTORICAL_AGE_MS:
        raise Invalid("must be at least 72 hours old on this path.")
    return timestamp_ms
