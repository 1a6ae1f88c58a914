"""Revisions of a workspace: those that are kept, and what reading them takes."""

import tracemalloc
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from actors.store import revisions
from actors.store.environment import Store, Transaction
from actors.store.revisions import Revision

MB = 1024 * 1024
REVISIONS = 16


def revision(number: int) -> Revision:
    """Make one with a document of 1 MB."""
    return Revision(
        number=number,
        applied_ms=number * 1000,
        actor="ops",
        origin="api",
        summary=(f"~ input {number}",),
        owned={},
        stamps={},
        sealed=bytes(MB),
    )


def heads(txn: Transaction) -> list[int]:
    return [each.number for each in revisions.read_heads(txn, "shop")]


def last(txn: Transaction) -> int:
    found = revisions.read_last_revision(txn, "shop")
    assert found is not None
    assert len(found.sealed) == MB
    return found.number


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        pytest.param(heads, list(range(1, REVISIONS + 1)), id="all that are listed"),
        pytest.param(last, REVISIONS, id="the one that holds"),
    ],
)
def test_reading_revisions_never_has_all_documents_in_memory(
    tmp_path: Path, read: Callable[[Transaction], object], expected: object
) -> None:
    with closing(Store(tmp_path, 64 * MB)) as store:
        with store.write() as txn:
            revisions.write_revision(txn, "another", revision(99))
            revisions.write_revision(txn, "shopping", revision(98))
            for number in range(1, REVISIONS + 1):
                revisions.write_revision(txn, "shop", revision(number))
        with store.read() as txn:
            tracemalloc.start()
            try:
                assert read(txn) == expected
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
    assert peak < 4 * MB


def test_a_workspace_that_was_never_applied_has_none(tmp_path: Path) -> None:
    with closing(Store(tmp_path, 64 * MB)) as store, store.read() as txn:
        assert revisions.read_heads(txn, "shop") == []
        assert revisions.read_last_revision(txn, "shop") is None
