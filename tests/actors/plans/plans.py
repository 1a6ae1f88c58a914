"""The plan of the worked cases of spec/data-plans.md, and batches that are held against plans."""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from actors.batches.decode import decode_batch
from actors.model.batches import Batch
from actors.plans.document import PlanDocument, compile_document
from actors.plans.findings import Finding
from actors.plans.validation import Entry, validate_batch
from tests.actors.profiles.builders import IOS, WORKSPACE, context

Data = dict[str, Any]


def point(match: Data, definition: Data) -> Data:
    """Make a data point."""
    return {"match": match, "validator": {"type": "json_schema", "definition": definition}}


def custom_match(name: str, kind: str = "other") -> Data:
    """Make the match of a custom event."""
    return {
        "type": "custom_event",
        "criteria": {"event_name": name, "custom_event_type": kind},
    }


def with_attributes(properties: Data, **more: Any) -> Data:
    """Make the schema of an event with such custom attributes and no others."""
    attributes = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **more,
    }
    return {
        "properties": {
            "data": {
                "additionalProperties": True,
                "properties": {"custom_attributes": attributes},
                "required": ["custom_attributes"],
            }
        }
    }


QUOTE = point(
    custom_match("Quote Requested"),
    with_attributes(
        {
            "premium": {"type": "number", "minimum": 0},
            "plan": {"type": "string", "enum": ["basic", "plus"]},
        },
        required=["premium"],
    ),
)
HOME = point({"type": "screen_view", "criteria": {"screen_name": "Home"}}, {})
ATTRIBUTES = point(
    {"type": "user_attributes"},
    {"properties": {"tier": {"type": "string"}}, "additionalProperties": False},
)
IDENTITIES = point(
    {"type": "user_identities", "criteria": None},
    {"properties": {"email": {"type": "string"}}, "additionalProperties": False},
)


def document(
    *more: Data,
    without: Sequence[Data] = (),
    actions: Mapping[str, str] = MappingProxyType({}),
    **named: str,
) -> Data:
    """Make the document of `web_plan`, with further points and with validation actions."""
    points = [each for each in (QUOTE, HOME, ATTRIBUTES) if each not in without]
    written: Data = {"data_points": [*points, *more]}
    if actions or named:
        written["settings"] = {"validation_actions": {**actions, **named}}
    return json.loads(json.dumps(written))  # type: ignore[no-any-return]


def compiled(*more: Data, **actions: str) -> PlanDocument:
    """Compile `document(...)`."""
    return compile_document(document(*more, actions=actions))


def event(event_type: str, **data: Any) -> Data:
    """Make an event as it is sent."""
    return {"event_type": event_type, "data": data}


def quote(attributes: Any, **data: Any) -> Data:
    """Make the planned custom event with custom attributes."""
    return event(
        "custom_event",
        event_name="Quote Requested",
        custom_event_type="other",
        custom_attributes=attributes,
        **data,
    )


def decoded(*events: Data, source: int = IOS, **members: Any) -> Batch:
    """Decode a batch of the development environment."""
    sent = {"environment": "development", "events": list(events), **members}
    return decode_batch(json.dumps(sent).encode(), context(source=source), WORKSPACE)


def entries(plan: PlanDocument, *events: Data, **members: Any) -> list[Entry]:
    """Return what a plan finds in a batch."""
    return validate_batch(plan, decoded(*events, **members))


def findings(plan: PlanDocument, *events: Data, **members: Any) -> list[Finding]:
    """Return what a plan finds in a batch, over all entries."""
    return [found for entry in entries(plan, *events, **members) for found in entry.findings]
