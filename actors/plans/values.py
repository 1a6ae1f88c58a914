"""How values of batches are taken, whatever form they were sent in (spec/data-plans.md, 2.3).

A number, a truth value and their texts are the same: what events keep is text.
"""

import re
from collections.abc import Hashable
from typing import Any

from actors.batches.coerce import text_of

_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+\-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,300}", re.ASCII)  # whose digits all count; a longer one is a float
_BOOLEANS = {"true": True, "false": False}
SCALARS = ("string", "number", "integer", "boolean")


def type_name(value: Any) -> str:
    """Return the JSON type of a value."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "array"
    return "null" if value is None else "object"


def to_text(value: Any) -> str | None:
    """Return the text of a scalar, `None` of anything else."""
    if isinstance(value, str):
        return value
    return text_of(value) if isinstance(value, bool | int | float) else None


def to_number(value: Any) -> int | float | None:
    """Return the number that a value is or stands for."""
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            return None
        return int(value) if _WHOLE.fullmatch(value) else float(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def convert(value: Any, kind: str) -> str | int | float | bool | None:
    """Return what a value is as a scalar type, `None` if it does not satisfy it."""
    if kind == "string":
        return to_text(value)
    if kind == "boolean":
        if isinstance(value, bool):
            return value
        return _BOOLEANS.get(value.lower()) if isinstance(value, str) else None
    number = to_number(value)
    if kind == "integer" and isinstance(number, float) and not number.is_integer():
        return None
    return number


def canonical(value: Any) -> Hashable:
    """Return something that equal JSON values share, nulls in objects being absent."""
    if isinstance(value, bool) or value is None:
        return ("constant", value)
    if isinstance(value, list):
        return ("array", tuple(map(canonical, value)))
    if isinstance(value, dict):
        members = ((name, canonical(each)) for name, each in value.items() if each is not None)
        return ("object", frozenset(members))
    return ("text" if isinstance(value, str) else "number", value)
