"""The tree of a definition: groups, and criteria in them (spec/audiences.md, 3)."""

from typing import Any, Literal, get_args

from actors.audiences.criteria import Group, Named, Node
from actors.audiences.language.context import Context
from actors.audiences.language.group_members import read_group
from actors.audiences.language.members import Json, Members
from actors.audiences.language.registry import KINDS
from actors.audiences.language.scope import Scope

GroupOp = Literal["and", "or", "not", "exclude"]

MAX_CRITERIA = 100  # spec/audiences.md, 15

_OPS: tuple[GroupOp, ...] = get_args(GroupOp)
_STAND_IN = Group("and", ())


def read_tree(value: Any, place: str, context: Context) -> tuple[Node, Json]:
    """Read a whole tree; the node means nothing if problems were noted."""
    node, canonical = _read_node(value, place, context, 0)
    if context.criteria > MAX_CRITERIA:
        context.fail(place, f"must have at most {MAX_CRITERIA} criteria.", "LIMIT_EXCEEDED")
    return node, canonical


def _read_node(value: Any, place: str, context: Context, depth: int) -> tuple[Node, Json]:
    members = Members(value, place, context)
    group = read_group(members, _OPS, depth, "type")
    if group is None:
        return _read_criterion(members)
    nodes = [_read_node(node, at, context, depth + 1) for node, at in group.nodes]
    canonical = {"op": group.op, "nodes": [form for _, form in nodes]}
    return Group(group.op, tuple(node for node, _ in nodes)), canonical


def _read_criterion(members: Members) -> tuple[Node, Json]:
    members.context.criteria += 1
    kind = members.word("type", tuple(KINDS))
    if "type" not in members.canonical:
        return _STAND_IN, {}  # what else is wrong depends on the type
    name = members.optional_text("id")
    scope = Scope(members)
    criterion = KINDS[kind](members, scope)
    return Named(criterion, name, scope.workspaces), members.finish()
