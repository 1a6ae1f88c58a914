"""Short names of the wire, and how values are taken over under longer ones."""

from collections.abc import Mapping
from typing import Any

Members = dict[str, Any]


def renamed(sent: Members, names: Mapping[str, str]) -> Members:
    """Return what is there of some members, under other names; null is absent."""
    return {name: sent[short] for short, name in names.items() if sent.get(short) is not None}


def as_text(value: Any) -> str:
    """Return a text as it is and a number in decimal; anything else is an empty text."""
    return value if isinstance(value, str) else str(value) if type(value) is int else ""


def as_object(value: Any) -> Members:
    """Return an object as it is, anything else as an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """Return a list as it is, anything else as an empty one."""
    return value if isinstance(value, list) else []
