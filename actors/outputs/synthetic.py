"""What a test of an output's settings sends (spec/connections.md, 4.5 and 7.1)."""

import hashlib
import uuid

import orjson

from actors.clock import Clock
from actors.model.deliveries import Delivery
from actors.outputs import dsr_messages
from actors.outputs.dsr_messages import DsrMessage


def synthetic_delivery(output: str, clock: Clock) -> Delivery:
    """Return a delivery of a batch without user and events, of the development environment."""
    payload = orjson.dumps(
        {
            "schema_version": 2,
            "environment": "development",
            "mpid": None,
            "batch_id": 0,
            "timestamp_unixtime_ms": clock.now_ms(),
            "user_identities": [],
            "user_attributes": {},
            "events": [],
        }
    )
    return _delivery(output, clock, payload)


def synthetic_subject_request(output: str, clock: Clock) -> Delivery:
    """Return a delivery of a data subject request of nobody: a receiver has nothing to erase."""
    message = DsrMessage(
        subject_request_id=str(uuid.UUID(int=0)),
        subject_request_type="erasure",
        submitted_ms=clock.now_ms(),
        regulation="unknown",
        subject_identities={},
    )
    return _delivery(output, clock, dsr_messages.encode(message))


def _delivery(output: str, clock: Clock, payload: bytes) -> Delivery:
    now_ms = clock.now_ms()
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
