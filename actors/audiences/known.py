"""What a shard was told last of audiences, kept over a restart."""

from collections.abc import Mapping
from typing import Any

from actors.audiences.calls import LiveAudiences
from actors.model import Section


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


NO_AUDIENCES = KnownAudiences(LiveAudiences())


def shown_memberships(
    section: Section, known: KnownAudiences, expirations: Mapping[int, int]
) -> list[dict[str, Any]]:
    """Return a user's memberships by audience (spec/profiles.md, 7.3); those of audiences that are
    gone are not shown."""
    return [
        {
            "audience_id": number,
            "audience_name": known.by_number[number].name,
            "expiration_timestamp_ms": expirations.get(number),
        }
        for number in sorted(section.audiences)
        if number in known.by_number
    ]
