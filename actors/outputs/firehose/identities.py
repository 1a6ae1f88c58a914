"""Identities as a module may see them: permitted types only, each in its encoding.

Source: spec/connections.md, 4.2.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from actors.outputs.firehose.registration import (
    DeviceIdentityPermission,
    PartnerIdentityPermission,
    Permissions,
    UserIdentityPermission,
)
from actors.outputs.firehose.words import Encoding

Permission = UserIdentityPermission | DeviceIdentityPermission | PartnerIdentityPermission


class SentIdentity(Struct, frozen=True):
    """One identity of a message."""

    type: str
    encoding: Encoding
    value: str


class KnownIdentities(Struct, frozen=True):
    """What is known of a user, by the protocol's words for the types; values as they came."""

    user: Mapping[str, str] = {}
    device: Mapping[str, str] = {}
    partner: Mapping[str, str] = {}


class PermittedIdentities(Struct, frozen=True):
    """What of it a module may have."""

    user: list[SentIdentity]
    device: list[SentIdentity]
    partner: list[SentIdentity]


def encoded(value: str, encoding: Encoding) -> str:
    """Encode a value; hashes are hexadecimal, of its lower-case form."""
    if encoding == "raw":
        return value
    return hashlib.new(encoding, value.lower().encode(), usedforsecurity=False).hexdigest()


def permitted(known: Mapping[str, str], permissions: Iterable[Permission]) -> list[SentIdentity]:
    """Return the identities that permissions name, in their order."""
    return [
        SentIdentity(each.type, each.encoding, encoded(known[each.type], each.encoding))
        for each in permissions
        if each.type in known
    ]


def choose(known: KnownIdentities, permissions: Permissions) -> PermittedIdentities | None:
    """Return what a module may have of a user; `None` if none of what it requires is there."""
    groups: tuple[tuple[Mapping[str, str], Sequence[Permission]], ...] = (
        (known.user, permissions.user_identities),
        (known.device, permissions.device_identities),
        (known.partner, permissions.partner_identities),
    )
    required = [(have, each.type) for have, wanted in groups for each in wanted if each.required]
    if required and not any(name in have for have, name in required):
        return None
    return PermittedIdentities(*(permitted(have, wanted) for have, wanted in groups))
