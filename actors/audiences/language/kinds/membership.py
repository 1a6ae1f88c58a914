"""`audience_membership` and `segment_membership` (spec/audiences.md, 3.2)."""

from typing import Literal, get_args

from actors.audiences.criteria import AudienceMembership, SegmentMembership
from actors.audiences.language.members import Members, any_integer
from actors.audiences.language.scope import Scope

MembershipOperator = Literal["is_member", "is_not_member"]

_OPERATORS: tuple[MembershipOperator, ...] = get_args(MembershipOperator)


def read_audience_membership(members: Members, _: Scope) -> AudienceMembership:
    """Read a criterion on membership of another audience."""
    number = members.integer("audience_id", any_integer)
    if "audience_id" in members.canonical:
        members.context.check_audience(members.at("audience_id"), number)
    return AudienceMembership(number, members.word("operator", _OPERATORS) == "is_member")


def read_segment_membership(members: Members, _: Scope) -> SegmentMembership:
    """Read a criterion on membership of a segment."""
    number = members.integer("segment_id", any_integer)
    if "segment_id" in members.canonical:
        members.context.check_segment(members.at("segment_id"), number)
    return SegmentMembership(number, members.word("operator", _OPERATORS) == "is_member")
