"""The batch that a test of an output's settings sends (spec/connections.md, 7.1)."""

import hashlib

import orjson

from actors.clock import Clock
from actors.model.deliveries import Delivery


def synthetic_delivery(output: str, clock: Clock) -> Delivery:
    """Return a delivery of a batch without user and events, of the development environment."""
    now_ms = clock.now_ms()
    payload = orjson.dumps(
        {
            "schema_version": 2,
            "environment": "development",
            "mpid": None,
            "batch_id": 0,
            "timestamp_unixtime_ms": now_ms,
            "user_identities": [],
            "user_attributes": {},
            "events": [],
        }
    )
    digest = hashlib.sha256(f"test|{output}|{now_ms}".encode()).hexdigest()
    return Delivery(
        sequence=0,
        connection=0,
        delivery_id=f"dl_{digest[:32]}",
        mpid=None,
        payload=payload,
        created_ms=now_ms,
        environment="development",
    )
