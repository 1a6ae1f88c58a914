"""Comparisons of audience-sdk documents, and the tests that they are (spec/audiences.md, 14.1)."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from actors.audiences.language.members import Json
from actors.audiences.language.problems import pointer
from actors.audiences.language.sdk.dates import date_test
from actors.audiences.language.sdk.operands import (
    USER,
    AbsoluteDate,
    Literal,
    NotTranslatable,
    Operand,
    Path,
    RelativeDate,
    check_members,
    read_operand,
)
from actors.audiences.language.sdk.operators import BINARY, OF_LIST, ORDER, UNARY

CALCULATED = "calculated_attributes."
ATTRIBUTES = "user_attributes."


class Comparison(Struct, frozen=True):
    """One comparison: of `left` alone (`right` is `None`), or with `right`."""

    place: str
    operator: str
    left: Operand
    right: Operand | None = None

    @property
    def scalar_operator(self) -> str:
        """The operator of criteria that this is, if the other side is no list.

        Raises:
            NotTranslatable: there is none.
        """
        if self.operator in BINARY:
            return BINARY[self.operator]
        raise NotTranslatable(pointer(self.place, "operator"), "is no operator of such values.")


def read_comparison(value: Json, place: str) -> Comparison:
    """Read an expression that is no group and no sequence.

    Raises:
        NotTranslatable: it is none that the translation knows.
    """
    operator = value.get("operator")
    if operator in UNARY:
        check_members(value, place, "operator", "operand")
        return Comparison(place, operator, _operand(value, "operand", place))
    if not isinstance(operator, str) or operator not in (*BINARY, "within"):
        raise NotTranslatable(pointer(place, "operator"), "is no operator that is known here.")
    check_members(value, place, "operator", "left", "right")
    left, right = _operand(value, "left", place), _operand(value, "right", place)
    return Comparison(place, operator, left, right)


def _operand(value: Json, name: str, place: str) -> Operand:
    if name not in value:
        raise NotTranslatable(pointer(place, name), "is missing.")
    return read_operand(value[name], pointer(place, name))


def tree_of(
    comparison: Comparison, subject: Json, type_member: str, presence_type: str = "string"
) -> Json:
    """Return the criterion or condition that a comparison is, or a group of them.

    Args:
        comparison: of which the left side is what is tested.
        subject: what a criterion or condition says of what it tests.
        type_member: how the type of a test is called: `value_type`, or `type` in conditions.
        presence_type: type of tests that have no other side.

    Raises:
        NotTranslatable: no test says this.
    """

    def leaf(value_type: str, test: Json) -> Json:
        return {**subject, type_member: value_type, **test}

    right = comparison.right
    match right:
        case None:
            return _presence(comparison.operator, lambda test: leaf(presence_type, test))
        case AbsoluteDate() | RelativeDate():
            tests = date_test(comparison.scalar_operator, right)
            return _group("or", [leaf("date", test) for test in tests])
        case Literal():
            return leaf(*_literal_test(comparison, right.value))
        case Path() if right.model == USER:
            return leaf(*_reference_test(comparison, right))
    raise NotTranslatable(right.place, "cannot be compared with.")


def _presence(operator: str, leaf: Callable[[Json], Json]) -> Json:
    """Return the test of a unary operator: what is missing is null, and what is empty."""
    exists, not_exists, empty = (
        leaf({"operator": name}) for name in ("exists", "not_exists", "empty")
    )
    match operator:
        case "null":
            return _group("or", [not_exists, empty])
        case "not_null":
            return _group("and", [exists, {"op": "not", "nodes": [empty]}])
    return exists if operator == "exists" else not_exists


def _group(op: str, nodes: list[Json]) -> Json:
    return nodes[0] if len(nodes) == 1 else {"op": op, "nodes": nodes}


def _literal_test(comparison: Comparison, value: Any) -> tuple[str, Json]:
    if isinstance(value, list):
        if comparison.operator not in OF_LIST:
            place = pointer(comparison.place, "operator")
            raise NotTranslatable(place, "cannot compare with a list.")
        kind = _type_of(value[0]) if value else "string"
        return kind, {"operator": OF_LIST[comparison.operator], "values": value}
    operator = comparison.scalar_operator
    if isinstance(value, bool) and operator == "not_equals":
        operator, value = "equals", not value
    return _type_of(value), {"operator": operator, "value": value}


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"


def _reference_test(comparison: Comparison, right: Path) -> tuple[str, Json]:
    """Return a test against another attribute of the user; what is ordered is a number."""
    operator = comparison.scalar_operator
    kind, name = "user_attribute", right.path.removeprefix(ATTRIBUTES)
    if right.path.startswith(CALCULATED):
        kind, name = "calculated_attribute", right.path.removeprefix(CALCULATED)
    reference = {"type": kind, "attribute_name": name}
    value_type = "number" if operator in ORDER else "string"
    return value_type, {"operator": operator, "value_ref": reference}
