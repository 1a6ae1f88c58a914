"""What waits to be delivered and what could not be: spec/connections.md, 3.1, 3.4 and 3.7."""

from collections.abc import Iterator
from itertools import count

import pytest
from msgspec.structs import replace

from actors.model.deliveries import DeadLetter, Delivery, Settlement
from actors.store import outbox, pending, queue_sums
from actors.store.environment import Store, Table, Transaction
from actors.store.keys import dead_id_key, outbox_key, pending_key
from tests.actors.store.builders import NOW, dead, delivery
from tests.actors.store.dead_index import dead_letter_ids

ALL = 1 << 30


def read(
    txn: Transaction,
    connection: int = 1,
    after: int = 0,
    limit: int = ALL,
    max_bytes: int = ALL,
) -> list[Delivery]:
    """Return what waits for a connection, decoded."""
    return outbox.decode(outbox.read_encoded(txn, connection, after, limit, max_bytes))


def waiting(txn: Transaction, connection: int = 1) -> list[int]:
    """Return the sequences that wait for a connection."""
    return [each.sequence for each in read(txn, connection)]


def fill(txn: Transaction, *sequences: int, connection: int = 1) -> list[Delivery]:
    """Add deliveries of a connection."""
    added = [delivery(sequence, connection) for sequence in sequences]
    for each in added:
        outbox.add(txn, each)
    return added


@pytest.mark.parametrize(
    ("after", "limit", "max_bytes", "found"),
    [
        pytest.param(0, ALL, ALL, [2, 3, 300, 1 << 40], id="all, by the number of the sequence"),
        pytest.param(3, ALL, ALL, [300, 1 << 40], id="after one that is there"),
        pytest.param(4, ALL, ALL, [300, 1 << 40], id="after one that is gone"),
        pytest.param(1 << 40, ALL, ALL, [], id="after the last"),
        pytest.param(0, 2, ALL, [2, 3], id="as many as asked for"),
        pytest.param(0, ALL, 1, [2], id="at least one, whatever its size"),
    ],
)
def test_deliveries_of_one_connection_are_read_in_order(
    store: Store, after: int, limit: int, max_bytes: int, found: list[int]
) -> None:
    """Those of its neighbours are not among them."""
    with store.write() as txn:
        fill(txn, 300, 2, 1 << 40, 3)
        fill(txn, 1, 5, connection=0)
        fill(txn, 1, 5, connection=2)
        found_here = read(txn, 1, after, limit, max_bytes)
    assert [each.sequence for each in found_here] == found


def test_reading_ends_after_about_as_many_bytes_as_asked_for(store: Store) -> None:
    """The delivery with which the limit is reached is the last."""
    with store.write() as txn:
        sizes = [outbox.add(txn, delivery(n, payload=b"x" * 1000)) for n in range(1, 6)]
        assert len(read(txn, max_bytes=sum(sizes[:3]))) == 3
        assert len(read(txn, max_bytes=sum(sizes[:3]) + 1)) == 4


def test_a_settlement_takes_done_and_dead_away_and_writes_delayed_back(store: Store) -> None:
    """A delivery that is not named stays as it is."""
    with store.write() as txn:
        first, second, third, fourth = fill(txn, 1, 2, 3, 4)
        delayed = replace(third, attempts=1, first_attempt_ms=8, next_attempt_ms=9)
        letter = dead(replace(second, attempts=7))
        outbox.settle(txn, Settlement(1, done=[first.sequence], dead=[letter], delayed=[delayed]))
        assert read(txn) == [delayed, fourth]
        assert outbox.dead_letters(txn, 1, 0, ALL) == [letter]
        assert outbox.dead_letter(txn, 1, second.delivery_id) == letter
        assert outbox.dead_letter(txn, 2, second.delivery_id) is None


def test_a_settlement_that_comes_again_changes_nothing(store: Store) -> None:
    """Its sender may not have seen that it was applied; nothing is buried or delayed twice."""
    with store.write() as txn:
        _, second, third = fill(txn, 1, 2, 3)
        settlement = Settlement(1, [1], [dead(second)], [replace(third, attempts=1)])
        assert outbox.settle(txn, settlement).left == 2
        outbox.replay(txn, 1, [second.delivery_id], count(10).__next__)
        outbox.settle(txn, Settlement(1, done=[3]))
        assert outbox.settle(txn, settlement) == (0, 0, [])
        assert waiting(txn) == [10]
        assert dead_letter_ids(txn, 1) == []


