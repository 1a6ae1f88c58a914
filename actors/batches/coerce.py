"""The scalar types of spec/events-api.md, 6: what they take and what is kept.

Each function has the form of `actors.batches.reading.Coerce`.
"""

import re
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal

from actors.batches.exact import INT64, keeps, takes
from actors.batches.reading import Coerce, Fields, Invalid, Reading, as_object

ZERO_ID = "00000000-0000-0000-0000-000000000000"
UUID_LENGTH = len(ZERO_ID)
INT64_END = 1 << 63
UINT64_END = 1 << 64

_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_BOOLEANS = {"true": True, "false": False}


def text_of(value: bool | int | float) -> str:
    """Return the string form of a JSON number or boolean.

    Whole numbers have all their digits, others at most 15 significant ones, without an exponent.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if value.is_integer():
        return str(int(value))
    text = f"{value:.15g}"
    return format(Decimal(text), "f") if "e" in text else text


def is_rounded(value: Any) -> bool:
    """Tell whether a value may be an integer beyond 64 bits, of which the parser kept no more."""
    return type(value) is float and abs(value) >= INT64_END


@keeps(str)
def to_string(value: Any, _: Reading) -> str:
    """String."""
    if type(value) is str:
        return value
    if isinstance(value, (bool, int, float)):
        return text_of(value)
    raise Invalid("must be a string.")


@keeps(INT64)
def to_integer(value: Any, reading: Reading) -> int | None:
    """Integer: signed, 64 bits."""
    if type(value) is int and value < INT64_END:
        return value
    return _bounded_integer(value, INT64_END)


def to_address(value: Any, _: Reading) -> int | None:
    """Integer: 64 bits, unsigned or, as the published schema allows, signed."""
    return _bounded_integer(value, UINT64_END)


def _bounded_integer(value: Any, end: int) -> int | None:
    """Return the integer that `value` stands for, if it is in [-2**63, end)."""
    kind = type(value)
    if kind is str and not value:
        return None
    is_whole = value.is_integer() if kind is float else kind is int
    if not is_whole and not (kind is str and _INTEGER.fullmatch(value)):
        raise Invalid("must be an integer.")
    number = int(value)
    # As a float the lower bound may be the rounding of an integer beyond it.
    if not -INT64_END <= number < end or (kind is float and number == -INT64_END):
        raise Invalid("must be within 64 bits.")
    return number


@keeps(INT64 | float)
def to_number(value: Any, _: Reading) -> int | float | None:
    """Number: any finite one."""
    if type(value) is float or type(value) is int:
        return value
    if type(value) is not str:
        raise Invalid("must be a number.")
    if not value:
        return None
    if not _NUMBER.fullmatch(value):
        raise Invalid("must be a number.")
    number = float(value)
    if number in (float("inf"), float("-inf")):
        raise Invalid("must be a finite number.")
    return number


@keeps(str)
def to_id(value: Any, reading: Reading) -> str:
    """String that tells one thing from another; a number that the parser has rounded does not."""
    if is_rounded(value):
        raise Invalid("must be within 64 bits.")
    return to_string(value, reading)


@keeps(bool)
def to_boolean(value: Any, _: Reading) -> bool | None:
    """Boolean."""
    if type(value) is bool:
        return value
    if type(value) is str:
        if not value:
            return None
        value = _BOOLEANS.get(value.lower())
        if value is not None:
            return bool(value)
    elif type(value) in (int, float) and value in (0, 1):
        return bool(value)
    raise Invalid("must be true or false.")


@takes(str)
def to_uuid(value: Any, _: Reading) -> str | None:
    """Uuid: in lower case; one of zeros only is absent."""
    # Only texts of a UUID's length are remembered: what is sent may be of any.
    if type(value) is str and len(value) == UUID_LENGTH and (known := _known_uuid(value)):
        return known
    if type(value) is not str or (value and not _UUID.fullmatch(value)):
        raise Invalid("must be a UUID.")
    value = value.lower()
    return None if value in ("", ZERO_ID) else value


@lru_cache(maxsize=4096)  # of a session or a device, they come again and again
def _known_uuid(value: str) -> str | None:
    """Return a UUID in lower case; `None` if it is none, or of zeros only."""
    if not _UUID.fullmatch(value):
        return None
    value = value.lower()
    return None if value == ZERO_ID else value


def one_of(*listed: str, **others: str) -> Coerce:
    """Make an Enum of the listed values; `others` are further spellings of them."""
    canonical = {value.lower(): value for value in listed} | others
    problem = f"must be one of {', '.join(listed)}."

    @keeps(Literal[listed])
    def to_enum(value: Any, _: Reading) -> str:
        kept = canonical.get(value.lower()) if type(value) is str else None
        if kept is None:
            raise Invalid(problem)
        return kept

    return to_enum


def to_object(value: Any, _: Reading) -> Fields:
    """Object, kept as sent."""
    return as_object(value)


def to_anything(value: Any, _: Reading) -> Any:
    """Any JSON value, kept as sent."""
    return value
