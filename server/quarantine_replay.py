"""What is sent again of a quarantine batch (spec/data-plans.md, 4.2)."""

from hashlib import sha256
from typing import Any

import orjson
from msgspec import Struct

from actors.batches.identities import batch_identities
from actors.model.batches import Batch
from actors.plans.quarantine import DTO_VERSION

Members = dict[str, Any]
# Of the batch's first time, in the way of a second one, or of the user at that time.
_DROPPED = (
    *("batch_id", "timestamp_unixtime_ms", "source_request_id", "deleted_user_attributes"),
    *("consent_state", "partner_identities"),
)


class ReplayOptions(Struct, frozen=True):
    """What is sent again beside blocked events.

    `event_attributes`: events of which attributes were blocked, as a whole, though they were
    delivered without those; `user_attributes`, `user_identities`: what was blocked of them, and
    the events that tell of its changes. Blocked identities come without the batch's MPID, as beside
    one they would change nothing (spec/identity.md, 9): the user is found by those identities that
    were not blocked.
    """

    event_attributes: bool = False
    user_attributes: bool = False
    user_identities: bool = False


class NoQuarantineBatch(Exception):
    """Something is not the quarantine batch that it should be. Says why."""


class NothingToFindBy(Exception):
    """Blocked identities of an MPID come without others to find the user by. Says what to do."""

    def __init__(self, mpid: Any) -> None:
        super().__init__(
            f"no identity is left to find MPID {mpid} by: add those that were blocked with"
            f" /v1/{mpid}/modify, and replay the rest without --user-identities"
        )


def replayed(batch: Any, options: ReplayOptions) -> Members | None:
    """Return the batch for the Events API that sends again what was blocked.

    Returns:
        `None` if there is nothing to send. Its `source_request_id` follows from what it holds, so
        that a file that is replayed twice is taken once.

    Raises:
        NoQuarantineBatch, NothingToFindBy: see there.
    """
    blocked = _metadata(batch)
    try:
        return _blocked_of(batch, blocked, options)
    except (AttributeError, KeyError, TypeError):
        raise NoQuarantineBatch("its members are not those of a batch") from None


def _blocked_of(batch: Members, blocked: Members, options: ReplayOptions) -> Members | None:
    wanted = set(_texts(blocked, "blocked_event_ids"))
    if options.event_attributes:
        wanted |= {each["event_id"] for each in blocked.get("blocked_event_attributes", ())}
    sent = {name: value for name, value in batch.items() if name not in _DROPPED}
    attributes = _texts(blocked, "blocked_user_attributes")
    user, device = (_texts(blocked, f"blocked_{each}_identities") for each in ("user", "device"))
    # What was not blocked of the user was taken at that time, and may have changed since.
    names = attributes if options.user_attributes else []
    identities = [*user, *device] if options.user_identities else []
    sent["events"] = [
        {**each, "data": {name: v for name, v in each["data"].items() if name != "event_id"}}
        for each in batch.get("events", ())
        if each["data"].get("event_id") in wanted and _is_sent(each, names, identities)
    ]
    kept = batch.get("user_attributes") or {}
    sent["user_attributes"] = {name: kept[name] for name in names if name in kept}
    if identities:
        mpid = sent.pop("mpid", None)
        if mpid is not None and not _has_others(batch, identities):
            raise NothingToFindBy(mpid)
    else:
        sent["user_identities"] = _but(batch.get("user_identities"), user)
        sent["device_info"] = _but(batch.get("device_info"), device)
    if not (sent["events"] or sent["user_attributes"] or identities):
        return None
    sent["context"] = {**batch["context"], "data_plan": _but(_plan(batch), ["block_metadata"])}
    sent = {name: value for name, value in sent.items() if value not in ({}, [])}
    digest = sha256(orjson.dumps([batch.get("batch_id"), sent])).hexdigest()
    return sent | {"source_request_id": f"quarantine-{digest[:32]}"}


def _is_sent(event: Members, attributes: list[str], identities: list[str]) -> bool:
    """Tell whether an event changes nothing of the user but what is wanted."""
    data = event["data"]
    match event["event_type"]:
        case "opt_out":
            return False
        case "user_attribute_change":
            return data.get("user_attribute_name") in attributes
        case "user_identity_change":
            sides = (data.get("new") or {}, data.get("old") or {})
            return any(each.get("identity_type") in identities for each in sides)
    return True


def _has_others(batch: Members, blocked: list[str]) -> bool:
    """Tell whether a batch has an identity to find its user by that was not blocked."""
    found = batch_identities(
        Batch(
            environment="production",
            timestamp_ms=0,
            mp_deviceid=batch.get("mp_deviceid"),
            user_identities=_but(batch.get("user_identities"), blocked),
            device_info=_but(batch.get("device_info"), blocked),
        )
    )
    return bool(found)


def _plan(batch: Any) -> Members:
    context = batch.get("context") if isinstance(batch, dict) else None
    plan = context.get("data_plan") if isinstance(context, dict) else None
    if not isinstance(plan, dict):
        raise NoQuarantineBatch("it names no data plan")
    return plan


def _metadata(batch: Any) -> Members:
    blocked = _plan(batch).get("block_metadata")
    if not isinstance(blocked, dict):
        raise NoQuarantineBatch("it has no block_metadata")
    if blocked.get("dto_version") != DTO_VERSION:
        raise NoQuarantineBatch(f"dto_version is not {DTO_VERSION}")
    return blocked


def _texts(blocked: Members, name: str) -> list[str]:
    return [each for each in blocked.get(name) or () if isinstance(each, str)]


def _but(members: Any, names: list[str]) -> Members:
    return {name: value for name, value in (members or {}).items() if name not in names}
