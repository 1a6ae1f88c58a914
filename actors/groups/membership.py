"""Which group a user belongs to, and what is shown of it (spec/identity.md, 13)."""

import re
from collections.abc import Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import TypeVar

from actors.groups.definitions import attribute_name
from actors.model.batches import AttributeText
from actors.model.profiles import Section

VALUE_LENGTH = 32
NO_GROUPS: Mapping[int, str] = MappingProxyType({})

_PLAIN = re.compile(r"[a-z0-9]{1,32}", re.ASCII)
_T = TypeVar("_T")


def group_value(identifier: AttributeText) -> str | None:
    """Return the canonical value of a group identifier; `None` if it puts nobody into a group."""
    if not isinstance(identifier, str):
        return None
    value = " ".join(identifier.lower().split())
    if not value:
        return None
    if _PLAIN.fullmatch(value):
        return value
    return sha256(value.encode(errors="surrogatepass")).hexdigest()[:VALUE_LENGTH]


def group_id(definition_id: str, value: str) -> str:
    """Return the id of a group."""
    return f"{definition_id}:{value}"


def own_attribute(attributes: Mapping[str, _T], name: str) -> _T | None:
    """Return a user's attribute; reserved names mean the same in any case (events-api.md, 9)."""
    found = attributes.get(name)
    if found is None and name.startswith("$"):
        wanted = name.lower()
        for each, value in attributes.items():
            if each.lower() == wanted:
                return value
    return found


def group_attributes(section: Section, ids: Mapping[int, str]) -> dict[str, AttributeText]:
    """Return the user attributes that a user has by its groups.

    Args:
        section: of the user.
        ids: number to id of the definitions that exist; others' memberships are leftovers.
    """
    return {
        attribute_name(ids[number], attribute): value
        for number, membership in section.groups.items()
        if number in ids
        for attribute, value in membership.attributes.items()
    }
