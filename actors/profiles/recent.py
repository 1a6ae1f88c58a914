"""How much of a user's events real-time evaluation sees (spec/profiles.md, 4 and 11).

What is stored is counted in steps of a quarter of the limit: so three to four quarters are seen,
and what is kept of events is made anew once for every quarter, not with every batch.
"""

from collections.abc import Sequence

from actors.model.batches import Event
from actors.model.profiles import Section
from actors.model.workspaces import WorkspaceInfo
from actors.profiles.tiers import event_name

STEPS = 4


def note_stored(section: Section, log_id: int, size: int, limit: int) -> bool:
    """Count a stored batch; tell whether events that were seen are not seen any more.

    Args:
        section: of the user.
        log_id: of the batch.
        size: of what real-time evaluation sees of it, in bytes.
        limit: bytes of a user, in one workspace, that it sees at most.
    """
    section.step_bytes += size
    if section.step_bytes < limit // STEPS:
        return False
    section.step_bytes = 0
    section.steps.append(log_id)
    if len(section.steps) < STEPS:
        return False
    section.recent_from_id = section.steps.pop(0)
    return True


def seen_bytes(size: int, events: Sequence[Event], workspace: WorkspaceInfo) -> int:
    """Return how much of a stored batch of a size is of events that real-time evaluation sees."""
    default, tiers = workspace.default_tier, workspace.tiers
    if not events or (default == "personalize" and "preserve" not in tiers.values()):
        return size
    seen = sum(tiers.get(event_name(each) or "", default) == "personalize" for each in events)
    return size * seen // len(events)
