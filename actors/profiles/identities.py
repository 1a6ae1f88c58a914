"""The identities that a profile shows (spec/identity.md, 7.7)."""

from actors.batches.identities import USER_IDENTITIES
from actors.identity.keys import canonical
from actors.model import Batch, IdentityValue, Profile


def update_user_identities(
    profile: Profile, batch: Batch, priority: tuple[str, ...], now_ms: int
) -> None:
    """Make the identities of a batch the profile's current ones.

    Of a type that resolution looks at, a profile shows the value that was linked to it last
    (spec/identity.md, 1); of any other type the value that came last.

    Args:
        profile: changed in place; its lookups are those after resolution, newest link last.
        batch: resolved by its identities.
        priority: the IDSync types that resolution looks at.
        now_ms: the time of receipt.
    """
    shown = profile.user_identities
    for name, value in batch.user_identities.items():
        current = shown.get(name)
        if current is not None and current.value == value:
            continue
        key = USER_IDENTITIES[name]
        wanted = canonical(key, value)
        if current is not None and canonical(key, current.value) == wanted:
            continue
        if key in priority:
            linked = [lookup.value for lookup in profile.lookups if lookup.type == key]
            if wanted not in linked or (current is not None and wanted != linked[-1]):
                continue
        shown[name] = IdentityValue(value, now_ms, now_ms)


def update_partner_identities(profile: Profile, batch: Batch, *, is_historical: bool) -> None:
    """Merge the batch's partner identities by name; historical ones only fill gaps."""
    for name, value in batch.partner_identities.items():
        if not is_historical or name not in profile.partner_identities:
            profile.partner_identities[name] = value
