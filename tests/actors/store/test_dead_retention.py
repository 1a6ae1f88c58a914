"""Dead letters are kept for so long, and so many bytes of them: spec/connections.md, 3.7."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.model.deliveries import DeadLetter
from actors.store import outbox
from actors.store.dead_retention import DEAD_LETTER_MS, DeadRetention
from actors.store.environment import Store, Transaction
from tests.actors.store.builders import NOW, content, dead, delivery, temporary_store
from tests.actors.store.dead_index import dead_letter_ids

ALL = 1 << 30


def bury(store: Store, *letters: DeadLetter) -> None:
    with store.write() as txn:
        for letter in letters:
            outbox.bury(txn, letter)


def kept(txn: Transaction, connection: int = 1) -> list[int]:
    """Return the sequences of a connection's dead letters."""
    return [each.delivery.sequence for each in outbox.dead_letters(txn, connection, 0, ALL)]


def sizes(store: Store, connection: int) -> list[int]:
    prefix = connection.to_bytes(4, "big")
    with store.read() as txn:
        return [len(encoded) for _, encoded in txn.scan("dead_letters", prefix=prefix)]


@pytest.mark.parametrize(("age_ms", "left"), [(DEAD_LETTER_MS, [1]), (DEAD_LETTER_MS + 1, [])])
def test_a_letter_goes_with_its_id_when_it_is_too_old(
    store: Store, age_ms: int, left: list[int]
) -> None:
    bury(store, dead(delivery(1)))
    with store.write() as txn:
        removed = DeadRetention(ALL).sweep(txn, NOW + 1 + age_ms, 10)
        assert removed == ([] if left else [(1, "rejected")])
        assert kept(txn) == left
        assert dead_letter_ids(txn, 1) == [f"dl_{number}" for number in left]


def test_each_connection_keeps_its_newest_bytes(store: Store) -> None:
    """As much as is allowed stays; one byte more costs the oldest."""
    bury(store, *(dead(delivery(number, payload=b"x" * 300)) for number in range(1, 6)))
    bury(store, *(dead(delivery(number, connection=2)) for number in range(1, 6)))
    room = sum(sizes(store, 1)[1:])
    with store.write() as txn:
        assert DeadRetention(room).sweep(txn, NOW, 10) == [(1, "rejected")]
        assert (kept(txn, 1), kept(txn, 2)) == ([2, 3, 4, 5], [1, 2, 3, 4, 5])
        assert DeadRetention(room - 1).sweep(txn, NOW, 10) == [(1, "rejected")]
        assert (kept(txn, 1), kept(txn, 2)) == ([3, 4, 5], [1, 2, 3, 4, 5])


def test_what_is_too_old_makes_room_before_others_have_to(store: Store) -> None:
    """The second is old, the first is not."""
    letters = [replace(dead(delivery(number)), dead_ms=NOW) for number in (1, 2, 3)]
    letters[1].dead_ms = NOW - DEAD_LETTER_MS - 1
    bury(store, *letters)
    with store.write() as txn:
        DeadRetention(2 * max(sizes(store, 1))).sweep(txn, NOW, 10)
        assert kept(txn) == [1, 3]


@pytest.mark.parametrize(
    ("limit", "step_bytes", "left"),
    [
        pytest.param(2, ALL, [3, 4, 5], id="a number of letters"),
        pytest.param(ALL, 1, [2, 3, 4, 5], id="bytes, at least one letter"),
    ],
)
@pytest.mark.parametrize("cause", ["old", "too many"])
def test_a_step_is_bounded(
    store: Store, limit: int, step_bytes: int, left: list[int], cause: str
) -> None:
    bury(store, *(dead(delivery(number)) for number in range(1, 6)))
    retention = DeadRetention(ALL if cause == "old" else 0, step_bytes)
    now_ms = NOW + DEAD_LETTER_MS + 2 if cause == "old" else NOW
    with store.write() as txn:
        retention.sweep(txn, now_ms, limit)
        assert kept(txn) == left
        while retention.sweep(txn, now_ms, limit):
            pass
        assert kept(txn) == []


def test_another_letter_with_the_same_id_is_still_found(store: Store) -> None:
    """Two users' deliveries may have one id, if their sender gave their batches one."""
    old, young = dead(delivery(1, mpid=4411)), dead(delivery(2, mpid=4412, delivery_id="dl_1"))
    bury(store, old, replace(young, dead_ms=NOW + 1000))
    with store.write() as txn:
        DeadRetention(ALL).sweep(txn, NOW + DEAD_LETTER_MS + 2, 10)
        found = outbox.dead_letter(txn, 1, "dl_1")
        assert found is not None
        assert found.delivery.mpid == 4412


@given(
    ages=st.lists(st.tuples(st.sampled_from([1, 2]), st.integers(0, 60)), max_size=25),
    limit=st.integers(1, 9),
    max_bytes=st.integers(0, 2000),
    replayed=st.sets(st.integers(0, 24)),
)
@settings(max_examples=60, deadline=None)
def test_steps_remove_all_that_should_go_and_nothing_else(
    ages: Sequence[tuple[int, int]], limit: int, max_bytes: int, replayed: set[int]
) -> None:
    """And the sum of bytes on disk is true throughout."""
    letters = [
        replace(dead(delivery(number, connection)), dead_ms=NOW - days * 24 * 3600 * 1000)
        for number, (connection, days) in enumerate(ages)
    ]
    with temporary_store() as store:
        bury(store, *letters)
        with store.write() as txn:
            for number in replayed & set(range(len(letters))):
                connection = letters[number].delivery.connection
                outbox.replay(txn, connection, [f"dl_{number}"], lambda: 10**6)
        retention = DeadRetention(max_bytes)
        before = content(store, "dead_letters")
        for _ in range(2 * len(letters) + 2):
            with store.write() as txn:
                retention.sweep(txn, NOW, limit)
        left = content(store, "dead_letters")
        with store.read() as txn:
            sums = outbox.dead_bytes(txn)
            found = [*dead_letter_ids(txn, 1), *dead_letter_ids(txn, 2)]
        for connection in (1, 2):
            prefix = connection.to_bytes(4, "big")
            young = [
                (key, encoded)
                for key, encoded in before.items()
                if key.startswith(prefix)
                and NOW - outbox.decode_dead_letter(encoded).dead_ms <= DEAD_LETTER_MS
            ]
            mine = [each for each in left.items() if each[0].startswith(prefix)]
            size = sum(len(encoded) for _, encoded in mine)
            assert sums.get(connection, 0) == size <= max_bytes
            assert mine == young[len(young) - len(mine) :]  # the newest of them
        assert sorted(found) == sorted(
            outbox.decode_dead_letter(each).delivery.delivery_id for each in left.values()
        )
