"""A micro-batch that is sent again gets its first answer."""

import pytest

from actors.errors import Problem
from actors.model.micro_batches import (
    Accepted,
    Deferred,
    Duplicate,
    EventName,
    MicroBatch,
    Moved,
    Rejected,
    Result,
    Unregistered,
    Unresolved,
    Whose,
)
from actors.store.environment import Store
from actors.store.micro_batches import RING, forget_all, remember, seen
from tests.actors.store.builders import content

RESULTS: list[Result] = [
    Accepted(-5, 2),
    Accepted(None, 0),
    Duplicate("duplicate_request_id"),
    Rejected([Problem("Field is missing.", "events[0].data"), Problem("Not valid.")]),
    Moved(1 << 52),
    Unresolved("development", [("customerid", "c-1"), ("email", "Ann@Example.com")]),
    Deferred(),
    Unregistered([EventName("custom_event", "Ping")]),
    Whose(-5),
    Whose(None),
]


def micro(number: int, edge: int = 3) -> MicroBatch:
    """Make an empty micro-batch of an edge."""
    return MicroBatch(edge, number, [], [])


def test_the_answer_is_the_first_one_after_a_restart_too(store: Store) -> None:
    """All kinds of results, in order."""
    with store.write() as txn:
        assert seen(txn, micro(7)) is None
        remember(txn, micro(7), RESULTS)
    with store.read() as txn:
        assert seen(txn, micro(7)) == RESULTS


def test_an_answer_is_kept_for_as_many_numbers_as_the_ring_has_places(store: Store) -> None:
    """An edge has fewer calls than that in flight to one shard."""
    with store.write() as txn:
        for number in range(RING + 3):
            remember(txn, micro(number), [Accepted(number, 1)])
        kept = [number for number in range(RING + 3) if seen(txn, micro(number)) is not None]
        assert kept == list(range(3, RING + 3))
        assert seen(txn, micro(5)) == [Accepted(5, 1)]
    assert len(content(store, "micro_batches")) == RING


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(micro(7 + RING), id="same place, later number"),
        pytest.param(micro(7, edge=4), id="same number of another edge"),
        pytest.param(micro(8), id="next number"),
    ],
)
def test_another_micro_batch_is_not_taken_for_it(store: Store, other: MicroBatch) -> None:
    """Edge and number together name one."""
    with store.write() as txn:
        remember(txn, micro(7), RESULTS)
        assert seen(txn, other) is None


def test_a_start_without_edges_of_an_earlier_run_forgets_all(store: Store) -> None:
    """Edges are numbered anew then."""
    with store.write() as txn:
        for edge in range(3):
            for number in range(RING):
                remember(txn, micro(number, edge), RESULTS)
        forget_all(txn)
    assert content(store, "micro_batches") == {}
