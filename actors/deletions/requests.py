"""Bulk profile deletions as they are kept (spec/profiles.md, 10)."""

from typing import Literal

from msgspec import Struct

from actors.model.workspaces import Environment

DeletionStatus = Literal["pending", "in_progress", "completed"]


class BulkDeletion(Struct, frozen=True, kw_only=True):
    """A request and what has become of it.

    Attributes:
        mpids: whose sections are still to be deleted, each once; empty when it is over.
        is_marked: whether these sections are marked.
        requested: how many MPIDs it has named.
        deleted, not_found: how many of them had a section in the workspace, which is gone, and how
            many had none. The first grows until it is over, the second is 0 until that is known.
        ended_ms: when it was completed, 0 before.
    """

    id: str
    environment: Environment
    mpids: tuple[int, ...]
    requested: int
    received_ms: int
    status: DeletionStatus = "pending"
    deleted: int = 0
    not_found: int = 0
    is_marked: bool = False
    ended_ms: int = 0

    def __repr__(self) -> str:
        return f"BulkDeletion({self.id!r}, {self.status!r})"
