"""`opt_out` and `limit_ad_tracking` (spec/audiences.md, 3.2)."""

from actors.audiences.criteria import Flag
from actors.audiences.language.members import Members
from actors.audiences.language.operands import WrongOperand, canonical_operand
from actors.audiences.language.scope import Scope


def read_opt_out(members: Members, _: Scope) -> Flag:
    """Read whether the user has opted out, or has not."""
    return Flag("opt_out", _read_value(members))


def read_limit_ad_tracking(members: Members, _: Scope) -> Flag:
    """Read whether the user limits tracking by advertisers, or does not."""
    return Flag("limit_ad_tracking", _read_value(members))


def _read_value(members: Members) -> bool:
    sent = members.raw("value")
    if sent is None:
        members.missing("value")
        return False
    try:
        value = bool(canonical_operand("boolean", sent))
    except WrongOperand as wrong:
        members.fail("value", str(wrong))
        return False
    members.canonical["value"] = value
    return value
