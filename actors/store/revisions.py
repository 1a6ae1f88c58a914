"""What was applied to the workspaces of a deployment, revision by revision.

Table `revisions`, of the store of the configuration alone: `<workspace id>\\0<number>` to a
revision. In `meta`: the numbers of all objects, and which workspaces are served.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from actors.store.environment import Transaction

KEPT = 100  # spec/platform-api.md, 15

_NUMBERS = b"configuration_numbers"
_SERVED = b"configuration_served"


class Stamp(Struct, frozen=True, array_like=True):
    """Who made an object and changed it last, and when; `revision` is the one of that change.

    `is_draft`: it has never been active (spec/connections.md, 1.3).
    """

    created_ms: int
    created_by: str
    modified_ms: int
    modified_by: str
    revision: int
    is_draft: bool = False


class RevisionHead(Struct, frozen=True, array_like=True, kw_only=True):
    """What a list shows of a revision of a workspace.

    Attributes:
        number: from 1, of the workspace.
        applied_ms, actor: when, and by whom.
        origin: `file`, `api`, `rollback` or `example`.
        summary: one line for each object that was changed; no values.
    """

    number: int
    applied_ms: int
    actor: str
    origin: str
    summary: tuple[str, ...]


class Revision(RevisionHead, frozen=True, array_like=True, kw_only=True):
    """One revision of a workspace, whole.

    Attributes:
        owned: section to the ids of what a configuration file owns there.
        stamps: `<section>/<id>` to the stamp of each object.
        sealed: the document.
        from_files: section to the ids of what came with a file, the last one or one before it, and
            is still there; what the API has taken over since is not here. Earlier versions kept
            `owned` alone.
    """

    owned: dict[str, frozenset[str]]
    stamps: dict[str, Stamp]
    sealed: bytes
    from_files: dict[str, frozenset[str]] = {}


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Revision)
_head_decoder = msgspec.msgpack.Decoder(RevisionHead)


def read_heads(txn: Transaction, workspace: str) -> list[RevisionHead]:
    """Return what is shown of the kept revisions of a workspace, oldest first.

    Their documents, which together may be large, are never in memory at once.
    """
    found = txn.scan("revisions", prefix=_prefix(workspace))
    return [_head_decoder.decode(encoded) for _, encoded in found]


def read_last_revision(txn: Transaction, workspace: str) -> Revision | None:
    """Return the revision of a workspace that holds, `None` if there never was one."""
    last = None
    for _, encoded in txn.scan("revisions", prefix=_prefix(workspace)):
        last = encoded
    return None if last is None else _decoder.decode(last)


def read_revision(txn: Transaction, workspace: str, number: int) -> Revision | None:
    """Return one revision of a workspace."""
    encoded = txn.get("revisions", _key(workspace, number))
    return None if encoded is None else _decoder.decode(encoded)


def write_revision(txn: Transaction, workspace: str, revision: Revision) -> None:
    """Keep a revision; the oldest go when there are too many."""
    txn.put("revisions", _key(workspace, revision.number), _encoder.encode(revision))
    if revision.number > KEPT:
        txn.delete("revisions", _key(workspace, revision.number - KEPT))


def read_numbers(txn: Transaction) -> bytes | None:
    """Return what `write_numbers` kept."""
    return txn.get("meta", _NUMBERS)


def write_numbers(txn: Transaction, encoded: bytes) -> None:
    """Keep the numbers of all objects."""
    txn.put("meta", _NUMBERS, encoded)


def read_served(txn: Transaction) -> tuple[str, ...]:
    """Return the ids of the workspaces that were served last, in order."""
    encoded = txn.get("meta", _SERVED)
    return () if encoded is None else msgspec.msgpack.decode(encoded, type=tuple[str, ...])


def write_served(txn: Transaction, workspaces: Sequence[str]) -> None:
    """Keep which workspaces are served."""
    txn.put("meta", _SERVED, msgspec.msgpack.encode(tuple(workspaces)))


def _prefix(workspace: str) -> bytes:
    return workspace.encode() + b"\0"


def _key(workspace: str, number: int) -> bytes:
    return _prefix(workspace) + number.to_bytes(8, "big")
