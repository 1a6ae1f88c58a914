"""Traits and properties: nested JSON as the flat values of batches (spec/clients.md, 6.3)."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

MAX_DEPTH = 32  # deeper objects are kept as JSON
_INT64_END = 1 << 63
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def flattened(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield one (name, value) per leaf; names of nested ones are joined by `.`.

    A value is a scalar, a list of scalars, or `None`. A list with anything else in it becomes its
    JSON text.
    """
    yield from _leaves(values, prefix, 0)


def as_text(value: Any) -> Any:
    """Return the value of an event attribute, which cannot be a list."""
    return orjson.dumps(value).decode() if isinstance(value, list) else value


def attributes_of(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return properties as event attributes, without those that are null."""
    return {name: as_text(value) for name, value in flattened(properties) if value is not None}


def as_object(value: Any) -> dict[str, Any]:
    """Return an object as it is, anything else as an empty one."""
    return value if isinstance(value, dict) else {}


def as_id(value: Any) -> str | None:
    """Return an id as text, `None` if there is none; a number is written in decimal."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


def is_scalar(value: Any) -> bool:
    """Tell whether a member of batches that is a text takes a value."""
    return isinstance(value, str | int | float)


def is_amount(value: Any) -> bool:
    """Tell whether a member of batches that is a number takes a value: one, or its decimal text."""
    if isinstance(value, str):
        return _DECIMAL.fullmatch(value) is not None and math.isfinite(float(value))
    if isinstance(value, float):
        return math.isfinite(value)
    return is_whole(value)


def is_whole(value: Any) -> bool:
    """Tell whether a member of batches that is an integer takes a value."""
    if isinstance(value, str):
        return _WHOLE.fullmatch(value) is not None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -_INT64_END < value < _INT64_END and value == int(value)


def _leaves(values: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            if depth < MAX_DEPTH:
                yield from _leaves(value, f"{name}.", depth + 1)
            else:
                yield name, orjson.dumps(value).decode()
        elif isinstance(value, list) and any(isinstance(each, list | dict) for each in value):
            yield name, orjson.dumps(value).decode()
        else:
            yield name, value
