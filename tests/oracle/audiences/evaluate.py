"""Whole definitions, one user at a time (spec/audiences.md, 3 and 5)."""

from actors.audiences.criteria import (
    AudienceMembership,
    CartAbandonment,
    Criterion,
    EventCriterion,
    Group,
    Named,
    Node,
    Sequence,
)
from tests.oracle.audiences.event_criteria import (
    cart_abandonment_holds,
    event_holds,
    sequence_holds,
)
from tests.oracle.audiences.people import Person, Surroundings
from tests.oracle.audiences.user_criteria import user_holds
from tests.oracle.audiences.windows import Now


def is_member(
    node: Node, person: Person, around: Surroundings, now: Now, known_ms: int | None = None
) -> bool:
    """Tell whether a user belongs to a real-time audience (rule 10 and the definition)."""
    return is_in_population(person, around, now) and holds(node, person, around, now, known_ms)


def is_in_population(person: Person, around: Surroundings, now: Now) -> bool:
    """Tell whether audiences may have a user at all."""
    profile, section = person.profile, person.section
    if section is None or section.is_aged_out or profile.is_opted_out:
        return False
    merged = [each.timestamp_ms for each in profile.status_messages if each.kind == "merged_from"]
    return now - max([profile.last_stored_timestamp_ms, *merged]) <= around.lifetime_ms


def holds(
    node: Node, person: Person, around: Surroundings, now: Now, known_ms: int | None = None
) -> bool:
    """Evaluate a definition for a user who has a section.

    Args:
        node: the definition.
        person: whose.
        around: the workspace's.
        now: the instant, in ms.
        known_ms: events later than this are hidden; by default those later than `now`.
    """
    if isinstance(node, Named):
        return criterion_holds(node.criterion, person, around, now, known_ms)
    results = [holds(each, person, around, now, known_ms) for each in node.nodes]
    match node.op:
        case "and":
            return all(results)
        case "or":
            return any(results)
        case "not":
            return not results[0]
        case "exclude":
            return results[0] and not any(results[1:])


def explain(node: Node, person: Person, around: Surroundings, now: Now) -> dict[str, bool]:
    """Return the result of every criterion that has an id."""
    if isinstance(node, Group):
        found: dict[str, bool] = {}
        for each in node.nodes:
            found.update(explain(each, person, around, now))
        return found
    if node.id is None:
        return {}
    return {node.id: criterion_holds(node.criterion, person, around, now)}


def criterion_holds(
    criterion: Criterion,
    person: Person,
    around: Surroundings,
    now: Now,
    known_ms: int | None = None,
) -> bool:
    """Evaluate one criterion; arguments as in `holds`."""
    if isinstance(criterion, AudienceMembership):
        target = around.audiences.get(criterion.audience)
        if target is None:
            is_in = criterion.audience in person.memberships
        else:
            is_in = is_member(target, person, around, now, known_ms)
        return is_in == criterion.is_member
    if not isinstance(criterion, EventCriterion | CartAbandonment | Sequence):
        return user_holds(criterion, person, around.groups, now)
    until = now if known_ms is None else known_ms
    since = now - around.lookback_ms
    events = [seen for seen in person.timeline if since <= seen.t_ms <= until]
    match criterion:
        case EventCriterion():
            return event_holds(criterion, events, now)
        case CartAbandonment():
            return cart_abandonment_holds(criterion, events, now)
        case Sequence():
            return sequence_holds(criterion, events, now)
