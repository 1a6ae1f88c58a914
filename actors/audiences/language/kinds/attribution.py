"""`attribution` (spec/audiences.md, 3.2)."""

from typing import Literal, get_args

from actors.audiences.criteria import AttributionCriterion
from actors.audiences.language.members import Members
from actors.audiences.language.scope import Scope
from actors.audiences.language.value_tests import read_fixed_test

AttributedEvent = Literal["install", "uninstall"]
AttributionField = Literal["publisher", "campaign", "service_provider"]

_EVENTS: tuple[AttributedEvent, ...] = get_args(AttributedEvent)
_FIELDS: tuple[AttributionField, ...] = get_args(AttributionField)


def read_attribution(members: Members, _: Scope) -> AttributionCriterion:
    """Read a test of the stored installs or uninstalls."""
    return AttributionCriterion(
        event=members.word("event", _EVENTS),
        field=members.word("field", _FIELDS),
        test=read_fixed_test(members, "string"),
    )
