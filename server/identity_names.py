"""Identity types as callers of the read APIs may write them (spec/identity.md, 2)."""

from actors.batches.identities import (
    DEVICE_IDENTITIES,
    DEVICE_STAMP,
    PROFILE_NAMES,
    USER_IDENTITIES,
)

_IDSYNC_TYPES: dict[str, str] = {
    **{shown: key for key, shown in PROFILE_NAMES.items() if shown != "unknown"},
    **{key: key for key in PROFILE_NAMES},
    **USER_IDENTITIES,
    **DEVICE_IDENTITIES,
    DEVICE_STAMP: DEVICE_STAMP,
    "mp_deviceid": DEVICE_STAMP,
}


def idsync_type(name: str) -> str | None:
    """Return the IDSync key of a type by any of its names, `None` if there is no such type."""
    return _IDSYNC_TYPES.get(name)
