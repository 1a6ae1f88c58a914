"""The identities that a profile shows (spec/identity.md, 7.7)."""

from collections.abc import Collection

from actors.batches.identities import BATCH_NAMES, USER_IDENTITIES
from actors.identity.keys import canonical
from actors.model.batches import Batch
from actors.model.profiles import IdentityValue, Profile, Section
from actors.store.identities import ProfileChange


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
            linked = _linked(profile, key)
            if wanted not in linked or (current is not None and wanted != linked[-1]):
                continue
        shown[name] = IdentityValue(value, now_ms, now_ms)


def apply_identity_call(profile: Profile, change: ProfileChange, priority: Collection[str]) -> None:
    """Apply what an identity call does to a profile beside its lookups (spec/identity.md, 7.7).

    A change may come twice, the second time after batches that were received later. So of a type
    that resolution looks at the lookups decide what is shown, and of any other what is newer. Where
    a lookup has gone, the one linked last of those left is shown, in canonical form (1).

    Args:
        profile: changed in place; its lookups are those after the call, newest link last.
        change: of this profile.
        priority: IDSync keys of the types that resolution looks at.
    """
    shown = profile.user_identities
    for key, value in change.removed:
        current = shown.get(BATCH_NAMES[key])
        if current is None or canonical(key, current.value) != value:
            continue
        linked: list[str] = []
        if key in priority:
            linked = _linked(profile, key)
            is_gone = value not in linked
        else:
            is_gone = current.updated_ms <= change.time_ms
        if is_gone and linked:
            shown[BATCH_NAMES[key]] = IdentityValue(linked[-1], change.time_ms, change.time_ms)
        elif is_gone:
            del shown[BATCH_NAMES[key]]
    for key, value in change.shown.items():
        current = shown.get(BATCH_NAMES[key])
        if current is not None and current.value == value:
            continue
        if key in priority:
            is_newest = canonical(key, value) in _linked(profile, key)[-1:]
        else:
            is_newest = current is None or current.updated_ms <= change.time_ms
        if is_newest:
            shown[BATCH_NAMES[key]] = IdentityValue(value, change.time_ms, change.time_ms)
    if change.new_in and change.new_in not in profile.workspaces:
        profile.workspaces[change.new_in] = Section(change.time_ms, change.time_ms)
        profile.last_stored_timestamp_ms = max(profile.last_stored_timestamp_ms, change.time_ms)


def _linked(profile: Profile, key: str) -> list[str]:
    return [lookup.value for lookup in profile.lookups if lookup.type == key]


def update_partner_identities(profile: Profile, batch: Batch, *, is_historical: bool) -> None:
    """Merge the batch's partner identities by name; historical ones only fill gaps."""
    for name, value in batch.partner_identities.items():
        if not is_historical or name not in profile.partner_identities:
            profile.partner_identities[name] = value
