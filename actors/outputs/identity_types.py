"""Identity types as the settings of outputs name them (spec/identity.md, 2)."""

from collections.abc import Callable, Iterable

from actors.batches.identities import PROFILE_NAMES, canonical_name

_PARTNER = "partner:"
# Names of push tokens go by the device's platform.
_OF_DEVICES = frozenset(PROFILE_NAMES.values()) | {
    "apple_push_notification_token",
    "google_cloud_messaging_token",
}


def types_of_users(names: Iterable[str]) -> tuple[str, ...]:
    """Return what batches call identity types of users, each once, `mpid` being one of them.

    IDSync keys are taken too.

    Raises:
        ValueError: nobody has an identity of such a type.
    """
    return _each(names, lambda name: name if name == "mpid" else canonical_name(name))


def types_of_members(names: Iterable[str]) -> tuple[str, ...]:
    """Return what messages about members call identity types: those of devices and partners too.

    Raises:
        ValueError: nobody has an identity of such a type.
    """
    return _each(names, _of_member)


def _of_member(name: str) -> str | None:
    is_known = name in _OF_DEVICES or (name.startswith(_PARTNER) and name != _PARTNER)
    return name if is_known else canonical_name(name)


def _each(names: Iterable[str], known: Callable[[str], str | None]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for name in names:
        canonical = known(name)
        if canonical is None:
            raise ValueError(f"unknown identity type '{name}'")
        found[canonical] = None
    return tuple(found)
