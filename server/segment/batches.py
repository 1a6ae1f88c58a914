"""One batch of each message (spec/clients.md, 6.3)."""

from typing import Any

import orjson

from server.segment import contexts, people
from server.segment.requests import Message
from server.segment.tracks import meaning_of
from server.segment.values import as_id, as_object, attributes_of

_DEFAULT_NAMES = {"page": "Page", "screen": "Screen"}


def batch_of(message: Message, input_id: str, time_ms: int, *, has_semantic_events: bool) -> bytes:
    """Return the JSON of a batch that says what a message says; an alias has none.

    Args:
        message: valid.
        input_id: whose anonymous ids are devices of its own.
        time_ms: when it happened.
        has_semantic_events: track calls of known names become commerce and lifecycle events.

    Raises:
        orjson.JSONEncodeError: it is nested too deep, or has numbers of more than 64 bits.
    """
    sent = message.members
    context = as_object(sent.get("context"))
    batch: dict[str, Any] = {}
    people.add_identities(batch, sent, input_id)
    contexts.add_context(batch, context, time_ms)
    message_id = as_id(sent.get("messageId"))
    if message_id is not None:
        batch["source_request_id"] = f"segment:{message_id}"
    match message.type:
        case "identify":
            people.add_traits(batch, sent)
        case "group":
            people.add_group(batch, sent)
        case "track":
            batch["events"] = [_track(sent, has_semantic_events)]
        case "page" | "screen":
            batch["events"] = [_view(sent, message.type)]
    for event in batch.get("events", ()):
        data = event["data"]
        data["custom_attributes"] = contexts.event_attributes(context) | data["custom_attributes"]
        data |= contexts.event_members(context)
        data["timestamp_unixtime_ms"] = time_ms
        if message_id is not None:
            data["source_message_id"] = message_id
    return orjson.dumps(batch)


def _track(sent: dict[str, Any], has_semantic_events: bool) -> dict[str, Any]:
    name, properties = sent["event"].strip(), as_object(sent.get("properties"))
    meaning = meaning_of(name, properties) if has_semantic_events else None
    if meaning is None:
        data = {"event_name": name, "custom_event_type": "other"}
        return _event("custom_event", data, properties)
    return _event(meaning.event_type, meaning.data, meaning.rest)


def _view(sent: dict[str, Any], kind: str) -> dict[str, Any]:
    properties = as_object(sent.get("properties"))
    category = as_id(sent.get("category"))
    candidates = (
        as_id(sent.get("name")),
        category,
        as_id(properties.get("title")),
        as_id(properties.get("path")),
    )
    name = next(filter(None, candidates), _DEFAULT_NAMES[kind])
    if category is not None:
        properties = {"category": category, **properties}
    return _event("screen_view", {"screen_name": name}, properties)


def _event(event_type: str, data: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    members = {**data, "custom_attributes": attributes_of(properties)}
    return {"event_type": event_type, "data": members}
