"""Partial aggregates of groups: how they merge, and what becomes of them in the end."""

from collections.abc import Iterable

from actors.groups.aggregates import AGGREGATIONS
from actors.groups.definitions import GroupAttribute
from actors.store.groups import Partial, Values

MIN_MEMBERS = 2  # a group of one is none


def merged(one: Partial, other: Partial, attributes: Iterable[GroupAttribute]) -> Partial:
    """Return the aggregate of the members of both; `one` may be changed."""
    one.members += other.members
    for attribute in attributes:
        state, more = one.states.get(attribute.id), other.states.get(attribute.id)
        if more is None:
            continue
        if state is not None:
            more = AGGREGATIONS[attribute.type].merge(state, more)
        one.states[attribute.id] = more
    return one


def values_of(partial: Partial, attributes: Iterable[GroupAttribute]) -> Values | None:
    """Return the group attributes of all members together; `None` if they are no group."""
    if partial.members < MIN_MEMBERS:
        return None
    return {
        attribute.id: AGGREGATIONS[attribute.type].result(partial.states[attribute.id])
        for attribute in attributes
        if attribute.id in partial.states
    }
