"""Event tiers: which events are kept (spec/rules.md, 8)."""

from actors.model.batches import Batch, Event
from actors.model.workspaces import WorkspaceInfo

_NAMED_BY = {  # the member of an event's data that names its data point
    "custom_event": "event_name",
    "screen_view": "screen_name",
    "commerce_event": "custom_event_type",  # derived from its action
    "application_state_transition": "application_transition_type",
}


def event_name(event: Event) -> str | None:
    """Return the name of an event's data point; `None` for a screen view that has none.

    The event or screen name, the kind of commerce event (`purchase`) or of state transition; for
    all other events their type.
    """
    member = _NAMED_BY.get(event.event_type)
    return event.event_type if member is None else event.get(member)


def kept_events(batch: Batch, workspace: WorkspaceInfo) -> list[Event]:
    """Return the events of a batch that may be stored: all but those of tier `connect`."""
    default, tiers = workspace.default_tier, workspace.tiers
    if default != "connect" and "connect" not in tiers.values():
        return batch.events
    return [
        event for event in batch.events if tiers.get(event_name(event) or "", default) != "connect"
    ]
