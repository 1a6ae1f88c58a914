"""The event log: batches in the order of their commit, chained by user."""

import pytest

from actors.store import log
from actors.store.environment import Store
from actors.store.keys import log_key
from tests.actors.store.builders import content, stored


def test_a_batch_is_read_as_it_was_appended(store: Store) -> None:
    """Attributes and event data keep their shape, tags (null) included."""
    with store.write() as txn:
        log.append(txn, stored(8))
        log.append(txn, stored(9, mpid=None))
    with store.read() as txn:
        assert log.read(txn, 8) == stored(8)
        assert log.read(txn, 9) == stored(9, mpid=None)
        assert log.read(txn, 10) is None


def test_the_log_only_grows_at_its_end(store: Store) -> None:
    """A second batch under an id, or one that comes too late, is a fault of ours, not a loss."""
    with store.write() as txn:
        log.append(txn, stored(8))
        for log_id in (8, 7):
            with pytest.raises(ValueError, match="log"):
                log.append(txn, stored(log_id, mpid=6))
        assert log.read(txn, 8) == stored(8)
    assert len(content(store, "log")) == 1


def test_a_chain_gives_one_users_batches_newest_first(store: Store) -> None:
    """Those of others that lie between are passed over; it can be entered anywhere."""
    with store.write() as txn:
        for log_id, previous, mpid in [(1, 0, 5), (2, 0, 6), (4, 1, 5), (5, 2, 6), (9, 4, 5)]:
            log.append(txn, stored(log_id, previous, mpid))
        assert [each.log_id for each in log.chain(txn, 9)] == [9, 4, 1]
        assert [each.log_id for each in log.chain(txn, 4)] == [4, 1]
        assert [each.log_id for each in log.chain(txn, 5)] == [5, 2]
        assert list(log.chain(txn, 0)) == []


def test_a_chain_ends_where_retention_has_cut_it(store: Store) -> None:
    """The oldest batches go first, so nothing older can be behind the gap."""
    with store.write() as txn:
        for log_id, previous in [(1, 0), (4, 1), (9, 4)]:
            log.append(txn, stored(log_id, previous))
        for log_id in (1, 4):
            txn.delete("log", log_key(log_id))
        assert [each.log_id for each in log.chain(txn, 9)] == [9]
        assert list(log.chain(txn, 4)) == []
