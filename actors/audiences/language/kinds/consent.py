"""`consent` (spec/audiences.md, 3.2)."""

from typing import Literal, get_args

from actors.audiences.criteria import Consent
from actors.audiences.language.members import Members
from actors.audiences.language.scope import Scope
from actors.audiences.language.value_tests import read_fixed_test

Regulation = Literal["gdpr", "ccpa"]
ConsentOperator = Literal["consented", "not_consented", "not_true", "exists", "not_exists"]
ConsentField = Literal["document", "location", "hardware_id", "timestamp"]

_REGULATIONS: tuple[Regulation, ...] = get_args(Regulation)
_OPERATORS: tuple[ConsentOperator, ...] = get_args(ConsentOperator)
_FIELDS: tuple[ConsentField, ...] = get_args(ConsentField)


def read_consent(members: Members, _: Scope) -> Consent:
    """Read a criterion on a consent record: its state, or a test of one of its fields."""
    regulation = members.word("regulation", _REGULATIONS)
    purpose = members.text("purpose")
    field = members.optional_word("field", _FIELDS)
    if field is not None:
        test = read_fixed_test(members, "date" if field == "timestamp" else "string")
        return Consent(regulation, purpose, field=field, test=test)
    return Consent(regulation, purpose, _read_operator(members))


def _read_operator(members: Members) -> ConsentOperator:
    if not members.has("consented"):
        return members.word("operator", _OPERATORS)
    members.rename("consented", "operator")
    consented = members.raw("consented")
    if not isinstance(consented, bool):
        members.fail("consented", "must be true or false.")
    operator: ConsentOperator = "consented" if consented else "not_consented"
    members.canonical["operator"] = operator
    return operator
