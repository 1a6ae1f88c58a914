"""The quarantine batch: a batch as it was sent, with what was blocked of it.

Source: spec/data-plans.md, 4.1; spec/connections.md, 2.6.
"""

from typing import Any

import orjson

from actors.batches.identities import DEVICE_IDENTITIES, USER_IDENTITIES
from actors.model.batches import Event, StoredBatch
from actors.model.deliveries import Delivery
from actors.outgoing import inbound_batch, inbound_event
from actors.pipeline.connection import ConnectionInfo
from actors.plans.blocking import Blocked
from actors.plans.validation import NOT_PLANNED
from actors.steps.enqueue import delivery_id

DTO_VERSION = 1
# Members that are 64-bit integers: written as texts, so that no reader rounds them.
_INT64 = frozenset(
    {
        *("mpid", "batch_id", "event_id", "session_id", "previous_mpid", "current_mpid"),
        "added_to_cart_time_ms",
    }
)
_INT64_END = "_unixtime_ms"
# What senders name themselves.
_FREE = frozenset(
    {
        *("custom_attributes", "custom_flags", "user_attributes", "user_identities"),
        "partner_identities",
    }
)


def quarantine_delivery(
    blocked: Blocked,
    stored: StoredBatch,
    plan: tuple[str, int],
    connection: ConnectionInfo,
) -> Delivery:
    """Make the delivery of a batch of which something was blocked; its sequence is still 0.

    Args:
        blocked: with all ids assigned.
        stored: the batch as it entered validation, with whose it turned out to be.
        plan: id and version of the plan.
        connection: of the version to its quarantine output.
    """
    events = blocked.entered.events
    return Delivery(
        sequence=0,
        connection=connection.number,
        delivery_id=delivery_id(connection.id, blocked.entered.batch_id, 0),
        mpid=stored.mpid,
        payload=orjson.dumps(quarantine_batch(blocked, stored, plan)),
        created_ms=stored.received_ms,
        first_event_ms=events[0].timestamp_ms if events else 0,
        event_count=len(events),
        environment=stored.batch.environment,
    )


def quarantine_batch(
    blocked: Blocked, stored: StoredBatch, plan: tuple[str, int]
) -> dict[str, Any]:
    """Return the batch as JSON values; see `quarantine_delivery`."""
    batch, entered = inbound_batch(stored), blocked.entered
    if batch["mpid"] is None:
        del batch["mpid"]
    if entered.partner_identities:
        batch["partner_identities"] = entered.partner_identities
    if entered.ip is not None:
        batch["ip"] = entered.ip
    plan_id, version = plan
    named = {
        "plan_id": plan_id,
        "plan_version": version,
        "block_metadata": block_metadata(blocked),
    }
    batch["context"] = {**batch.get("context", {}), "data_plan": named}
    batch["events"] = [_event(each) for each in entered.events]
    shown: dict[str, Any] = _with_texts(batch)
    return shown


def block_metadata(blocked: Blocked) -> dict[str, Any]:
    """Return the lists of what was blocked."""
    entered, verdict = blocked.entered, blocked.verdict
    events, identities = entered.events, verdict.identities
    if verdict.drops_batch:
        dropped = range(len(events))
        attributes: list[Any] = []
        user_attributes = list(entered.user_attributes)
        user_identities = [each for each in entered.user_identities if each != NOT_PLANNED]
        device_identities = [each for each in entered.device_info if each in DEVICE_IDENTITIES]
    else:
        dropped = sorted(verdict.events)  # type: ignore[assignment]
        attributes = [
            {
                "event_id": str(events[index].event_id),
                "event_attributes": ["/".join([".", *map(str, path)]) for path in paths],
            }
            for index, paths in sorted(verdict.attributes.items())
        ]
        user_attributes = verdict.user_attributes
        user_identities = [each for each in identities if each in USER_IDENTITIES]
        device_identities = [each for each in identities if each in DEVICE_IDENTITIES]
    return {
        "dto_version": DTO_VERSION,
        "blocked_event_ids": [str(events[index].event_id) for index in dropped],
        "blocked_event_attributes": attributes,
        "blocked_user_attributes": user_attributes,
        "blocked_user_identities": user_identities,
        "blocked_device_identities": device_identities,
    }


def _event(event: Event) -> dict[str, Any]:
    shown: dict[str, Any] = orjson.loads(inbound_event(event))
    shown["data"] = {"event_id": event.event_id, **shown["data"]}
    return shown


def _with_texts(value: Any) -> Any:
    """Return JSON values with their 64-bit integers as texts."""
    if isinstance(value, list):
        return [_with_texts(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {name: each if name in _FREE else _member(name, each) for name, each in value.items()}


def _member(name: str, value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        is_long = name in _INT64 or name.endswith(_INT64_END)
        return str(value) if is_long else value
    return _with_texts(value)
