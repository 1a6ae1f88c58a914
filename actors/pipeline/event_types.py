"""Steps 11 and 12: event types that the output and the connection take, and the age of events."""

from actors.model.batches import Event
from actors.pipeline.candidate import Candidate, Step
from actors.pipeline.names import commerce_part

HOUR_MS = 3_600_000


def supporting(event_types: frozenset[str]) -> Step:
    """Make the part of step 11 that leaves out what the module cannot take."""

    def is_supported(event: Event) -> bool:
        if event.event_type in event_types:
            return True
        return event.event_type == "commerce_event" and commerce_part(event) in event_types

    def check_support(candidate: Candidate) -> None:
        candidate.keep(is_supported, "unsupported_type")

    return check_support


def without_types(excluded: frozenset[str]) -> Step:
    """Make the part of step 11 that leaves out what the connection's toggles switch off."""

    def is_wanted(event: Event) -> bool:
        return event.event_type not in excluded

    def check_toggles(candidate: Candidate) -> None:
        # Nearly always there is none, and a call per event would cost more than this.
        if not excluded.isdisjoint([each.event_type for each in candidate.stored.batch.events]):
            candidate.keep(is_wanted, "setting")

    return check_toggles


def refuse_eventless(candidate: Candidate) -> str | None:
    """Refuse a batch that has come without events, where a connection does not want those."""
    return None if candidate.stored.batch.events else "setting"


def younger_than(hours: float) -> Step:
    """Make step 12: what is older at receipt is left out."""
    most_ms = hours * HOUR_MS

    def check_age(candidate: Candidate) -> None:
        oldest_ms = candidate.stored.received_ms - most_ms

        def is_young(event: Event) -> bool:
            return event.timestamp_ms >= oldest_ms

        candidate.keep(is_young, "event_arrived_late")

    return check_age
