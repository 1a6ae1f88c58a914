"""What a shard was told last of audiences, kept over a restart."""

from collections.abc import Mapping
from typing import Any

from actors.audiences.told import LiveAudiences
from actors.model.profiles import Section


class KnownAudiences:
    """`LiveAudiences`, ready to be looked things up in.

    Attributes:
        live: what is known.
        by_number: its audiences; `static`: the numbers of those that are lists.
        standard: its audiences that are calculated.
    """

    def __init__(self, live: LiveAudiences) -> None:
        self.live = live
        self.by_number = {each.number: each for each in live.audiences}
        self.static = [each.number for each in live.audiences if each.type == "static"]
        self.standard = [each for each in live.audiences if each.type == "standard"]


NO_NAMES: Mapping[int, str] = {}
NO_AUDIENCES = KnownAudiences(LiveAudiences())


def memberships(
    section: Section, known: KnownAudiences, joint: Mapping[int, str] = NO_NAMES
) -> dict[int, str]:
    """Return the names of the audiences that a user is in, by number; without those that are gone.

    `joint`: those over several workspaces.
    """
    names = {
        number: known.by_number[number].name
        for number in section.audiences
        if number in known.by_number
    }
    return names | dict(joint)


def shown_memberships(
    section: Section,
    known: KnownAudiences,
    expirations: Mapping[int, int],
    joint: Mapping[int, str] = NO_NAMES,
) -> list[dict[str, Any]]:
    """Return a user's `memberships` by audience (spec/profiles.md, 7.3)."""
    return [
        {
            "audience_id": number,
            "audience_name": name,
            "expiration_timestamp_ms": expirations.get(number),
        }
        for number, name in sorted(memberships(section, known, joint).items())
    ]
