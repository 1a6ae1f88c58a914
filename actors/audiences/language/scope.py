"""`workspace_ids` and `input_ids`: what a criterion reads of all that its audience does."""

from collections.abc import Callable

from actors.audiences.language.members import Members

# Their events count whatever input they come through (spec/audiences.md, 1).
WORKSPACE_SCOPED = frozenset({"crash_report", "install", "uninstall", "upgrade"})


class Scope:
    """What a criterion is narrowed to.

    `workspaces`: as sent, each once; none: all of the audience's.
    """

    def __init__(self, members: Members) -> None:
        context = members.context
        sent = _read_ids(members, "workspace_ids", context.check_workspace)
        self.workspaces = tuple(sorted(set(sent)))
        self._sent_inputs = _read_ids(members, "input_ids", context.check_input)
        self._audience_inputs = context.references.inputs

    def inputs_for(self, event_type: str) -> tuple[int, ...] | None:
        """Return the inputs whose events of a type count; `None`: all, also future ones."""
        if self._sent_inputs:
            return tuple(sorted(set(self._sent_inputs)))
        if event_type in WORKSPACE_SCOPED or not self._audience_inputs:
            return None
        return tuple(sorted(set(self._audience_inputs)))


def _read_ids(members: Members, name: str, check: Callable[[str, int], None]) -> list[int]:
    sent = members.raw(name)
    if sent is None:
        return []
    ids = members.entries(name, sent)
    for index, number in enumerate(ids):
        place = members.at(name, index)
        if type(number) is int:
            check(place, number)
        else:
            members.context.fail(place, "must be an integer.")
    members.canonical[name] = sent
    return [number for number in ids if type(number) is int]
