"""Which audiences of journeys are calculated (spec/audiences.md, 13)."""

from msgspec.structs import replace

from actors.audiences.catalog import Catalog
from actors.audiences.objects import Journey
from actors.audiences.readings import Readings
from actors.audiences.receivers import Neighbours
from actors.audiences.rules import RUNNING, check_runnable
from actors.audiences.state import AudienceState
from actors.audiences.trees import below, members_node


def settle_milestones(
    state: AudienceState, catalog: Catalog, readings: Readings, neighbours: Neighbours
) -> None:
    """Activate the audiences of milestones that are to be calculated, and no others.

    Those are the ones that have an active connection, or a descendant that has one, and those that
    audiences which are evaluated refer to.

    Raises:
        AudienceRefused: one of them cannot be evaluated.
    """
    needed = _needed(state, readings)
    for journey in state.journeys.values():
        for milestone in journey.milestones:
            audience = state.audiences[milestone.audience]
            is_needed = milestone.audience in needed
            if is_needed and audience.status not in RUNNING:
                check_runnable(state, catalog, readings, neighbours, audience)
                state.put(replace(audience, status="activating"))
            elif not is_needed and audience.status in RUNNING:
                state.put(replace(audience, status="inactive"))


def _needed(state: AudienceState, readings: Readings) -> set[int]:
    """Return the audiences that are wanted for themselves, and all that those refer to."""
    connected = {each.audience for each in state.subscriptions.values() if each.is_active}
    wanted = [
        number
        for number, each in state.audiences.items()
        if each.journey is None and each.status in (*RUNNING, "calculating")
    ]
    for journey in state.journeys.values():
        for milestone in journey.milestones:
            with_those_below = [milestone, *below(journey, milestone.number)]
            if any(each.audience in connected for each in with_those_below):
                wanted.append(milestone.audience)
    needed: set[int] = set()
    while wanted:
        number = wanted.pop()
        if number not in needed and number in state.audiences:
            needed.add(number)
            wanted += readings.targets(state, number)
    return needed


def renew_audiences(
    before: Journey,
    after: Journey,
    state: AudienceState,
    readings: Readings,
    workspaces: tuple[int, ...],
) -> None:
    """Give the audiences of milestones a new revision where their members may be others now.

    `workspaces`: that the journey is about now.
    """
    former = {each.number: each for each in before.milestones}
    for milestone in after.milestones:
        if milestone.number not in former:
            continue
        old = members_node(before, former[milestone.number], readings.node)
        new = members_node(after, milestone, readings.node)
        if old != new or before.inputs != after.inputs:
            audience = state.audiences[milestone.audience]
            state.put(
                replace(
                    audience,
                    revision=audience.revision + 1,
                    workspaces=workspaces,
                    inputs=after.inputs,
                    status="activating" if audience.status in RUNNING else audience.status,
                )
            )
