"""Attributes of events that criteria name (spec/audiences.md, 3.1)."""

from typing import get_args

from actors.audiences.criteria import EventCategory
from actors.audiences.event_rows import EVENT_FIELDS, PROMOTION_FIELDS
from actors.audiences.language.members import Members

_CATEGORIES: tuple[EventCategory, ...] = get_args(EventCategory)


def read_attribute(members: Members) -> tuple[EventCategory, str]:
    """Read `attribute_category` and `attribute_name`."""
    name = members.text("attribute_name")
    category = members.optional_word("attribute_category", _CATEGORIES) or "event_attribute"
    known = {"event_field": EVENT_FIELDS, "promotion_attribute": PROMOTION_FIELDS}.get(category)
    if known is not None and name and name not in known:
        listed = ", ".join(sorted(known))
        members.fail("attribute_name", f"of category {category} must be one of {listed}.")
    return category, name
