"""`calculated_attribute` (spec/audiences.md, 3.2)."""

from actors.audiences.criteria import CalculatedAttribute
from actors.audiences.language.context import NO_CALCULATED_ATTRIBUTE
from actors.audiences.language.members import Members, any_integer
from actors.audiences.language.scope import Scope
from actors.audiences.language.value_tests import read_typed_test


def read_calculated_attribute(members: Members, _: Scope) -> CalculatedAttribute:
    """Read a test of a calculated attribute, which is given by its number or by its name."""
    number = _read_number(members)
    name = members.context.name_of(number, members.canonical.get("attribute_name", ""))
    return CalculatedAttribute(number, read_typed_test(members), name)


def _read_number(members: Members) -> int:
    context = members.context
    number = members.optional_integer("calculated_attribute_id", any_integer)
    sent_as = members.rename("name", "attribute_name")
    name = members.optional_text("attribute_name", sent_as)
    if number is None and name is None:
        members.missing("attribute_name")
    elif name is None:
        place = members.at("calculated_attribute_id")
        return context.calculated_attribute(place, number=number or 0)
    elif number is not None:
        members.fail(sent_as, "cannot stand beside calculated_attribute_id.")
    else:
        return context.calculated_attribute(members.at(sent_as), name=name)
    return NO_CALCULATED_ATTRIBUTE
