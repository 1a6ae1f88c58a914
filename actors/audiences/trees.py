"""What the audience of a milestone consists of (spec/audiences.md, 13).

Its parent's audience, and its own criteria, and none of those of its siblings to the left.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from actors.audiences.criteria import Group, Node
from actors.audiences.objects import Canonical, Definition, Journey, Milestone

T = TypeVar("T")


def milestone(journey: Journey, number: int) -> Milestone | None:
    """Return a milestone of a journey."""
    return next((each for each in journey.milestones if each.number == number), None)


def siblings(journey: Journey, parent: int | None) -> list[Milestone]:
    """Return the milestones of one split, from the left."""
    found = [each for each in journey.milestones if each.parent == parent]
    return sorted(found, key=lambda each: each.position)


def below(journey: Journey, number: int) -> Iterator[Milestone]:
    """Yield all milestones below one."""
    for each in siblings(journey, number):
        yield each
        yield from below(journey, each.number)


def members_node(journey: Journey, of: Milestone, node: Callable[[Definition], Node]) -> Node:
    """Return what the audience of a milestone means; `node`: what a definition means."""
    return _compiled(journey, of, node, lambda op, nodes: Group(op, tuple(nodes)))


def members_document(journey: Journey, of: Milestone) -> Canonical:
    """Return the definition of a milestone's audience as it is shown."""
    criteria: dict[str, Any] = _compiled(
        journey,
        of,
        lambda definition: definition.canonical["criteria"],
        lambda op, nodes: {"op": op, "nodes": nodes},
    )
    return {"version": 1, "criteria": criteria}


def definitions_of(journey: Journey, audience: int) -> list[Definition]:
    """Return the definitions that a milestone's audience is made of."""
    found: list[Definition] = []
    of = next((each for each in journey.milestones if each.audience == audience), None)
    while of is not None:
        up_to_it = [each for each in siblings(journey, of.parent) if each.position <= of.position]
        found += [each.definition for each in up_to_it if each.definition is not None]
        of = None if of.parent is None else milestone(journey, of.parent)
    return found


def _compiled(
    journey: Journey,
    of: Milestone,
    leaf: Callable[[Definition], T],
    group: Callable[[Any, list[T]], T],
) -> T:
    parent = None if of.parent is None else milestone(journey, of.parent)
    required = [] if parent is None else [_compiled(journey, parent, leaf, group)]
    if of.definition is not None:
        required.append(leaf(of.definition))
    excluded = [
        leaf(each.definition)
        for each in siblings(journey, of.parent)
        if each.position < of.position and each.definition is not None
    ]
    if not required:
        rest = excluded[0] if len(excluded) == 1 else group("or", excluded)
        return group("not", [rest])
    base = required[0] if len(required) == 1 else group("and", required)
    return group("exclude", [base, *excluded]) if excluded else base
