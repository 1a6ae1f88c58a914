"""Identities as keys: their canonical form (spec/identity.md, 2, Value rules)."""

from msgspec import Struct

# Device types whose values are matched without regard to case; `push_token` and `android_uuid`
# are device types too, and case-sensitive.
_LOWER_CASE_TYPES = frozenset(
    {
        "email",
        "ios_idfa",
        "ios_idfv",
        "android_aaid",
        "fire_aid",
        "roku_aid",
        "roku_publisher_id",
        "microsoft_aid",
        "microsoft_publisher_id",
        "amp_id",
        "device_application_stamp",
    }
)


class IdentityName(Struct, frozen=True, array_like=True, order=True, cache_hash=True):
    """One identity: IDSync type and canonical value."""

    type: str
    value: str


def canonical(identity_type: str, value: str) -> str:
    """Return the form of a value that is matched and stored in the index."""
    trimmed = value.strip()
    return trimmed.lower() if identity_type in _LOWER_CASE_TYPES else trimmed
