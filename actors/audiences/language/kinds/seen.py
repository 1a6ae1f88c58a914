"""`first_seen` and `last_seen` (spec/audiences.md, 3.2)."""

from actors.audiences.criteria import SeenAt
from actors.audiences.language.members import Members
from actors.audiences.language.scope import Scope
from actors.audiences.language.value_tests import read_fixed_test


def read_first_seen(members: Members, _: Scope) -> SeenAt:
    """Read a test of when the user was first seen."""
    return SeenAt("first_seen", read_fixed_test(members, "date"))


def read_last_seen(members: Members, _: Scope) -> SeenAt:
    """Read a test of when the user was last seen."""
    return SeenAt("last_seen", read_fixed_test(members, "date"))
