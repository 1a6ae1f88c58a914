"""Whom an audience is shared with, and what of it they get (spec/audiences.md, 12.1).

A receiver is a workspace of another account, or another one of those that the audience is over. A
subscription of its output to the audience is kept
where the audience is, and its changes are made and wait there.
"""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from actors.audiences.catalog import AudienceOutput, Catalog
from actors.audiences.objects import Audience, Counters, Level, Removal, Subscription
from actors.model.profiles import Profile

MAY_CONNECT = ("usable", "owner")
Neighbours = Mapping[int, Catalog]  # of the deployment's other workspaces, by number


class Withheld(Struct, frozen=True):
    """What a receiver is not told of users whom its account has never seen.

    Attributes:
        identities: their types.
        workspaces: of the receiving account; a user who was in one of them was seen.
    """

    identities: frozenset[str] = frozenset()
    workspaces: frozenset[int] = frozenset()

    def of(self, profile: Profile) -> frozenset[str]:
        """Return the types of a user's identities that it is not told."""
        is_hidden = self.identities and self.workspaces.isdisjoint(profile.workspaces)
        return self.identities if is_hidden else frozenset()


NOTHING_WITHHELD = Withheld()


def level_of(audience: Audience, account: int) -> Level | Literal["owner"]:
    """Return what an account may do with an audience."""
    if account == audience.account:
        return "owner"
    return audience.levels.get(account, audience.default_level)


def output_of(
    joined: Subscription | Removal, catalog: Catalog, neighbours: Neighbours
) -> AudienceOutput | None:
    """Return the output of a subscription; `None` if it is not there any more."""
    if joined.receiver is None:
        return catalog.outputs.get(joined.output)
    receiver = neighbours.get(joined.receiver)
    return None if receiver is None else receiver.outputs.get(joined.output)


def withheld_from(
    subscription: Subscription, counters: Counters, neighbours: Neighbours
) -> Withheld:
    """Return what the receiver of a subscription is not told."""
    receiver = neighbours.get(subscription.receiver) if subscription.receiver is not None else None
    if receiver is None:
        return NOTHING_WITHHELD
    identities = counters.withheld_identities.get(receiver.account, ())
    if not identities:
        return NOTHING_WITHHELD
    seen_in = frozenset(
        number for number, each in neighbours.items() if each.account == receiver.account
    )
    return Withheld(frozenset(identities), seen_in)
