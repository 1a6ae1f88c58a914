"""Connections of audiences, as a forwarder sees them (spec/connections.md, 4.4 and 5)."""

from collections.abc import Container, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

from actors.model.deliveries import Delivery
from actors.model.workspaces import Environment
from actors.outputs import audience_messages
from actors.outputs.audience_messages import MembershipChange
from actors.outputs.contract import SubscriptionTerms
from actors.pipeline.connection import ConnectionInfo


class Followed(Struct, frozen=True):
    """A subscription of an output, and what the coordinator has decided of it.

    Attributes:
        resumed: how often it was resumed; a fault from before that is over.
        audience, name, environment: number of the audience, what receivers are told of it, and
            whose users it has.
        settings: of the subscription, as written; they may hold secrets.
        members_are_known: all users are evaluated by the audience's present definition.
        sends: how often all members were to be sent, of a standard audience; `None` of others.
    """

    info: ConnectionInfo
    is_faulted: bool
    resumed: int
    audience: int = 0
    name: str = ""
    environment: Environment = "production"
    settings: dict[str, Any] = {}
    members_are_known: bool = True
    sends: int | None = None

    @property
    def terms(self) -> SubscriptionTerms:
        """What its receiver is asked to agree to."""
        return SubscriptionTerms(self.info.number, self.audience, self.name, self.settings)

    def __repr__(self) -> str:
        return f"Followed({self.info.id!r})"


def superfluous(deliveries: Sequence[Delivery], repeated: Container[int] = ()) -> list[Delivery]:
    """Return those of some changes, waiting together, that come to nothing or are overtaken.

    Entering and leaving alternate, so the first of a user tells what the receiver knows: before
    `add`, nothing. What may have been delivered already, because it was tried, counts as delivered.
    An `attribute_update` says all that there is to say, so only a last one is of use. Who left and
    came back stays, and is told of once more where attributes are shared.

    Args:
        deliveries: in the order of their sequences.
        repeated: sequences of those that are sent again in any case, since a crash may have hidden
            that they were delivered. What came before one is overtaken by it; what follows is
            looked at by itself, for the receiver knows the repeated one by then.
    """
    by_user: dict[int | None, list[_Change]] = {}
    found: list[Delivery] = []
    for each in deliveries:
        if each.sequence in repeated:
            found += [former.delivery for former in by_user.pop(each.mpid, ())]
            continue
        [change] = audience_messages.decode(each.payload).changes
        by_user.setdefault(each.mpid, []).append(_Change(change, each))
    for changes in by_user.values():
        if len(changes) > 1:
            found += _overtaken(changes)
    return found


def inheriting(deliveries: Sequence[Delivery], dropped: Sequence[Delivery]) -> list[Delivery]:
    """Have kept changes count as tried where dropped ones of their users were; return these.

    Whether the receiver knows of the dropped one is open, and so what the kept one means to it.
    """
    gone = {each.sequence for each in dropped}
    tried = {each.mpid: each for each in dropped if each.attempts}
    found = []
    for each in deliveries:
        former = tried.get(each.mpid)
        if former is not None and each.sequence not in gone and not each.attempts:
            each.attempts, each.first_attempt_ms = former.attempts, former.first_attempt_ms
            each.next_attempt_ms, each.delayed_ms = former.next_attempt_ms, former.delayed_ms
            found.append(each)
    return found


class _Change(NamedTuple):
    change: MembershipChange
    delivery: Delivery


def _overtaken(changes: Sequence[_Change]) -> list[Delivery]:
    """Return the superfluous ones of one user's changes."""
    last = changes[-1]
    updates = [each for each in changes if each.change.action == "attribute_update"]
    found = [each.delivery for each in updates if each is not last]
    moves = [each for each in changes if each.change.action != "attribute_update"]
    if len(moves) < 2:
        return found
    is_open = any(each.delivery.attempts for each in moves)
    is_nothing = moves[0].change.action != moves[-1].change.action and not is_open
    if is_nothing and moves[-1].change.action == "add" and moves[-1].change.user_attributes:
        is_nothing = last in updates  # which has the attributes too
    return found + [each.delivery for each in (moves if is_nothing else moves[:-1])]
