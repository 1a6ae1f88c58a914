"""What becomes of an alias (spec/identity.md, 10.2), decided from the aliases before it."""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from actors.identity.calls import AliasRequest

AliasState = Literal["pending", "applied", "dropped"]
DropReason = Literal[
    "overlapping_source", "source_was_destination", "destination_was_source", "unknown_mpid"
]


class Alias(Struct, frozen=True, array_like=True):
    """An accepted request and what has become of it.

    Attributes:
        number: rises in the order of acceptance.
        request: as accepted.
        begun_ms: when it was decided to apply it, the time of its status messages; 0 before.
        state: `pending` also while it is being applied.
        reason: why it was dropped.
        settled_ms: when it was applied or dropped; 0 before.
    """

    number: int
    request: AliasRequest
    begun_ms: int = 0
    state: AliasState = "pending"
    reason: DropReason | None = None
    settled_ms: int = 0


def drop_reason(request: AliasRequest, others: Iterable[Alias]) -> DropReason | None:
    """Return why a request must not be applied, `None` if it may be.

    Args:
        request: to be applied now.
        others: all aliases of its environment that name one of its MPIDs; only those that were
            applied count.
    """
    applied = [each.request for each in others if each.state == "applied"]
    source, destination = request.source_mpid, request.destination_mpid
    if any(each.source_mpid == source and _overlap(each, request) for each in applied):
        return "overlapping_source"
    if any(each.destination_mpid == source for each in applied):
        return "source_was_destination"
    if any(each.source_mpid == destination for each in applied):
        return "destination_was_source"
    return None


def _overlap(one: AliasRequest, other: AliasRequest) -> bool:
    return one.start_ms <= other.end_ms and other.start_ms <= one.end_ms
