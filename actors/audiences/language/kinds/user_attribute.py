"""`user_attribute` and `user_attribute_list` (spec/audiences.md, 3.2)."""

from actors.audiences.criteria import UserAttribute, UserAttributeList
from actors.audiences.language.members import Members
from actors.audiences.language.scope import Scope
from actors.audiences.language.value_tests import read_fixed_test, read_typed_test


def read_user_attribute(members: Members, _: Scope) -> UserAttribute:
    """Read a test of one user attribute."""
    return UserAttribute(members.text("attribute_name"), read_typed_test(members))


def read_user_attribute_list(members: Members, _: Scope) -> UserAttributeList:
    """Read a test of one user attribute as a list."""
    return UserAttributeList(members.text("attribute_name"), read_fixed_test(members, "list"))
