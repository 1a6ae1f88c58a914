"""Who belongs to which group (spec/identity.md, 13)."""

from hashlib import sha256

import pytest

from actors.groups.membership import group_attributes, group_value, own_attribute
from actors.model.batches import AttributeText
from actors.model.profiles import GroupMembership, Section


@pytest.mark.parametrize(
    ("identifier", "value"),
    [
        ("1234", "1234"),
        (" AbC ", "abc"),
        ("a" * 32, "a" * 32),
        ("a" * 33, sha256(b"a" * 33).hexdigest()[:32]),
        ("a  b", sha256(b"a b").hexdigest()[:32]),
        ("a\t\n b", sha256(b"a b").hexdigest()[:32]),
        (" 12 elm st,  springfield ", "0ec0ea7c0ab66299885dfb29eb969659"),
        ("é", sha256("é".encode()).hexdigest()[:32]),
        ("²", sha256("²".encode()).hexdigest()[:32]),
        ("\ud800", sha256(b"\xed\xa0\x80").hexdigest()[:32]),
        ("", None),
        (" \t ", None),
        (None, None),
        (["a"], None),
    ],
)
def test_the_value_of_a_group_is_canonical(identifier: AttributeText, value: str | None) -> None:
    assert group_value(identifier) == value


@pytest.mark.parametrize(
    ("name", "found"), [("$address", 1), ("$ADDRESS", 1), ("plan", 2), ("Plan", None)]
)
def test_reserved_names_are_found_in_any_case(name: str, found: int | None) -> None:
    assert own_attribute({"$Address": 1, "plan": 2}, name) == found


def test_memberships_of_definitions_that_are_gone_show_nothing() -> None:
    section = Section(1, 1)
    section.groups = {1: GroupMembership("x", {"a": "1"}), 2: GroupMembership("x", {"a": "2"})}
    assert group_attributes(section, {2: "home"}) == {"home:a": "2"}
