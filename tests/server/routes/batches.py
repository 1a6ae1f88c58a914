"""Batches and paths that the tests of the Events API send."""

import json
from typing import Any

from tests.server.conftest import T

EVENT: dict[str, Any] = {"event_type": "custom_event", "data": {"event_name": "Opened"}}

GOOD: dict[str, Any] = {"events": [EVENT], "user_identities": {"customer_id": "a"}}

BAD: dict[str, Any] = {"events": [{"data": {}}]}

ONE = ("/v2/events",)

BULK = ("/v2/bulkevents", "/v2/bulkevents/historical")

ALL = (*ONE, *BULK)


def body_for(path: str, batch: Any) -> bytes:
    return json.dumps(batch if path in ONE else [batch]).encode()


def old(batch: dict[str, Any]) -> dict[str, Any]:
    """Give a batch's events a time that the historical endpoint accepts."""
    events = [
        {**event, "data": {**event["data"], "timestamp_unixtime_ms": T - 400_000_000}}
        for event in batch["events"]
    ]
    return {**batch, "events": events}
