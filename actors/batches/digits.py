"""Attributes that are numbers beyond 64 bits: their texts have all digits (spec/events-api.md, 6).

The parser makes floats of them. What has such attributes is rare, and parsed once more here.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from actors.batches.coerce import INT64_END, UINT64_END, text_of
from actors.batches.parse import BOM, mended

_ATTRIBUTES = frozenset({"user_attributes", "custom_attributes"})
_VALUES = frozenset({"new", "old"})  # of a change of one attribute
_AS_SENT = frozenset({"custom_flags", "device_current_state", "media_info"})

_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
_LONG = b"0" * len(str(INT64_END))


def parse_with_digits(raw: bytes) -> Any:
    """Parse a batch that `actors.batches.parse.parse_json` has taken.

    Returns what that returns, but for numbers beyond 64 bits that are attributes, or entries of
    lists that are: those are texts.
    """
    return _of_batch(_parse(raw))


def parse_all_with_digits(raw: bytes) -> Any:
    """Parse what `parse_json` has taken; all numbers beyond 64 bits are texts."""
    return _spelt(_parse(raw), text_of)


def has_long_number(raw: bytes) -> bool:
    """Tell whether there may be an integer beyond 64 bits in a JSON text."""
    return _LONG in raw.translate(_TO_ZERO)


def _parse(raw: bytes) -> Any:
    raw = raw.removeprefix(BOM)
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:  # half of a surrogate pair
        return msgspec.json.decode(mended(raw))


def _spelt(value: Any, spell: Callable[[int | float], str | float]) -> Any:
    if type(value) is dict:
        return {name: _spelt(each, spell) for name, each in value.items()}
    if type(value) is list:
        return [_spelt(each, spell) for each in value]
    is_beyond = (type(value) is int and not -INT64_END <= value < UINT64_END) or (
        type(value) is float and abs(value) >= INT64_END
    )
    return spell(value) if is_beyond else value


def _of_batch(value: Any) -> Any:
    if type(value) is dict:
        return {name: _member(name, each) for name, each in value.items()}
    if type(value) is list:
        return [_of_batch(each) for each in value]
    return _spelt(value, float)


def _member(name: str, value: Any) -> Any:
    is_object = type(value) is dict
    if (name in _ATTRIBUTES and is_object) or (name in _VALUES and not is_object):
        return _spelt(value, text_of)
    return _spelt(value, float) if name in _AS_SENT else _of_batch(value)
