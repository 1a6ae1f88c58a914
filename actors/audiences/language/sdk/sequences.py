"""`then` of audience-sdk documents (spec/audiences.md, 14.1)."""

from typing import Any

from actors.audiences.language.members import Json
from actors.audiences.language.problems import pointer
from actors.audiences.language.sdk.events import EventMembers
from actors.audiences.language.sdk.operands import (
    EVENTS,
    NotTranslatable,
    Path,
    check_members,
    read_operand,
    text_of,
)


def sequence_criterion(expression: Json, place: str) -> Json:
    """Return the sequence that an expression is.

    Raises:
        NotTranslatable: there is none.
    """
    check_members(expression, place, "operator", "sequence")
    sent, at = expression.get("sequence"), pointer(place, "sequence")
    if not isinstance(sent, list) or not sent:
        raise NotTranslatable(at, "must be a list with at least one entry.")
    found: list[EventMembers] = []
    alias = None
    for index, step in enumerate(sent):
        members, alias = _read_step(step, pointer(at, index), alias)
        found.append(members)
    criterion: Json = {"type": "sequence", "steps": [_step(members) for members in found]}
    recency = found[0].bounds.to_recency(found[0].place)
    return criterion if recency is None else criterion | {"recency": recency}


def _read_step(step: Any, place: str, previous: str | None) -> tuple[EventMembers, str]:
    if not isinstance(step, dict):
        raise NotTranslatable(place, "must be an object.")
    check_members(step, place, "alias", "operand", "condition")
    operand = read_operand(step.get("operand"), pointer(place, "operand"))
    if not isinstance(operand, Path) or operand.model != EVENTS:
        raise NotTranslatable(pointer(place, "operand"), f"must be a path of model {EVENTS}.")
    found = EventMembers(place, previous)
    if step.get("condition") is not None:
        found.add_expression(step["condition"], pointer(place, "condition"))
    return found, text_of(step, "alias", place)


def _step(found: EventMembers) -> Json:
    step = found.to_members()
    if found.within is not None:
        step["within"] = found.within
    if found.same:
        step["same"] = found.same
    return step
