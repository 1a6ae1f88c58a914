"""Step 14: identities of which a module needs at least one (spec/connections.md, 4.2)."""

from collections.abc import Callable, Iterator

from actors.batches.identities import DEVICE_IDENTITIES, PROFILE_NAMES
from actors.pipeline.candidate import Candidate, Step


def requiring(names: frozenset[str], is_shown: Callable[[str], bool]) -> Step:
    """Make the step.

    Args:
        names: of identities, as profiles call them; a user has to have one of them.
        is_shown: tells whether the filter lets an identity of the user through; else it does not
            count. Those of devices are nothing that a filter has a switch for.
    """

    def check_identities(candidate: Candidate) -> str | None:
        has_one = any(name in names and is_shown(name) for name in _user_names(candidate))
        has_one = has_one or any(name in names for name in _device_names(candidate))
        return None if has_one else "missing_identity"

    return check_identities


def _user_names(candidate: Candidate) -> Iterator[str]:
    for each in candidate.outgoing["user_identities"]:
        yield each["identity_type"]


def _device_names(candidate: Candidate) -> Iterator[str]:
    """Yield the names of the identities of the batch's device, and of the user's other ones."""
    for member, value in candidate.stored.batch.device_info.items():
        key = DEVICE_IDENTITIES.get(member)
        if value and key in PROFILE_NAMES:
            yield PROFILE_NAMES[key]
    section = candidate.section
    for device in () if section is None else section.devices.values():
        yield from device.identities
