"""The few members of a profile's record that tell whether and since when a user is a member.

Decoding them alone takes a fraction of what a whole profile does: for reads that go over many.
"""

import msgspec
from msgspec import Raw, Struct

from actors.model.profiles import StatusMessage
from actors.profiles.retention import DAY_MS


class SectionStanding(Struct, array_like=True):
    """A `Section` up to its audiences; `Raw` is what is passed over."""

    first_seen_ms: int
    last_seen_ms: int
    inputs: Raw
    user_attributes: Raw
    consent_state: Raw
    devices: Raw
    attribution: Raw
    location: Raw
    location_updated_ms: int
    newest_log_id: int
    open_sessions: Raw
    newest_historical_id: int
    is_aged_out: bool
    groups: Raw
    calculated: Raw
    audiences: dict[int, int]


class Standing(Struct, array_like=True):
    """A `Profile` likewise."""

    created_timestamp_ms: int
    last_stored_timestamp_ms: int
    is_opted_out: bool
    limit_ad_tracking: bool | None
    lookups: Raw
    user_identities: Raw
    partner_identities: Raw
    workspaces: dict[int, SectionStanding]
    opt_out_updated_ms: int
    source_mpid: int | None
    status_messages: list[StatusMessage]
    joint: dict[int, SectionStanding] = {}

    def is_counted(self, workspace: int, idle_days: int, now_ms: int) -> bool:
        """Tell whether audiences can have the user (spec/audiences.md, 5, rule 10)."""
        section = self.workspaces.get(workspace)
        if section is None or section.is_aged_out or self.is_opted_out:
            return False
        merged = (each.timestamp_ms for each in self.status_messages if each.kind == "merged_from")
        last_ms = max(merged, default=0)
        return now_ms - max(self.last_stored_timestamp_ms, last_ms) <= idle_days * DAY_MS

    def since_ms(self, workspace: int, audience: int) -> int | None:
        """Return since when the user is in an audience that a workspace has, `None` if not."""
        for sections in (self.workspaces, self.joint):
            section = sections.get(workspace)
            if section is not None and audience in section.audiences:
                return section.audiences[audience]
        return None


decode_standing = msgspec.msgpack.Decoder(Standing).decode
