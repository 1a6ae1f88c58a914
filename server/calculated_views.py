"""Calculated attributes as the API shows them (spec/calculated-attributes.md, 1 and 6)."""

from datetime import UTC, datetime
from typing import Any

from actors.calculated.functions.registry import FUNCTIONS
from actors.calculated.objects import CalculatedAttribute, Progress

# Members of an attribute that may be sent back as they were shown; they change nothing.
READ_BACK = frozenset(
    {
        *("id", "active_definition", "trigger", "revision_id", "audience_count"),
        *("created_by", "created_on", "last_modified_by", "last_modified_on"),
        *("activated_by", "activated_on"),
    }
)


def shown_attribute(attribute: CalculatedAttribute, audience_count: int) -> dict[str, Any]:
    """Return one attribute."""
    definition = attribute.active or attribute.draft
    trigger = None if definition is None else FUNCTIONS[definition["calculation_type"]].trigger
    return {
        "id": attribute.number,
        "name": attribute.name,
        "description": attribute.description,
        "draft_definition": attribute.draft,
        "active_definition": attribute.active,
        "trigger": trigger,
        "revision_id": attribute.revision,
        "created_by": attribute.created_by,
        "created_on": _time(attribute.created_ms),
        "last_modified_by": attribute.last_modified_by,
        "last_modified_on": _time(attribute.last_modified_ms),
        "activated_by": attribute.activated_by,
        "activated_on": _time(attribute.activated_ms),
        "audience_count": audience_count,
    }


def shown_activation(attribute: CalculatedAttribute) -> dict[str, Any]:
    """Return whether an attribute is active."""
    return {
        "calculated_attribute_id": attribute.number,
        "is_active": attribute.active is not None,
        "activated_on": _time(attribute.activated_ms),
        "activated_by": attribute.activated_by,
    }


def shown_calculation(attribute: CalculatedAttribute, progress: Progress) -> dict[str, Any]:
    """Return how far the initialization of an attribute is."""
    return {
        "id": attribute.number,
        "name": attribute.name,
        "revision_id": attribute.revision,
        "is_calculated": progress.is_done,
        "calculation_percent_complete": progress.percent,
        "estimated_completion_time": _time(progress.estimated_ms),
    }


def _time(at_ms: int | None) -> str | None:
    if at_ms is None:
        return None
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
