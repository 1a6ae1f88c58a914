"""Profiles as the group job reads them: all of them in every run, so no more than it needs."""

import msgspec
from msgspec import Raw, Struct, field

from actors.model.profiles import AttributeValue, GroupMembership, StatusMessage


class StoredSection(Struct, array_like=True):
    """A `Section` of which only what groups depend on is decoded: several times faster."""

    first_seen_ms: int
    last_seen_ms: int
    inputs: Raw
    user_attributes: dict[str, Raw]
    consent_state: Raw = Raw()
    devices: Raw = Raw()
    attribution: Raw = Raw()
    location: Raw = Raw()
    location_updated_ms: Raw = Raw()
    newest_log_id: Raw = Raw()
    open_sessions: Raw = Raw()
    newest_historical_id: Raw = Raw()
    is_aged_out: bool = False
    groups: dict[int, GroupMembership] = field(default_factory=dict)


class StoredProfile(Struct, array_like=True):
    """The beginning of a `Profile`, likewise."""

    created_timestamp_ms: int
    last_stored_timestamp_ms: int
    is_opted_out: Raw
    limit_ad_tracking: Raw
    lookups: Raw
    user_identities: Raw
    partner_identities: Raw
    workspaces: dict[int, StoredSection]
    opt_out_updated_ms: Raw = Raw()
    source_mpid: Raw = Raw()
    status_messages: list[StatusMessage] = field(default_factory=list)


decode = msgspec.msgpack.Decoder(StoredProfile).decode
decode_attribute = msgspec.msgpack.Decoder(AttributeValue).decode
