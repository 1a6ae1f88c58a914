"""Outputs that are given all members of an audience from time to time, and not their changes."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol, runtime_checkable

from msgspec import Struct

from actors.audiences.answers import MemberRow
from actors.outputs.contract import Outcome


class Snapshot(Struct, frozen=True):
    """One occasion on which the members of a subscription's audience are written.

    Attributes:
        id: hexadecimal digits; the same occasion has the same, however often it is tried.
        moment_ms: of the occasion; members are read later.
        audience: number; `name`: what receivers are told of the audience.
    """

    id: str
    moment_ms: int
    audience: int
    name: str


@runtime_checkable
class SnapshotOutput(Protocol):
    """A `StreamOutput` that takes snapshots; changes that come nevertheless it lets go of."""

    snapshot_interval_ms: int
    snapshot_identities: tuple[str, ...]

    async def write_snapshot(
        self, snapshot: Snapshot, pages: AsyncIterator[Sequence[MemberRow]]
    ) -> Outcome:
        """Write the members; what is written shows as a whole or not at all.

        The same snapshot replaces itself. Raises what the pages raise.
        """
        ...
