"""When the identity record of a user goes (spec/profiles.md, 6).

Ageing out leaves the record, so that a user who returns has the same MPID. Once nothing has come
for longer than data are retained anywhere, the record goes with what is left of the profile.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct, field

from actors.model.profiles import Lookup, StatusMessage
from actors.profiles.retention import DAY_MS, last_active_ms


class KeptSection(Struct, array_like=True):
    """The beginning of a `Section`, of which only what retention depends on is decoded."""

    first_seen_ms: int
    last_seen_ms: int
    inputs: Raw = Raw()
    user_attributes: Raw = Raw()
    consent_state: Raw = Raw()
    devices: Raw = Raw()
    attribution: Raw = Raw()
    location: Raw = Raw()
    location_updated_ms: Raw = Raw()
    newest_log_id: Raw = Raw()
    open_sessions: Raw = Raw()
    newest_historical_id: Raw = Raw()
    is_aged_out: bool = False


class KeptProfile(Struct, array_like=True):
    """A `Profile` likewise: a sweep looks at everybody who has aged out, again and again."""

    created_timestamp_ms: int
    last_stored_timestamp_ms: int
    is_opted_out: Raw
    limit_ad_tracking: Raw
    lookups: Raw
    user_identities: Raw
    partner_identities: Raw
    workspaces: dict[int, KeptSection]
    opt_out_updated_ms: Raw = Raw()
    source_mpid: Raw = Raw()
    status_messages: list[StatusMessage] = field(default_factory=list)
    joint: Raw = Raw()
    is_expired: bool = False


decode_kept = msgspec.msgpack.Decoder(KeptProfile).decode
_lookups = msgspec.msgpack.Decoder(list[Lookup]).decode


def is_record_overdue(kept: KeptProfile, retention: Mapping[int, int], now_ms: int) -> bool:
    """Tell whether the identity record of a user is to go, or is going already.

    The longest retention of the scope decides. What a workspace that is not served has of a user
    keeps the record: nobody can tell for how long.

    Args:
        kept: the user's profile.
        retention: number of each workspace of the scope that is served to its `events_days`.
    """
    is_served = kept.workspaces.keys() <= retention.keys()
    if kept.is_expired:  # what is left then waits for the workspace that has it
        return is_served or bool(_lookups(kept.lookups))
    if not retention or not is_served:
        return False
    if not all(section.is_aged_out for section in kept.workspaces.values()):
        return False
    retained_ms = max(retention.values()) * DAY_MS
    if now_ms - last_active_ms(kept) <= retained_ms:
        return False
    return now_ms - _last_linked_ms(kept) > retained_ms


def _last_linked_ms(kept: KeptProfile) -> int:
    """Return when the record was made or last got an identity: calls do that without any data."""
    linked = (each.linked_ms for each in _lookups(kept.lookups))
    return max(kept.created_timestamp_ms, *linked, 0)
