"""Rules about an audience that depend on other objects (spec/audiences.md, 2, 8 and 15)."""

from collections.abc import Iterable, Iterator
from typing import Any

from actors.audiences import references
from actors.audiences.catalog import Catalog
from actors.audiences.criteria import Node
from actors.audiences.objects import Audience, Definition, Status
from actors.audiences.readings import Readings
from actors.audiences.state import AudienceState
from actors.audiences.trees import definitions_of
from actors.errors import AudienceRefused, Problem

RUNNING: frozenset[Status] = frozenset({"activating", "active"})
# Whose members can be asked for; those of an expired audience stay (spec/audiences.md, 2.1).
READABLE: frozenset[Status] = frozenset({"activating", "active", "ready", "expired"})


def refused(code: str, message: str, path: str | None = None) -> AudienceRefused:
    """Make the error of one thing that is wrong."""
    return AudienceRefused(code, [Problem(message, path)])


def check_name(state: AudienceState, name: str, own: int | None, path: str = "/name") -> None:
    """Check that no other audience has a name, in whatever case. Raises AudienceRefused."""
    folded = name.casefold()
    if any(
        each.name.casefold() == folded and each.number != own for each in state.audiences.values()
    ):
        raise refused("NAME_NOT_UNIQUE", "Another audience has this name.", path)


def check_references(
    state: AudienceState, readings: Readings, number: int | None, node: Node, sent: Any
) -> None:
    """Check what a definition refers to; the last two rules keep nesting at one level.

    Args:
        number: of the audience, `None` if it has none yet or is only asked about.
        sent: the definition as sent, for the paths of problems.

    Raises:
        AudienceRefused: something does not exist, or audiences would be nested in two levels.
    """
    targets = references.audiences(node)
    for target in targets:
        path = _path(sent, "audience_id", target)
        if target == number:
            raise refused("NESTED_AUDIENCE", "An audience cannot refer to itself.", path)
        if target not in state.audiences:
            raise refused("REFERENCE_NOT_FOUND", f"There is no audience {target}.", path)
        if _targets(state, readings, state.audiences[target]):
            message = f"Audience {target} refers to an audience itself; one level is possible."
            raise refused("NESTED_AUDIENCE", message, path)
    if targets and number is not None and (users := referring(state, readings, number)):
        message = f"Audiences {_listed(users)} refer to this one; one level is possible."
        raise refused("NESTED_AUDIENCE", message, "/definition")
    for key, found in (
        ("prediction_id", references.predictions(node)),
        ("segment_id", references.segments(node)),
    ):
        if found:
            kind = key.removesuffix("_id")
            message = f"There is no {kind} {found[0]}."
            raise refused("REFERENCE_NOT_FOUND", message, _path(sent, key, found[0]))


def check_runnable(
    state: AudienceState, catalog: Catalog, audience: Audience, node: Node | None
) -> None:
    """Check that an audience can be evaluated (spec/audiences.md, 8, rule 2).

    Raises:
        AudienceRefused: it has no definition, or what it refers to is not there or not active.
    """
    for input_ in audience.inputs:
        if input_ not in catalog.inputs:
            raise refused("REFERENCE_NOT_FOUND", f"There is no input {input_}.", "/inputs")
    if audience.type == "static":
        return
    if node is None:
        raise refused("INVALID_STATE", "The audience has no definition.", "/definition")
    active = frozenset(catalog.calculated.values())
    for number in references.calculated_attributes(node) - active:
        message = f"There is no active calculated attribute {number}."
        raise refused("REFERENCE_NOT_FOUND", message, "/definition")
    for target in references.audiences(node):
        if target not in state.audiences:
            raise refused("REFERENCE_NOT_FOUND", f"There is no audience {target}.", "/definition")
        if state.audiences[target].status not in READABLE:
            message = f"Audience {target} is not active."
            raise refused("INVALID_STATE", message, "/definition")
    hidden = references.not_personalized(node, catalog)
    if hidden and audience.type == "real_time":
        message = f"Events are not of tier personalize: {', '.join(hidden)}."
        raise refused("TIER_NOT_PERSONALIZE", message, "/definition")


def check_active_limit(state: AudienceState, catalog: Catalog, added: int = 1) -> None:
    """Check that so many more real-time audiences may be active. Raises AudienceRefused.

    Of journeys' audiences those with an active subscription count (spec/audiences.md, 13).
    """
    connected = {each.audience for each in state.subscriptions.values() if each.is_active}
    active = sum(
        each.type == "real_time"
        and each.status in RUNNING
        and (each.milestone is None or each.number in connected)
        for each in state.audiences.values()
    )
    if active + added > catalog.max_active:
        message = f"At most {catalog.max_active} audiences can be active."
        raise refused("LIMIT_EXCEEDED", message)


def check_unreferenced(state: AudienceState, readings: Readings, number: int) -> None:
    """Check that no other audience refers to one. Raises AudienceRefused, naming those that do."""
    users = referring(state, readings, number)
    if users:
        raise refused("NESTED_AUDIENCE", f"Audiences {_listed(users)} refer to this one.")


def referring(state: AudienceState, readings: Readings, number: int) -> list[int]:
    """Return the audiences whose definition refers to one."""
    return sorted(
        each.number
        for each in state.audiences.values()
        if number in _targets(state, readings, each)
    )


def definition_nodes(
    state: AudienceState, readings: Readings, audience: Audience
) -> Iterator[Node]:
    """Yield what the definitions mean that an audience is made of."""
    definitions: Iterable[Definition] = (
        definitions_of(state.journeys[audience.journey], audience.number)
        if audience.journey is not None
        else ()
        if audience.definition is None
        else (audience.definition,)
    )
    for each in definitions:
        yield readings.node(each)


def _targets(state: AudienceState, readings: Readings, audience: Audience) -> set[int]:
    return {
        target
        for node in definition_nodes(state, readings, audience)
        for target in references.audiences(node)
    }


def _path(sent: Any, key: str, value: Any) -> str:
    found = references.pointers(sent, key, {value, str(value)})
    return "/definition" + next(found, "")


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))
