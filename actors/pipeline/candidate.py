"""A batch on its way through the steps of one connection."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from actors.model.batches import Event, StoredBatch
from actors.model.profiles import Profile, Section


class Drop(Struct, frozen=True):
    """Something that a connection does not get.

    `event_index` `None`: the whole batch, as far as it had come; `events`: how many that were,
    1 if it had none.
    """

    connection: int
    reason: str
    event_index: int | None = None
    events: int = 1


# The step of spec/connections.md, 2 that leaves something out for a reason.
STEPS = {
    "inactive": 1,
    "environment": 1,
    "historical": 2,
    "duplicate": 2,
    "unsupported_platform": 3,
    "split": 4,
    "sampled_out": 4,
    "min_app_version": 5,
    "forwarding_rule:id_sync": 6,
    "forwarding_rule:attribution": 6,
    "forwarding_rule:user_attribute": 6,
    "forwarding_rule:consent": 6,
    "forwarding_rule:event_attribute": 7,
    "filtered": 8,
    "unplanned_batch": 9,
    "unsupported_type": 11,
    "setting": 11,
    "event_arrived_late": 12,
    "missing_identity": 14,
    "payload_too_large": 15,
}


class Candidate(Struct):
    """What the steps look at, and change.

    Attributes:
        connection: its number.
        outgoing: the batch as `actors.outgoing.outgoing_batch` returns it.
        stored: the same batch as processed.
        profile: the user's after this batch, `None` if it is nobody's.
        events: indices of the events that are still to go out.
        drops: what was left out, of other connections too.
    """

    connection: int
    outgoing: dict[str, Any]
    stored: StoredBatch
    profile: Profile | None
    events: list[int]
    drops: list[Drop]

    @property
    def section(self) -> Section | None:
        """The part of the profile that belongs to the batch's workspace."""
        return None if self.profile is None else self.profile.workspaces.get(self.stored.workspace)

    def keep(self, is_kept: Callable[[Event], bool], reason: str) -> None:
        """Leave out the events that are not to be kept."""
        events = self.stored.batch.events
        kept = [index for index in self.events if is_kept(events[index])]
        if len(kept) < len(self.events):
            staying = set(kept)
            self.drops += [
                Drop(self.connection, reason, index)
                for index in self.events
                if index not in staying
            ]
            self.events = kept


# Returns why the batch as a whole goes no further, `None` if it does.
Step = Callable[[Candidate], str | None]
