"""`sequence`: events in this order (spec/audiences.md, 3.1)."""

from typing import Any

from actors.audiences.criteria import Sequence, Step
from actors.audiences.language.durations import read_duration
from actors.audiences.language.event_filters import read_event_filter
from actors.audiences.language.members import Json, Members
from actors.audiences.language.recency import read_recency
from actors.audiences.language.scope import Scope

MIN_STEPS, MAX_STEPS = 2, 5  # spec/audiences.md, 3.1 and 15


def read_sequence(members: Members, scope: Scope) -> Sequence:
    """Read a sequence."""
    steps, canonical = [], []
    sent = _sent_steps(members)
    for index, value in enumerate(sent):
        part = Members(value, members.at("steps", index), members.context)
        step, form = _read_step(part, scope, is_first=index == 0, is_last=index + 1 == len(sent))
        steps.append(step)
        canonical.append(form)
    members.canonical["steps"] = canonical
    return Sequence(tuple(steps), read_recency(members))


def _sent_steps(members: Members) -> list[Any]:
    sent = members.raw("steps")
    if sent is None:
        members.missing("steps")
        return []
    if not isinstance(sent, list) or len(sent) < MIN_STEPS:
        members.fail("steps", f"must be a list of at least {MIN_STEPS} steps.")
        return []
    if len(sent) > MAX_STEPS:
        message = f"must have at most {MAX_STEPS} steps."
        members.context.fail(members.at("steps"), message, "LIMIT_EXCEEDED")
        return []
    return sent


def _read_step(part: Members, scope: Scope, *, is_first: bool, is_last: bool) -> tuple[Step, Json]:
    criterion = read_event_filter(part, scope)
    if is_first:
        return Step(criterion), part.finish("is not known in a first step.")
    same = part.texts("same")
    within_ms = read_duration(part, "within") if part.has("within") else None
    part.raw("within")
    is_absent = part.optional_boolean("absent") or False
    if is_absent and not is_last:
        part.fail("absent", "is only for the last step.")
    elif is_absent and within_ms is None:
        part.missing("within")
    return Step(criterion, within_ms, tuple(dict.fromkeys(same)), is_absent), part.finish()
