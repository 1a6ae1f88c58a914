"""What an alias does to the two profiles besides copying events (spec/profiles.md, 9)."""

from typing import Literal

from msgspec import Struct

from actors.model.profiles import Attribution, Profile, Section, StatusMessage
from actors.model.workspaces import WorkspaceInfo
from actors.profiles.attribution import copy_installs
from actors.profiles.retention import age_out_overdue, is_overdue, revive

# An MPID may be the destination of any number of aliases, and every batch reads its profile; the
# operator's list has them all.
MAX_STATUS_MESSAGES = 100
MAX_ATTRIBUTIONS = 200  # an install and an uninstall of each device that a section may have


class SourceFacts(Struct, frozen=True, array_like=True):
    """What a destination takes over from its source: first seen, and its installs."""

    created_ms: int
    installs: list[Attribution]


def source_facts(profile: Profile, workspace: WorkspaceInfo, now_ms: int) -> SourceFacts:
    """Return what a profile has to give; one whose lifetime is over gives no installs."""
    section = profile.workspaces.get(workspace.number)
    is_gone = is_overdue(profile, workspace, now_ms)
    installs = [] if section is None or is_gone else section.attribution
    return SourceFacts(
        profile.created_timestamp_ms, [each for each in installs if each.event == "install"]
    )


def merge_from(
    profile: Profile, source_mpid: int, facts: SourceFacts, workspace: WorkspaceInfo, now_ms: int
) -> None:
    """Make a profile the destination of an alias; once more changes nothing.

    Args:
        profile: changed in place.
        source_mpid: whose events it has got.
        facts: of the source.
        workspace: whose section is written.
        now_ms: time of the alias: the profile's lifetime begins anew.
    """
    age_out_overdue(profile, workspace, now_ms)
    section = profile.workspaces.get(workspace.number)
    if section is None:  # it was only an identity record; now it has a history
        section = profile.workspaces[workspace.number] = Section(now_ms, now_ms)
        profile.last_stored_timestamp_ms = now_ms
    revive(section, now_ms)
    profile.created_timestamp_ms = facts.created_ms
    copy_installs(section, facts.installs, MAX_ATTRIBUTIONS)
    note(profile, "merged_from", source_mpid, now_ms)


def note(
    profile: Profile, kind: Literal["aliased_to", "merged_from"], mpid: int, now_ms: int
) -> None:
    """Add a status message to a profile, unless it is there."""
    message = StatusMessage(kind, mpid, now_ms)
    if message not in profile.status_messages:
        profile.status_messages.append(message)
        del profile.status_messages[:-MAX_STATUS_MESSAGES]


def is_merged(profile: Profile, source_mpid: int, begun_ms: int) -> bool:
    """Tell whether an alias was applied to its destination, all of it."""
    return StatusMessage("merged_from", source_mpid, begun_ms) in profile.status_messages
