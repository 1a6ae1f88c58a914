"""Validates a batch as it is sent, without anything being stored (spec/data-plans.md, 5 and 10).

Values keep the form in which they were written, so that results can name it.
"""

from collections.abc import Mapping
from copy import deepcopy
from json import dumps
from typing import Any

from actors.batches.commerce import ACTION_NAMES
from actors.batches.decode import decode_batch
from actors.batches.identities import canonical_name
from actors.batches.parse import MAX_DEPTH, parse_json
from actors.batches.reading import Fields, Reading
from actors.errors import BatchRejected, Problem
from actors.model.batches import BatchContext
from actors.model.workspaces import InputInfo, WorkspaceInfo
from actors.plans.document import PlanDocument
from actors.plans.results import result_of
from actors.plans.validation import (
    DEVICE_STAMP,
    NAMED_DEVICE_IDENTITIES,
    NOT_PLANNED,
    Looked,
    validate,
)
from actors.plans.values import to_text
from actors.plans.verdict import Verdict, judge

# Whose batch it would be does not matter: any input, no consent, the default limits.
_NOBODY = WorkspaceInfo(
    number=0,
    id="",
    name="",
    account=0,
    organization=0,
    scope=0,
    inputs={0: InputInfo(0, "", "", "platform", "Unknown")},
    priority=(),
    login_ids=frozenset(),
    unique_ids=frozenset(),
    immutable_ids=frozenset(),
)
_CONTEXT = BatchContext(0, "", "server_to_server", 0)
_READING = Reading(_NOBODY, _NOBODY.inputs[0], 0, drops=[])


def try_batch(plan: PlanDocument, batch: Any) -> dict[str, Any]:
    """Validate a batch of the Events API.

    Returns:
        `results`, one for each event or object with violations, and `batch`, what is left of it
        after blocking, `None` if that is nothing. Integers beyond 64 bits are floats in both; of
        those that are attributes the Events API keeps the digits.

    Raises:
        BatchRejected: the Events API would not take it.
    """
    raw = _encode(batch)
    decode_batch(raw, _CONTEXT, _NOBODY)
    batch = parse_json(raw)
    events = [each["data"] for each in _events(batch)]
    entries = validate(
        plan,
        [_looked(each) for each in _events(batch)],
        batch.get("user_attributes") or {},
        _identities(batch),
    )
    results = [
        result_of(each, None if each.index is None else events[each.index], plan.actions)
        for each in entries
    ]
    return {"results": results, "batch": _left(batch, judge(entries, plan.actions))}


def _encode(batch: Any) -> bytes:
    """Return the text of a batch, whatever its JSON values are. Raises BatchRejected."""
    try:
        return dumps(batch).encode()
    except RecursionError:
        message = f"Request body is not valid JSON: nested deeper than {MAX_DEPTH} levels."
        raise BatchRejected([Problem(message)]) from None


def _events(batch: Fields) -> list[Fields]:
    return batch.get("events") or []


def _looked(event: Fields) -> Looked:
    kind, data = event["event_type"].lower(), event["data"]
    if kind == "commerce_event":
        data = data | _named_actions(data)

    def get(name: str) -> Any:
        value = data.get(name)
        if name == "screen_name" and value is None:
            return data.get("event_name")
        return value.lower() if name == "custom_event_type" and isinstance(value, str) else value

    return Looked(kind, get, lambda: data)


def _named_actions(data: Fields) -> Fields:
    """Return the parts that have an action, under the name by which it is planned."""
    return {
        part: data[part] | {"action": to_name(data[part]["action"], _READING)}
        for part, to_name in ACTION_NAMES.items()
        if data.get(part)
    }


def _named(batch: Fields) -> list[tuple[str, Any]]:
    """Return the user identities as they are named, from either of their forms."""
    sent = batch.get("user_identities") or {}
    if isinstance(sent, list):
        return [(each["identity_type"], each.get("identity")) for each in sent]
    return list(sent.items())


def _identities(batch: Fields) -> dict[str, str]:
    found = {
        canonical_name(name) or name: text
        for name, value in _named(batch)
        if (text := (to_text(value) or "").strip()) and name != NOT_PLANNED
    }
    device = batch.get("device_info") or {}
    for name in device.keys() & NAMED_DEVICE_IDENTITIES:
        found[name] = to_text(device[name]) or ""
    found[DEVICE_STAMP] = to_text(batch.get(DEVICE_STAMP)) or ""
    return {name: value for name, value in found.items() if value}


def _left(batch: Fields, verdict: Verdict) -> Fields | None:
    if verdict.drops_batch:
        return None
    if not verdict.blocks:
        return batch
    left = deepcopy(batch)
    events = _events(left)
    for index, paths in verdict.attributes.items():
        for path in paths:
            holder: Any = events[index]
            for part in path[:-1]:
                holder = holder[part]
            del holder[path[-1]]
    if events:
        left["events"] = [
            each
            for index, each in enumerate(events)
            if index not in verdict.events and not _tells_of(each, verdict)
        ]
    _drop(left.get("user_attributes"), verdict.user_attributes)
    _drop(left.get("device_info"), verdict.identities)
    identities = left.get("user_identities")
    if isinstance(identities, dict):
        _drop(identities, [each for each in identities if _is_dropped(each, verdict)])
    elif identities:
        left["user_identities"] = [
            each for each in identities if not _is_dropped(each["identity_type"], verdict)
        ]
    return left


def _drop(members: dict[str, Any] | None, names: list[str]) -> None:
    for name in names:
        if members is not None:
            members.pop(name, None)


def _is_dropped(identity_type: Any, verdict: Verdict) -> bool:
    if not isinstance(identity_type, str):
        return False
    return (canonical_name(identity_type) or identity_type) in verdict.identities


def _tells_of(event: Fields, verdict: Verdict) -> bool:
    """Tell whether an event is about a change of what is dropped."""
    data: Mapping[str, Any] = event["data"]
    match event["event_type"].lower():
        case "user_attribute_change":
            return data.get("user_attribute_name") in verdict.user_attributes
        case "user_identity_change":
            sides = (data.get("new") or {}, data.get("old") or {})
            return any(_is_dropped(each.get("identity_type"), verdict) for each in sides)
    return False
