"""Which bulk deletions are kept, and how they are found (spec/profiles.md, 10)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from actors.deletions.requests import BulkDeletion
from actors.store import bulk_deletions
from actors.store.bulk_deletions import KEPT_MS
from actors.store.environment import Store
from tests.whole.subject_requests import numbered_id
from tests.whole.world import MAP_SIZE


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path, MAP_SIZE)
    yield opened
    opened.close()


def request(number: int, received_ms: int, ended_ms: int = 0) -> BulkDeletion:
    return BulkDeletion(
        id=numbered_id(number),
        environment="production",
        mpids=() if ended_ms else (number,),
        requested=1,
        received_ms=received_ms,
        status="completed" if ended_ms else "pending",
        ended_ms=ended_ms,
    )


def kept(store: Store, count: int) -> list[int]:
    """Return which of so many requests are there."""
    with store.read() as txn:
        return [
            each for each in range(count) if bulk_deletions.read(txn, numbered_id(each)) is not None
        ]


def test_what_waits_is_found_in_the_order_of_receipt_until_it_is_completed(store: Store) -> None:
    with store.write() as txn:
        for number, received_ms in ((0, 30), (1, 10), (2, 20)):
            bulk_deletions.write(txn, request(number, received_ms))
        assert list(bulk_deletions.waiting(txn)) == [numbered_id(each) for each in (1, 2, 0)]
        bulk_deletions.write(txn, replace(request(1, 10), status="in_progress"))
        bulk_deletions.write(txn, request(2, 20, ended_ms=40))
        assert list(bulk_deletions.waiting(txn)) == [numbered_id(each) for each in (1, 0)]
        assert txn.entries("bulk_deletions") == 6


def test_one_that_has_ended_is_forgotten_after_a_week_and_none_that_waits(store: Store) -> None:
    with store.write() as txn:
        bulk_deletions.write(txn, request(0, 1))
        for number, ended_ms in ((1, 10), (2, 11)):
            bulk_deletions.write(txn, request(number, 1, ended_ms))
        bulk_deletions.forget(txn, KEPT_MS + 10)
    assert kept(store, 3) == [0, 1, 2]
    with store.write() as txn:
        bulk_deletions.forget(txn, KEPT_MS + 11)
    assert kept(store, 3) == [0, 2]
    with store.read() as txn:
        assert txn.entries("bulk_deletions") == 4


def test_of_more_than_are_kept_the_oldest_that_have_ended_go(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_deletions, "MAX_KEPT", 3)
    with store.write() as txn:
        bulk_deletions.write(txn, request(0, 1))
        for number, ended_ms in ((1, 12), (2, 11), (3, 13), (4, 14)):
            bulk_deletions.write(txn, request(number, 1, ended_ms))
        bulk_deletions.forget(txn, 20)
    assert kept(store, 5) == [0, 3, 4]


@pytest.mark.parametrize("asked", ["", "x", "é" * 36, "\ud800" * 36, numbered_id(5)])
def test_an_id_that_nobody_has_finds_nothing(store: Store, asked: str) -> None:
    with store.read() as txn:
        assert bulk_deletions.read(txn, asked) is None