def test_a_settlement_concerns_one_connection(store: Store) -> None:
    """Another one may have deliveries of the same sequence."""
    with store.write() as txn:
        fill(txn, 1, 2)
        fill(txn, 1, 2, connection=2)
        outbox.settle(txn, Settlement(2, done=[1, 2]))
        assert (waiting(txn, 1), waiting(txn, 2)) == ([1, 2], [])


def test_bytes_that_a_delayed_delivery_grew_by_are_made_good(store: Store) -> None:
    """What is added less what settlements report is what the outbox holds, at any time."""
    with store.write() as txn:
        waits = delivery(1)
        size = outbox.add(txn, waits)
        for attempts in (1, 200):
            waits = replace(waits, attempts=attempts, next_attempt_ms=1_767_225_600_000)
            size -= outbox.settle(txn, Settlement(1, delayed=[waits])).freed_bytes
            assert outbox.depths(txn) == {1: (1, size)}
        assert outbox.settle(txn, Settlement(1, done=[1])) == (1, size, [])


def test_a_replayed_delivery_comes_last_with_its_id_and_no_attempts(store: Store) -> None:
    """spec/connections.md, 3.4 and 3.7; ids that are unknown or named twice are passed over."""
    with store.write() as txn:
        fill(txn, 5)
        died = delivery(2, attempts=103, first_attempt_ms=7, next_attempt_ms=8, event_count=2)
        outbox.bury(txn, dead(died, "retry_exhausted"))
        asked = ["dl_0", died.delivery_id, died.delivery_id]
        reasons, size = outbox.replay(txn, 1, asked, count(9).__next__)
        assert reasons == ["retry_exhausted"]
        assert read(txn, after=5) == [delivery(9, delivery_id="dl_2", event_count=2)]
        assert outbox.depths(txn)[1][1] == size + outbox.add(txn, delivery(5))
        assert outbox.dead_letters(txn, 1, 0, ALL) == []
        assert dead_letter_ids(txn, 1) == []
        assert outbox.replay(txn, 1, asked, count(10).__next__) == ([], 0)


def test_dead_letters_are_listed_by_connection_in_pages(store: Store) -> None:
    """In the order of their sequence; a page goes on after the last of the one before."""
    letters = [dead(delivery(sequence)) for sequence in (3, 300, 70_000)]
    with store.write() as txn:
        for letter in [*letters[::-1], dead(delivery(4, connection=2))]:
            outbox.bury(txn, letter)
        assert outbox.dead_letters(txn, 1, 0, 2) == letters[:2]
        assert outbox.dead_letters(txn, 1, 300, 2) == letters[2:]
        assert dead_letter_ids(txn, 1) == ["dl_3", "dl_300", "dl_70000"]
        assert [each.delivery.connection for each in outbox.all_dead_letters(txn)] == [1, 1, 1, 2]


def of_two_users(txn: Transaction) -> list[DeadLetter]:
    """Bury letters of two users whose batches have one id, and so their deliveries."""
    letters = [dead(delivery(seq, delivery_id="dl_2", mpid=seq)) for seq in (2, 3)]
    for letter in [*letters, dead(delivery(4, delivery_id="dl_23"))]:
        outbox.bury(txn, letter)
    return letters


def test_dead_letters_of_two_users_with_one_id_are_all_replayed(store: Store) -> None:
    """Senders' ids of batches are unique per user only."""
    with store.write() as txn:
        of_two_users(txn)
        assert dead_letter_ids(txn, 1) == ["dl_2", "dl_23"]
        reasons, _ = outbox.replay(txn, 1, ["dl_2"], count(9).__next__)
        assert len(reasons) == 2
        assert [(each.sequence, each.mpid) for each in read(txn)] == [(9, 2), (10, 3)]
        assert dead_letter_ids(txn, 1) == ["dl_23"]


