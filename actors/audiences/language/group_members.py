"""Groups of nodes, of criteria and of conditions alike (spec/audiences.md, 3 and 15)."""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from msgspec import Struct

from actors.audiences.language.members import Members

MAX_DEPTH = 8
MAX_NODES = 50

OpT = TypeVar("OpT", bound=str)

_LEAST_NODES = {"exclude": 2}  # what is left after the base
_NOT = "not"


class GroupMembers(Struct, Generic[OpT]):
    """A group before its nodes are read: each node as sent, with its place."""

    op: OpT
    nodes: list[tuple[Any, str]]


def read_group(
    members: Members, ops: Sequence[OpT], depth: int, leaf_member: str
) -> GroupMembers[OpT] | None:
    """Read an object as a group, in its full form or as a shorthand; `None` if it is a leaf.

    A group that nests too deep has no nodes: what is in it is not read.

    Args:
        members: the object.
        ops: operators that a group can have here.
        depth: number of groups around it.
        leaf_member: a member that a leaf has: what has neither it nor `op` is not yet a leaf.
    """
    op = _shorthand_op(members, ops, leaf_member)
    if op is not None:
        name: str = op
    elif members.has("op") or (members.has("nodes") and not members.has(leaf_member)):
        op, name = members.word("op", ops), "nodes"
    else:
        return None
    sent = members.raw(name)
    members.finish()
    nodes = [(sent, members.at(name))] if name == _NOT else _nodes(members, op, name, sent)
    if depth >= MAX_DEPTH:
        message = f"is nested in more than {MAX_DEPTH} groups."
        members.context.fail(members.place, message, "LIMIT_EXCEEDED")
        return GroupMembers(op, [])
    return GroupMembers(op, nodes)


def _shorthand_op(members: Members, ops: Sequence[OpT], leaf_member: str) -> OpT | None:
    if members.has("op") or members.has(leaf_member):
        return None
    return next((op for op in ops if members.has(op)), None)


def _nodes(members: Members, op: str, name: str, sent: Any) -> list[tuple[Any, str]]:
    if sent is None:
        members.missing(name)
        return []
    if not isinstance(sent, list):
        members.fail(name, "must be a list.")
        return []
    least = _LEAST_NODES.get(op, 1)
    if op == _NOT and len(sent) != 1:
        members.fail(name, "must have exactly one node.")
    elif len(sent) < least:
        members.fail(name, f"must have at least {least} node{'s' if least > 1 else ''}.")
    if len(sent) > MAX_NODES:
        message = f"must have at most {MAX_NODES} nodes."
        members.context.fail(members.at(name), message, "LIMIT_EXCEEDED")
        return []
    return [(node, members.at(name, index)) for index, node in enumerate(sent)]
