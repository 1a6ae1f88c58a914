"""The lists of static audiences: MPIDs, of users who exist and of others."""

from actors.model.profiles import ProfileKey
from actors.store.environment import Transaction
from actors.store.keys import profile_key


def has(txn: Transaction, audience: int, key: ProfileKey) -> bool:
    """Tell whether a user is on the list of an audience."""
    return txn.get("static_lists", _key(audience, key)) is not None


def add(txn: Transaction, audience: int, key: ProfileKey) -> None:
    """Put a user on a list."""
    txn.put("static_lists", _key(audience, key), b"")


def remove(txn: Transaction, audience: int, key: ProfileKey) -> None:
    """Take a user off a list."""
    txn.delete("static_lists", _key(audience, key))


def clear(txn: Transaction, audience: int) -> None:
    """Forget a list."""
    prefix = audience.to_bytes(4, "big")
    for key in [key for key, _ in txn.scan("static_lists", prefix=prefix)]:
        txn.delete("static_lists", key)


def _key(audience: int, key: ProfileKey) -> bytes:
    return audience.to_bytes(4, "big") + profile_key(key)
