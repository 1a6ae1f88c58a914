"""What is sent again of a quarantine batch (spec/data-plans.md, 4.2)."""

from hashlib import sha256
from typing import Any

import orjson
from msgspec import Struct

from actors.plans.quarantine import DTO_VERSION

Batch = dict[str, Any]
# Of the batch's first time, or in the way of a second one.
_DROPPED = ("batch_id", "timestamp_unixtime_ms", "source_request_id", "deleted_user_attributes")


class ReplayOptions(Struct, frozen=True):
    """What is sent again beside blocked events.

    `event_attributes`: events of which attributes were blocked, as a whole, though they were
    delivered without those; `user_attributes`, `user_identities`: what was blocked of them.
    """

    event_attributes: bool = False
    user_attributes: bool = False
    user_identities: bool = False


class NoQuarantineBatch(Exception):
    """Something is not the quarantine batch that it should be. Says why."""


def replayed(batch: Any, options: ReplayOptions) -> Batch | None:
    """Return the batch for the Events API that sends again what was blocked.

    Returns:
        `None` if there is nothing to send. Its `source_request_id` follows from what it holds, so
        that a file that is replayed twice is taken once.

    Raises:
        NoQuarantineBatch: see there.
    """
    blocked = _metadata(batch)
    wanted = set(_texts(blocked, "blocked_event_ids"))
    if options.event_attributes:
        wanted |= {each["event_id"] for each in blocked.get("blocked_event_attributes", ())}
    sent = {name: value for name, value in batch.items() if name not in _DROPPED}
    sent["events"] = [
        {**each, "data": {name: v for name, v in each["data"].items() if name != "event_id"}}
        for each in batch.get("events", ())
        if each["data"].get("event_id") in wanted
    ]
    # What was not blocked of the user was taken at that time, and may have changed since.
    names = _texts(blocked, "blocked_user_attributes") if options.user_attributes else []
    kept = batch.get("user_attributes") or {}
    sent["user_attributes"] = {name: kept[name] for name in names if name in kept}
    gone = [] if options.user_identities else _texts(blocked, "blocked_user_identities")
    sent["user_identities"] = _but(batch.get("user_identities"), gone)
    device = [] if options.user_identities else _texts(blocked, "blocked_device_identities")
    sent["device_info"] = _but(batch.get("device_info"), device)
    has_identities = options.user_identities and (
        blocked.get("blocked_user_identities") or blocked.get("blocked_device_identities")
    )
    if not (sent["events"] or sent["user_attributes"] or has_identities):
        return None
    sent["context"] = {**batch["context"], "data_plan": _but(_plan(batch), ["block_metadata"])}
    sent = {name: value for name, value in sent.items() if value not in ({}, [])}
    digest = sha256(orjson.dumps([batch.get("batch_id"), sent])).hexdigest()
    return sent | {"source_request_id": f"quarantine-{digest[:32]}"}


def _plan(batch: Any) -> Batch:
    context = batch.get("context") if isinstance(batch, dict) else None
    plan = context.get("data_plan") if isinstance(context, dict) else None
    if not isinstance(plan, dict):
        raise NoQuarantineBatch("it names no data plan")
    return plan


def _metadata(batch: Any) -> Batch:
    blocked = _plan(batch).get("block_metadata")
    if not isinstance(blocked, dict):
        raise NoQuarantineBatch("it has no block_metadata")
    if blocked.get("dto_version") != DTO_VERSION:
        raise NoQuarantineBatch(f"dto_version is not {DTO_VERSION}")
    return blocked


def _texts(blocked: Batch, name: str) -> list[str]:
    return [each for each in blocked.get(name) or () if isinstance(each, str)]


def _but(members: Any, names: list[str]) -> Batch:
    return {name: value for name, value in (members or {}).items() if name not in names}
