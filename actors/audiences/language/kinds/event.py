"""`event`: so many matching events, or such an aggregate of them (spec/audiences.md, 3.1)."""

from actors.audiences.criteria import EventCriterion
from actors.audiences.language.event_filters import read_event_filter
from actors.audiences.language.frequency import read_aggregate, read_frequency
from actors.audiences.language.members import Members
from actors.audiences.language.recency import read_recency
from actors.audiences.language.scope import Scope


def read_event(members: Members, scope: Scope) -> EventCriterion:
    """Read an event criterion."""
    return EventCriterion(
        filter=read_event_filter(members, scope),
        recency=read_recency(members),
        frequency=read_frequency(members),
        aggregate=read_aggregate(members),
    )
