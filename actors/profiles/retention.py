"""Profiles that have had no data for too long (spec/profiles.md, 6).

What is due is already as good as gone: it is neither shown nor built upon. A sweep makes it so on
disk.
"""

from actors.model import Profile, Section, WorkspaceInfo

DAY_MS = 24 * 60 * 60 * 1000


def last_active_ms(profile: Profile) -> int:
    """Return when data last came to a profile: in a batch or through an alias."""
    merged = [each.timestamp_ms for each in profile.status_messages if each.kind == "merged_from"]
    return max([profile.last_stored_timestamp_ms, *merged])


def is_overdue(profile: Profile, workspace: WorkspaceInfo, now_ms: int) -> bool:
    """Tell whether a profile's lifetime is over and a workspace still has what should be gone.

    Data that came to it in any workspace prolong it.
    """
    lifetime_ms = workspace.profile_idle_days * DAY_MS
    if now_ms - profile.last_stored_timestamp_ms <= lifetime_ms:
        return False
    if now_ms - last_active_ms(profile) <= lifetime_ms:
        return False
    section = profile.workspaces.get(workspace.number)
    return section is not None and not section.is_aged_out


def age_out(profile: Profile, workspace: WorkspaceInfo) -> None:
    """Empty a profile's section of a workspace.

    The identity record stays, so that a user who returns has the same MPID, and so do the chains
    of stored batches, which have a retention of their own.
    """
    section = profile.workspaces[workspace.number]
    profile.workspaces[workspace.number] = Section(
        section.first_seen_ms,
        section.last_seen_ms,
        newest_log_id=section.newest_log_id,
        newest_historical_id=section.newest_historical_id,
        is_aged_out=True,
        audiences=section.audiences,  # until those who have to know are told
    )


def revive(section: Section, now_ms: int) -> None:
    """Let an aged-out section begin anew; does nothing to any other."""
    if section.is_aged_out:
        section.is_aged_out = False
        section.first_seen_ms = now_ms
