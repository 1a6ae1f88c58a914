"""Short ways to write batches for the whole-system tests of profiles."""

from typing import Any

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def custom(name: str = "Opened", at_ms: int | None = None, **data: Any) -> dict[str, Any]:
    """Make a custom event."""
    times = {} if at_ms is None else {"timestamp_unixtime_ms": at_ms}
    return {"event_type": "custom_event", "data": {"event_name": name, **times, **data}}


def event(event_type: str, **data: Any) -> dict[str, Any]:
    """Make an event of any type."""
    return {"event_type": event_type, "data": data}


def batch(customer: str | None = "c-1", *events: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Make a batch of production of a customer, `None` for somebody without that identity."""
    identities = members.pop("user_identities", {})
    if customer is not None:
        identities = {"customer_id": customer} | identities
    return {
        "environment": "production",
        "user_identities": identities,
        "events": list(events),
        **members,
    }
