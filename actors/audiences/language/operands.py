"""The operands of a type: what is taken, and in which form it is kept (spec/audiences.md, 4)."""

from typing import Any

from actors.audiences.criteria import Scalar, ValueType
from actors.audiences.language.members import is_number
from actors.audiences.values import (
    date_span,
    is_date_operand,
    parse_boolean,
    parse_number,
    parse_version,
)
from actors.batches.coerce import text_of


class WrongOperand(Exception):
    """A value cannot be an operand of a type; the message says what could."""


def canonical_operand(value_type: ValueType, value: Any) -> str | int | float | bool:
    """Return an operand in its canonical JSON form.

    A number may be written as a text and a text as a number, a boolean as one of its two words.

    Raises:
        WrongOperand: it is none of this type.
    """
    match value_type:
        case "number":
            return _number(value)
        case "boolean":
            return _boolean(value)
        case "date":
            if isinstance(value, str) and is_date_operand(value):
                return value
            raise WrongOperand(
                "must be a date (YYYY-MM-DD), or an ISO 8601 timestamp with an offset."
            )
        case "version":
            if isinstance(value, str) and parse_version(value) is not None:
                return value
            raise WrongOperand('must be a text of up to four numbers, such as "17.2".')
        case _:
            return _text(value)


def scalar(operand: str | float | bool) -> Scalar:
    """Return a canonical operand as tests have it: numbers as floats."""
    return operand if isinstance(operand, (str, bool)) else float(operand)


def is_ascending(value_type: ValueType, least: Scalar, greatest: Scalar) -> bool:
    """Tell whether two operands of a type make a range that is not empty."""
    if isinstance(least, str) and isinstance(greatest, str):
        if value_type == "date":
            first, last = date_span(least), date_span(greatest)
            return first is not None and last is not None and first[0] <= last[1]
        first_version, last_version = parse_version(least), parse_version(greatest)
        return None not in (first_version, last_version) and first_version <= last_version  # type: ignore[operator]
    return float(least) <= float(greatest)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if is_number(value) or isinstance(value, bool):
        return text_of(value)
    raise WrongOperand("must be a text.")


def _number(value: Any) -> int | float:
    if is_number(value):
        number: int | float = value
        return number
    parsed = parse_number(value) if isinstance(value, str) else None
    if parsed is None:
        raise WrongOperand("must be a number.")
    return int(parsed) if parsed.is_integer() and abs(parsed) < 1 << 53 else parsed


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    parsed = parse_boolean(value) if isinstance(value, str) else None
    if parsed is None:
        raise WrongOperand("must be true or false.")
    return parsed
