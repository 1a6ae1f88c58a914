"""The counts of what waits and of what has died follow the outbox."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.metric_groups import ShardMetrics
from actors.model.deliveries import DeadLetter, Settlement
from actors.queues import Queues
from actors.store import outbox
from actors.store.environment import Store
from actors.store.keys import outbox_key
from tests.actors.forwarding.support import delivery
from tests.actors.store.builders import temporary_store
from tests.actors.store.dead_index import dead_letter_ids

LIMITS = {1: 5000, 2: 100}
IDS = {1: "web-hook", 2: "web-lake"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path, 16 * 1024 * 1024)
    yield store
    store.close()


def counted(store: Store) -> Queues:
    with store.read() as txn:
        return Queues(txn, LIMITS, IDS)


def dead(sequence: int, reason: str = "rejected", connection: int = 1) -> DeadLetter:
    return DeadLetter(delivery(sequence, connection=connection), reason, 5, 5)


def test_an_empty_outbox_has_all_the_room(store: Store) -> None:
    queues = counted(store)
    assert queues.room() == LIMITS
    nothing = {"waiting": 0, "waiting_bytes": 0, "dead_letters": 0}
    assert queues.depths() == {"web-hook": nothing, "web-lake": nothing}


def test_room_is_a_copy_for_the_caller_to_use_up(store: Store) -> None:
    queues = counted(store)
    queues.room().clear()
    assert queues.room() == LIMITS


def test_a_limit_that_was_lowered_leaves_less_than_nothing(store: Store) -> None:
    with store.write() as txn:
        for sequence in range(1, 5):
            outbox.add(txn, delivery(sequence, connection=2))
    assert counted(store).room()[2] < 0


def test_what_is_there_at_the_start_is_counted(store: Store) -> None:
    with store.write() as txn:
        size = outbox.add(txn, delivery(1)) + outbox.add(txn, delivery(2))
        outbox.bury(txn, dead(3))
        outbox.bury(txn, dead(4, "queue_full"))
    queues = counted(store)
    assert queues.room() == {1: LIMITS[1] - size, 2: LIMITS[2]}
    shown = {"waiting": 2, "waiting_bytes": size, "dead_letters": 2}
    assert queues.depths()["web-hook"] == shown


def test_metrics_show_every_connection(store: Store) -> None:
    with store.write() as txn:
        outbox.add(txn, delivery(1))
        outbox.bury(txn, dead(2, "queue_full"))
        outbox.bury(txn, dead(3, connection=9))  # of a connection that is gone
    queues, metrics = counted(store), ShardMetrics("test")
    queues.show(metrics)
    read = metrics.registry.get_sample_value
    depths = [
        read("headwater_forwarder_queue_depth", {"connection": name}) for name in IDS.values()
    ]
    assert depths == [1, 0]
    bytes_ = read("headwater_forwarder_queue_bytes", {"connection": "web-hook"})
    assert bytes_ == queues.depths()["web-hook"]["waiting_bytes"]
    died = [
        read("headwater_forwarder_dlq_depth", {"connection": name, "reason": reason})
        for name, reason in (("web-hook", "queue_full"), ("9", "rejected"))
    ]
    assert died == [1, 1]
    begun = {"connection": "web-hook", "reason": "queue_full"}
    assert read("headwater_forwarder_dlq_total", begun) == 0  # or its first rise was not seen


changes = st.lists(
    st.tuples(
        st.sampled_from(["add", "bury", "done", "dead", "delay", "revive", "forget"]),
        st.sampled_from([1, 2]),
        st.integers(0, 5),
    ),
    max_size=25,
)


@given(changes)
@settings(max_examples=40, deadline=None)
def test_counts_kept_up_are_those_of_a_new_start(steps: list[tuple[str, int, int]]) -> None:
    """However the outbox changed, memory says what a restart would find."""
    with temporary_store() as store:
        queues = counted(store)
        sequences = iter(range(1, 1000))
        for step, connection, place in steps:
            with store.write() as txn:
                waiting = outbox.decode(outbox.read_encoded(txn, connection, 0, 100, 2**30))
                chosen = waiting[place : place + 1]
                settlement: Settlement | None = None
                match step:
                    case "add":
                        size = outbox.add(txn, delivery(next(sequences), connection=connection))
                        queues.added(connection, 1, size)
                    case "bury":
                        letter = dead(next(sequences), "queue_full", connection)
                        outbox.bury(txn, letter)
                        queues.died([letter])
                    case "done":
                        settlement = Settlement(
                            connection, done=[each.sequence for each in chosen] * 2
                        )
                    case "dead":
                        letters = [DeadLetter(each, "rejected", 5, 5) for each in chosen]
                        settlement = Settlement(connection, dead=letters * 2)
                    case "delay":
                        later = [
                            replace(each, attempts=9, next_attempt_ms=2**40) for each in chosen
                        ]
                        settlement = Settlement(connection, delayed=later)
                    case "revive":
                        ids = dead_letter_ids(txn, connection)[place : place + 1]
                        reasons, size = outbox.replay(txn, connection, ids, lambda: next(sequences))
                        queues.revived((connection, reason) for reason in reasons)
                        queues.added(connection, len(reasons), size)
                    case "forget":
                        letters = outbox.dead_letters(txn, connection, 0, 100)[place : place + 1]
                        for each in letters:
                            outbox.unbury(txn, outbox_key(connection, each.delivery.sequence))
                        queues.forgotten((connection, each.reason) for each in letters)
                if settlement is not None:
                    settled = outbox.settle(txn, settlement)
                    queues.left(connection, settled.left, settled.freed_bytes)
                    queues.died(settled.dead)
        fresh = counted(store)
        assert queues.depths() == fresh.depths()
        assert queues.room() == fresh.room()


def test_a_full_queue_is_news_once_until_it_has_had_room_again(store: Store) -> None:
    """spec/connections.md, worked case 38: one alert, however much does not fit."""
    queues = counted(store)
    queues.added(1, 10, 5000)
    assert [queues.turned_full(1) for _ in range(3)] == [True, False, False]
    queues.left(1, 1, 100)
    assert not queues.turned_full(1)
    queues.left(1, 5, 2500)
    assert queues.turned_full(1)