def test_dead_letters_of_two_users_with_one_id_are_all_discarded(store: Store) -> None:
    with store.write() as txn:
        of_two_users(txn)
        assert len(outbox.discard(txn, 1, ["dl_2"])) == 2
        assert [each.delivery.sequence for each in outbox.dead_letters(txn, 1, 0, ALL)] == [4]
        assert outbox.dead_letter(txn, 1, "dl_2") is None


@pytest.mark.parametrize("gone", [2, 3])
def test_a_dead_letter_is_found_when_another_of_its_id_is_gone(store: Store, gone: int) -> None:
    with store.write() as txn:
        letters = of_two_users(txn)
        assert outbox.dead_letter(txn, 1, "dl_2") == letters[0]
        outbox.unbury(txn, outbox_key(1, gone))
        assert outbox.dead_letter(txn, 1, "dl_2") == letters[3 - gone]
        assert len(outbox.discard(txn, 1, ["dl_2"])) == 1


@pytest.mark.parametrize("is_last_gone", [False, True])
def test_dead_letters_that_a_version_of_before_has_lost_are_found(
    store: Store, is_last_gone: bool
) -> None:
    """It kept the last one of an id only, and took that away with its letter."""
    with store.write() as txn:
        letters = of_two_users(txn)
        for key in [key for key, _ in txn.scan("dead_ids") if b"\0" in key[4:]]:
            txn.delete("dead_ids", key)
        last = letters.pop().delivery.sequence
        if is_last_gone:
            txn.delete("dead_letters", outbox_key(1, last))
            txn.delete("dead_ids", dead_id_key(1, "dl_2"))
        else:
            letters.append(dead(delivery(last, delivery_id="dl_2", mpid=last)))
            txn.put("dead_ids", dead_id_key(1, "dl_2"), last.to_bytes(8, "big"))
    outbox.complete_ids(store)
    outbox.complete_ids(store)
    with store.write() as txn:
        assert outbox.dead_letter(txn, 1, "dl_2") == letters[0]
        assert len(outbox.discard(txn, 1, ["dl_2"])) == len(letters)
        assert dead_letter_ids(txn, 1) == ["dl_23"]


def test_a_store_of_before_is_counted_once_and_from_then_on_kept_up(store: Store) -> None:
    with store.write() as txn:
        size = outbox.add(txn, delivery(1))
        outbox.bury(txn, dead(delivery(2)))
        for key in [key for key, _ in txn.scan("meta", prefix=b"queue_")]:
            txn.delete("meta", key)  # as a version left it that kept no sums
    outbox.begin_sums(store)
    outbox.begin_sums(store)
    with store.write() as txn:
        assert queue_sums.are_kept(txn)
        assert outbox.depths(txn) == {1: (1, size)}
        assert outbox.dead_counts(txn) == {(1, dead(delivery(2)).reason): 1}
        outbox.settle(txn, Settlement(1, done=[1]))
        assert outbox.depths(txn) == {}


def test_a_store_that_was_counted_without_what_is_collected_is_counted_anew(store: Store) -> None:
    outbox.begin_sums(store)
    with store.write() as txn:
        part = delivery(1)
        key = pending_key(1, "production", 5, None)
        size = pending.add(txn, key, pending.Pending(1, 1, 5, NOW, NOW), part)
        txn.delete("meta", b"queue_waiting" + (1).to_bytes(4, "big"))
        txn.put("meta", b"queue_sums_kept", b"")  # as a version left it after a move
    outbox.begin_sums(store)
    with store.read() as txn:
        assert outbox.depths(txn) == {1: (1, size)}


def test_counting_does_not_read_what_waits(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start takes as long however much is queued (spec/connections.md, 3.7)."""
    outbox.begin_sums(store)
    with store.write() as txn:
        outbox.add_all(txn, [delivery(n) for n in range(1, 1001)])
        tables: list[str] = []
        scan = txn.scan

        def noted(table: Table, **more: bytes) -> Iterator[tuple[bytes, bytes]]:
            tables.append(table)
            return scan(table, **more)

        monkeypatch.setattr(txn, "scan", noted)
        assert outbox.depths(txn)[1][0] == 1000
        assert outbox.dead_counts(txn) == {}
    assert set(tables) == {"meta"}
