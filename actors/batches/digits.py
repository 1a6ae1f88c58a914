"""Attributes that are numbers beyond 64 bits: their texts have all digits (spec/events-api.md, 6).

The parser of batches makes floats of them. Batches that have such attributes are rare, and are
parsed once more here.
"""

from typing import Any

import msgspec

from actors.batches.coerce import INT64_END, UINT64_END, text_of
from actors.batches.parse import BOM, mended

_ATTRIBUTES = frozenset({"user_attributes", "custom_attributes"})
_VALUES = frozenset({"new", "old"})  # of a change of one attribute
_AS_SENT = frozenset({"custom_flags", "device_current_state", "media_info"})


def parse_with_digits(raw: bytes) -> Any:
    """Parse what `actors.batches.parse.parse_json` has taken.

    Returns what that returns, but for numbers beyond 64 bits that are attributes, or entries of
    lists that are: those are texts.
    """
    raw = raw.removeprefix(BOM)
    try:
        value = msgspec.json.decode(raw)
    except msgspec.DecodeError:  # half of a surrogate pair
        value = msgspec.json.decode(mended(raw))
    return _spelt(value, is_attribute=False)


def _spelt(value: Any, is_attribute: bool) -> Any:
    if type(value) is dict:
        return {name: _member(name, each) for name, each in value.items()}
    if type(value) is list:
        return [_spelt(each, is_attribute) for each in value]
    if type(value) is int and not -INT64_END <= value < UINT64_END:
        return text_of(value) if is_attribute else float(value)
    if type(value) is float and is_attribute and abs(value) >= INT64_END:
        return text_of(value)
    return value


def _member(name: str, value: Any) -> Any:
    if name in _ATTRIBUTES and type(value) is dict:
        return {each: _spelt(sent, is_attribute=True) for each, sent in value.items()}
    if name in _AS_SENT:
        return _as_sent(value)
    return _spelt(value, is_attribute=name in _VALUES)


def _as_sent(value: Any) -> Any:
    if type(value) is dict:
        return {name: _as_sent(each) for name, each in value.items()}
    if type(value) is list:
        return [_as_sent(each) for each in value]
    return _spelt(value, is_attribute=False)
