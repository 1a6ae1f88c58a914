"""Rules about an audience that depend on other objects (spec/audiences.md, 2, 8 and 15)."""

from collections.abc import Mapping, Sequence
from typing import Any

from actors.audiences.catalog import Catalog
from actors.audiences.objects import Audience, Definition, Status
from actors.audiences.readings import Frame, Readings
from actors.audiences.receivers import Neighbours
from actors.audiences.state import AudienceState
from actors.audiences.trees import definitions_of
from actors.errors import AudienceRefused, Problem

RUNNING: frozenset[Status] = frozenset({"activating", "active"})


def refused(code: str, message: str, path: str | None = None) -> AudienceRefused:
    """Make the error of one thing that is wrong."""
    return AudienceRefused(code, [Problem(message, path)])


def frame_of(audience: Audience) -> Frame:
    """Return what a definition of an audience is read for."""
    return Frame(
        number=audience.number,
        type=audience.type,
        workspaces=audience.workspaces,
        inputs=audience.inputs,
    )


def check_name(names: Mapping[str, int], name: str, own: int | None, path: str = "/name") -> None:
    """Check that no other audience of the account has a name, in whatever case.

    `names`: see `Core.names`; `own`: number of the audience, `None` of a new one.

    Raises:
        AudienceRefused: another one has it.
    """
    if names.get(name.casefold(), own) != own:
        raise refused("NAME_NOT_UNIQUE", "Another audience of the account has this name.", path)


def check_places(
    catalog: Catalog, neighbours: Neighbours, workspaces: Sequence[int], inputs: Sequence[int]
) -> None:
    """Check that workspaces and inputs exist and go together (spec/audiences.md, 2).

    Raises:
        AudienceRefused: one does not; or the workspaces have not all the same users, or not the
            own one among them.
    """
    known = {catalog.workspace: catalog} | {
        number: each for number, each in neighbours.items() if each.account == catalog.account
    }
    for index, workspace in enumerate(workspaces):
        path = f"/workspaces/{index}"
        if workspace not in known:
            raise refused("REFERENCE_NOT_FOUND", f"There is no workspace {workspace}.", path)
        if known[workspace].scope != catalog.scope:
            message = f"Workspace {workspace} has another identity scope, thus other users."
            raise refused("INVALID_STATE", message, path)
    if catalog.workspace not in workspaces:
        message = f"Workspace {catalog.workspace}, in which it is made, must be one of them."
        raise refused("INVALID_STATE", message, "/workspaces")
    for index, input_ in enumerate(inputs):
        if not any(input_ in known[each].inputs for each in workspaces):
            message = f"There is no input {input_} in the audience's workspaces."
            raise refused("REFERENCE_NOT_FOUND", message, f"/inputs/{index}")


def check_reach(former: Audience, workspaces: Sequence[int]) -> None:
    """Check that an audience may be about other workspaces: members of one over several are kept
    elsewhere. Raises AudienceRefused."""
    is_split = (len(workspaces) > 1) != (len(former.workspaces) > 1)
    if is_split and former.status in (*RUNNING, "calculating", "ready"):
        message = "Between one workspace and several it changes only while it has no members."
        raise refused("INVALID_STATE", message, "/workspaces")


def check_runnable(
    state: AudienceState,
    catalog: Catalog,
    readings: Readings,
    neighbours: Neighbours,
    audience: Audience,
) -> None:
    """Check that an audience can be evaluated (spec/audiences.md, 8, rule 2).

    Raises:
        AudienceRefused: it has no definition, or what it refers to is not there or not active.
    """
    check_places(catalog, neighbours, audience.workspaces, audience.inputs)
    if audience.type == "static":
        return
    definitions = definitions_by(state, audience)
    if audience.journey is None and not definitions:
        raise refused("INVALID_STATE", "The audience has no definition.", "/definition")
    for each in definitions:
        readings.check(each, frame_of(audience), state)


def definitions_by(state: AudienceState, audience: Audience) -> Sequence[Definition]:
    """Return the definitions that decide who is in an audience: its own, or its journey's."""
    if audience.journey is not None:
        return definitions_of(state.journeys[audience.journey], audience.number)
    return () if audience.definition is None else (audience.definition,)


def reads_input(state: AudienceState, audience: Audience, number: int) -> bool:
    """Tell whether an audience that runs is of an input, or has a criterion that is."""
    if audience.status not in RUNNING and audience.status != "calculating":
        return False
    return number in audience.inputs or any(
        _names_input(each.canonical, number) for each in definitions_by(state, audience)
    )


def active_audiences(state: AudienceState) -> int:
    """Return how many audiences count against the limit of active ones.

    Of journeys' audiences those with an active subscription count (spec/audiences.md, 13).
    """
    connected = {each.audience for each in state.subscriptions.values() if each.is_active}
    return sum(
        each.type == "real_time"
        and each.status in RUNNING
        and (each.milestone is None or each.number in connected)
        for each in state.audiences.values()
    )


def check_unreferenced(state: AudienceState, readings: Readings, number: int) -> None:
    """Check that no other audience refers to one. Raises AudienceRefused, naming those that do."""
    users = [each for each in readings.referring(state, number) if each != number]
    if users:
        listed = ", ".join(map(str, users))
        raise refused("NESTED_AUDIENCE", f"Audiences {listed} refer to this one.")


def _names_input(part: Any, number: int) -> bool:
    """Look for an input in the canonical form of a criterion, and in those within it."""
    if isinstance(part, dict):
        return number in part.get("input_ids", ()) or _names_input(list(part.values()), number)
    return isinstance(part, list) and any(_names_input(each, number) for each in part)
