"""Profiles that have had no data for too long (spec/profiles.md, 6).

What is due is already as good as gone: it is neither shown nor built upon. A sweep makes it so on
disk.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from actors.model.profiles import Profile, Section, StatusMessage
from actors.model.workspaces import WorkspaceInfo

DAY_MS = 24 * 60 * 60 * 1000
EMPTIED = -1  # epoch of a section that aged out; what is made anew for who returns is not its first


class Active(Protocol):
    """What of a profile tells when data last came to it."""

    @property
    def last_stored_timestamp_ms(self) -> int: ...
    @property
    def status_messages(self) -> Sequence[StatusMessage]: ...


class Ageing(Protocol):
    """What of a section tells whether it is over."""

    @property
    def is_aged_out(self) -> bool: ...


class Kept(Active, Protocol):
    """What of a profile tells whether it is to age out."""

    @property
    def workspaces(self) -> Mapping[int, Ageing]: ...


def last_active_ms(profile: Active) -> int:
    """Return when data last came to a profile: in a batch or through an alias."""
    merged = [each.timestamp_ms for each in profile.status_messages if each.kind == "merged_from"]
    return max([profile.last_stored_timestamp_ms, *merged])


def is_overdue(profile: Kept, workspace: WorkspaceInfo, now_ms: int) -> bool:
    """Tell whether a profile's lifetime is over and a workspace still has what should be gone.

    Data that came to it in any workspace prolong it.
    """
    return _is_overdue(profile, workspace.number, workspace.profile_idle_days, now_ms)


def age_out_overdue(profile: Profile, workspace: WorkspaceInfo, now_ms: int) -> None:
    """Empty what is overdue, in all workspaces of the scope: data are to come that prolong it."""
    if is_overdue(profile, workspace, now_ms):
        age_out(profile, workspace.number)
    for number, idle_days in workspace.neighbours.items():
        if _is_overdue(profile, number, idle_days, now_ms):
            age_out(profile, number)


def age_out(profile: Profile, number: int) -> None:
    """Empty a profile's section of a workspace, given by its number.

    The identity record stays, so that a user who returns has the same MPID, and so do the chains
    of stored batches, which have a retention of their own.
    """
    section = profile.workspaces[number]
    profile.workspaces[number] = Section(
        section.first_seen_ms,
        section.last_seen_ms,
        newest_log_id=section.newest_log_id,
        newest_historical_id=section.newest_historical_id,
        is_aged_out=True,
        # Until those who have to know are told, by the identities that they know.
        audiences=section.audiences,
        devices=section.devices if is_member_anywhere(profile, section) else {},
        untold=section.untold,
        epoch=EMPTIED,
        lost_attributes=[
            *section.lost_attributes,
            *(each for each, state in section.calculated.items() if state.value is not None),
        ],
        is_leaving=section.is_leaving,
    )


def is_member_anywhere(profile: Profile, section: Section) -> bool:
    """Tell whether a user is in audiences of a section, or in some over several workspaces."""
    return bool(section.audiences) or any(each.audiences for each in profile.joint.values())


def revive(section: Section, now_ms: int) -> None:
    """Let an aged-out section begin anew; does nothing to any other."""
    if section.is_aged_out:
        section.devices = {}
        section.is_aged_out = False
        section.first_seen_ms = now_ms


def _is_overdue(profile: Kept, number: int, idle_days: int, now_ms: int) -> bool:
    lifetime_ms = idle_days * DAY_MS
    if now_ms - profile.last_stored_timestamp_ms <= lifetime_ms:
        return False
    if now_ms - last_active_ms(profile) <= lifetime_ms:
        return False
    section = profile.workspaces.get(number)
    return section is not None and not section.is_aged_out
