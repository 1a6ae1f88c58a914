"""Connections of audiences, as a forwarder sees them (spec/connections.md, 4.4 and 5)."""

from collections.abc import Sequence

from msgspec import Struct

from actors.model import Delivery
from actors.outputs import audience_messages
from actors.pipeline.connection import ConnectionInfo


class Followed(Struct, frozen=True):
    """A subscription of an output, and what the coordinator has decided of it.

    `resumed`: how often it was resumed; a fault from before that is over.
    """

    info: ConnectionInfo
    is_faulted: bool
    resumed: int


def superfluous(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """Return those of some changes, waiting together, that come to nothing or are overtaken.

    Changes of one user alternate, so the first tells what the receiver knows: of a user whose first
    change is `add`, nothing. What may have been delivered already, because it was tried, counts as
    delivered.
    """
    by_user: dict[int | None, list[tuple[str, Delivery]]] = {}
    for each in deliveries:
        [change] = audience_messages.decode(each.payload).changes
        by_user.setdefault(each.mpid, []).append((change.action, each))
    found: list[Delivery] = []
    for changes in by_user.values():
        actions = [action for action, _ in changes]
        if len(changes) < 2 or "attribute_update" in actions:
            continue
        is_open = any(each.attempts for _, each in changes)
        is_nothing = actions[0] != actions[-1] and not is_open
        found += [each for _, each in (changes if is_nothing else changes[:-1])]
    return found
