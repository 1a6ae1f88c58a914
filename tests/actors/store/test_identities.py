"""The index: one entry per identity, with its holders."""

from actors.store.environment import Store
from actors.store.identities import Holder, IndexEntry, read_holders, write_holders
from actors.store.keys import identity_key
from tests.actors.store.builders import content

KEY = identity_key(7, "production", "email", "ann@example.com")
LONG = "x" * 4096


def _entry(*mpids: int, value: str = "ann@example.com") -> IndexEntry:
    holders = [Holder(mpid, link) for link, mpid in enumerate(mpids, start=1)]
    return IndexEntry("email", value, holders)


def test_holders_are_read_in_the_order_of_their_links(store: Store) -> None:
    """Also those with a negative MPID; an identity without an entry has none."""
    with store.write() as txn:
        assert read_holders(txn, KEY, "email", "ann@example.com") == []
        write_holders(txn, KEY, _entry(9, -4, 5))
        found = read_holders(txn, KEY, "email", "ann@example.com")
    assert found == [Holder(9, 1), Holder(-4, 2), Holder(5, 3)]


def test_an_identity_of_the_greatest_length_is_kept_whole(store: Store) -> None:
    """spec/identity.md, 2: up to 4096 characters."""
    key = identity_key(7, "production", "other", LONG)
    with store.write() as txn:
        write_holders(txn, key, _entry(5, value=LONG))
        assert read_holders(txn, key, "email", LONG) == [Holder(5, 1)]


def test_an_entry_is_replaced_and_goes_with_its_last_holder(store: Store) -> None:
    """Writing the same once more changes nothing."""
    for _ in range(2):
        with store.write() as txn:
            write_holders(txn, KEY, _entry(9, 5))
            write_holders(txn, KEY, _entry(5))
            assert read_holders(txn, KEY, "email", "ann@example.com") == [Holder(5, 1)]
    for _ in range(2):
        with store.write() as txn:
            write_holders(txn, KEY, _entry())
    assert content(store, "identities") == {}


def test_an_identity_that_only_has_the_same_hash_is_not_found(store: Store) -> None:
    """spec/identity.md, Keys: the full value is stored and compared."""
    with store.write() as txn:
        write_holders(txn, KEY, _entry(5))
        assert read_holders(txn, KEY, "email", "bob@example.com") == []
        assert read_holders(txn, KEY, "other", "ann@example.com") == []
