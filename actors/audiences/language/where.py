"""`where`: conditions on one row of an event (spec/audiences.md, 3)."""

from typing import Any, Literal, get_args

from actors.audiences.criteria import Condition, Where, WhereGroup
from actors.audiences.language.attributes import read_attribute
from actors.audiences.language.group_members import read_group
from actors.audiences.language.members import Json, Members
from actors.audiences.language.value_tests import read_condition_test

WhereOp = Literal["and", "or", "not"]

MAX_CONDITIONS = 50  # spec/audiences.md, 15

_OPS: tuple[WhereOp, ...] = get_args(WhereOp)


def read_where(members: Members) -> Where | None:
    """Read `where` of a criterion or step, `None` if it has none."""
    value = members.raw("where")
    if value is None:
        return None
    tree = _Tree(members)
    where, members.canonical["where"] = tree.read(value, members.at("where"), 0)
    if tree.conditions > MAX_CONDITIONS:
        message = f"must have at most {MAX_CONDITIONS} conditions."
        members.context.fail(members.at("where"), message, "LIMIT_EXCEEDED")
    return where


class _Tree:
    """Reads one tree and counts its conditions."""

    def __init__(self, owner: Members) -> None:
        self._context = owner.context
        self.conditions = 0

    def read(self, value: Any, place: str, depth: int) -> tuple[Where, Json]:
        members = Members(value, place, self._context)
        group = read_group(members, _OPS, depth, "operator")
        if group is None:
            return self._condition(members)
        nodes = [self.read(node, at, depth + 1) for node, at in group.nodes]
        canonical = {"op": group.op, "nodes": [node for _, node in nodes]}
        return WhereGroup(group.op, tuple(where for where, _ in nodes)), canonical

    def _condition(self, members: Members) -> tuple[Where, Json]:
        self.conditions += 1
        category, name = read_attribute(members)
        test = read_condition_test(members)
        return Condition(name, category, test), members.finish()
