"""The order of milestones in a split of a journey (spec/audiences.md, 13)."""

from msgspec.structs import replace

from actors.audiences.objects import Journey, Milestone
from actors.audiences.rules import refused
from actors.audiences.trees import siblings


def placed(journey: Journey, made: Milestone, place: int) -> tuple[Milestone, ...]:
    """Return the milestones with one put at a place of its split; remaining users to the right."""
    others = [each for each in siblings(journey, made.parent) if each.number != made.number]
    others.insert(max(place, 0), made)
    others.sort(key=lambda each: each.kind == "remaining_users")
    split = [replace(each, position=index) for index, each in enumerate(others)]
    elsewhere = [each for each in journey.milestones if each.parent != made.parent]
    return tuple(sorted((*elsewhere, *split), key=lambda each: each.number))


def renumbered(journey: Journey, parent: int | None) -> Journey:
    """Close the gap that a deleted milestone leaves in its split."""
    split = {
        each.number: replace(each, position=index)
        for index, each in enumerate(siblings(journey, parent))
    }
    return replace(
        journey,
        milestones=tuple(split.get(each.number, each) for each in journey.milestones),
    )


def check_split(journey: Journey, parent: int | None) -> None:
    """Check that a split has at most one rest, and something that it is the rest of."""
    kinds = [each.kind for each in siblings(journey, parent)]
    if kinds.count("remaining_users") > 1:
        raise refused("INVALID_STATE", "A split has at most one milestone of remaining users.")
    if kinds == ["remaining_users"]:
        raise refused("INVALID_STATE", "Remaining users need a sibling with criteria.")
