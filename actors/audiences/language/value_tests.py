"""Tests of values, in criteria and in conditions (spec/audiences.md, 3 and 4)."""

from collections.abc import Mapping
from typing import Any, Literal

from actors.audiences.criteria import Scalar, Test, ValueRef, ValueType
from actors.audiences.language.durations import read_duration_of
from actors.audiences.language.members import Members, at_least
from actors.audiences.language.operands import (
    WrongOperand,
    canonical_operand,
    is_ascending,
    scalar,
)
from actors.audiences.language.operators import ALIASES, OPERATORS, VALUE_TYPES, Operand

_OPERAND_MEMBERS = ("value", "values", "min_value", "max_value", "unit")
_REF_TYPES: tuple[Literal["user_attribute", "calculated_attribute"], ...] = (
    "user_attribute",
    "calculated_attribute",
)
_STAND_IN: dict[ValueType, Scalar] = {"number": 0.0, "boolean": False}


def read_typed_test(members: Members, default: ValueType | None = None) -> Test:
    """Read the test of a criterion that may choose its type.

    Args:
        members: the criterion, whose `value_type` this reads too.
        default: the type where none is given; without one it is inferred from the operand.
    """
    value_type = members.optional_word("value_type", VALUE_TYPES)
    if value_type is not None and "value_type" not in members.canonical:
        return _skip(members)
    value_type = value_type or default or _inferred_type(members)
    if value_type is None:
        members.missing("value_type")
        return _skip(members)
    members.canonical["value_type"] = value_type
    return read_operator(members, value_type)


def read_fixed_test(members: Members, value_type: ValueType) -> Test:
    """Read the test of a criterion whose type is given; `value_type` may say it again."""
    members.optional_word("value_type", (value_type,))
    members.canonical["value_type"] = value_type
    return read_operator(members, value_type)


def read_condition_test(members: Members) -> Test:
    """Read the test of a condition of `where`: its type is called `type`, and has to be there."""
    value_type = members.word("type", VALUE_TYPES)
    if "type" not in members.canonical:
        return _skip(members)
    return read_operator(members, value_type, allows_ref=False)


def read_operator(
    members: Members,
    value_type: ValueType,
    operators: Mapping[str, Operand] | None = None,
    *,
    allows_ref: bool = True,
) -> Test:
    """Read `operator` and its operands.

    Args:
        members: what they are members of.
        value_type: the type of the value that is tested.
        operators: those that are allowed, all of the type if `None`.
        allows_ref: whether `value_ref` may take the place of `value`.
    """
    operators = OPERATORS[value_type] if operators is None else operators
    sent = members.raw("operator")
    if sent is None:
        members.missing("operator")
        return _skip(members)
    operator = ALIASES.get(sent, sent) if isinstance(sent, str) else ""
    if operator not in operators:
        members.fail("operator", f"of a {value_type} must be one of {', '.join(operators)}.")
        return _skip(members)
    members.canonical["operator"] = operator
    return _Operands(members, value_type, operator, allows_ref).read(operators[operator])


class _Operands:
    """Reads what one operator takes, and refuses the rest."""

    def __init__(
        self, members: Members, value_type: ValueType, operator: str, allows_ref: bool
    ) -> None:
        self._members = members
        self._type = value_type
        self._operator = operator
        self._names = (*_OPERAND_MEMBERS, "value_ref") if allows_ref else _OPERAND_MEMBERS

    def read(self, operand: Operand) -> Test:
        members, value_type, operator = self._members, self._type, self._operator
        match operand:
            case "none":
                self._takes()
                return Test(value_type, operator)
            case "values":
                self._takes("values")
                return Test(value_type, operator, values=self._values())
            case "range":
                self._takes("min_value", "max_value")
                least, greatest = self._one("min_value"), self._one("max_value")
                both = "min_value" in members.canonical and "max_value" in members.canonical
                if both and not is_ascending(value_type, least, greatest):
                    members.fail("min_value", "must not be after max_value.")
                return Test(value_type, operator, min_value=least, max_value=greatest)
            case "duration":
                self._takes("value", "unit")
                value, unit = read_duration_of(members)
                return Test(value_type, operator, value, unit=unit)
        if "value_ref" in self._names and members.has("value_ref"):
            self._takes("value_ref")
            return Test(value_type, operator, value_ref=_read_ref(members))
        self._takes("value")
        if operand == "size":
            return Test(value_type, operator, float(members.integer("value", at_least(0))))
        return Test(value_type, operator, self._one("value"))

    def _takes(self, *names: str) -> None:
        """Refuse all operands but these, unless one of these is missing: that says enough."""
        members = self._members
        is_complete = all(members.has(name) for name in names)
        for name in self._names:
            if members.raw(name) is not None and name not in names and is_complete:
                members.fail(name, f"is not taken by {self._operator}.")

    def _one(self, name: str) -> Scalar:
        members = self._members
        value = members.raw(name)
        if value is None:
            members.missing(name)
        else:
            try:
                operand = canonical_operand(self._type, value)
            except WrongOperand as wrong:
                members.fail(name, str(wrong))
            else:
                members.canonical[name] = operand
                return scalar(operand)
        return _STAND_IN.get(self._type, "")

    def _values(self) -> tuple[Scalar, ...]:
        members = self._members
        sent = members.raw("values")
        if sent is None:
            members.missing("values")
            return ()
        operands: list[str | int | float | bool] = []
        for index, value in enumerate(members.entries("values", sent)):
            try:
                operands.append(canonical_operand(self._type, value))
            except WrongOperand as wrong:
                members.context.fail(members.at("values", index), str(wrong))
        members.canonical["values"] = operands
        return tuple(scalar(operand) for operand in operands)


def _read_ref(members: Members) -> ValueRef:
    part = members.part("value_ref")
    kind = part.word("type", _REF_TYPES)
    name = part.text("attribute_name")
    members.canonical["value_ref"] = part.finish()
    if kind == "user_attribute" or not name:
        return ValueRef(kind, name)
    number = members.context.calculated_attribute(part.at("attribute_name"), name=name)
    return ValueRef(kind, name, number)


def _inferred_type(members: Members) -> ValueType | None:
    """Return the type that the JSON form of the operand suggests."""
    for name in ("value", "values", "min_value", "max_value"):
        value: Any = members.raw(name)
        if isinstance(value, list) and value:
            value = value[0]
        if isinstance(value, bool):
            return "boolean"
        if isinstance(value, (int, float)):
            return "number"
        if isinstance(value, str):
            return "string"
    return None


def _skip(members: Members) -> Test:
    """Take a test as read that cannot be: what is wrong with it has been noted."""
    for name in ("operator", "value_ref", *_OPERAND_MEMBERS):
        members.raw(name)
    return Test("string", "exists")
