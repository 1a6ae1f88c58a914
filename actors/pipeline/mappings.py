"""Step 13, custom mappings: events that go out under another name (spec/connections.md, 2.5)."""

from collections.abc import Sequence
from typing import Any

from actors.model.batches import Event
from actors.pipeline.names import commerce_part
from actors.pipeline.settings import CustomMapping, EventKey, Fixed


def by_source(mappings: Sequence[CustomMapping]) -> dict[EventKey, CustomMapping]:
    """Index mappings; the first of one source wins."""
    found: dict[EventKey, CustomMapping] = {}
    for each in mappings:
        found.setdefault(each.source, each)
    return found


def map_event(mapping: CustomMapping, event: Event, data: dict[str, Any]) -> None:
    """Rename an event, and give it the properties of its mapping in place of its attributes.

    A property whose source the event does not have is left out. Sources are attributes; those of
    commerce events also what the event says of the transaction (`total_amount`).
    """
    member = "screen_name" if event.event_type == "screen_view" else "event_name"
    data[member] = mapping.name
    if mapping.properties is None:
        return
    known = dict(data.get("custom_attributes") or {})
    if event.event_type == "commerce_event":
        details = data.get(commerce_part(event))
        if isinstance(details, dict):
            known = {name: each for name, each in details.items() if _is_plain(each)} | known
    data["custom_attributes"] = {
        target: source.value if isinstance(source, Fixed) else known[source]
        for target, source in mapping.properties
        if isinstance(source, Fixed) or source in known
    }


def _is_plain(value: object) -> bool:
    return not isinstance(value, dict | list)
