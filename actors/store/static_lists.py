"""The lists of static audiences: MPIDs, of users who exist and of others."""

from collections.abc import Iterator

from actors.model.profiles import ProfileKey
from actors.store.environment import Transaction
from actors.store.keys import profile_key, profile_key_parts


def has(txn: Transaction, audience: int, key: ProfileKey) -> bool:
    """Tell whether a user is on the list of an audience."""
    return txn.get("static_lists", _key(audience, key)) is not None


def add(txn: Transaction, audience: int, key: ProfileKey) -> None:
    """Put a user on a list."""
    txn.put("static_lists", _key(audience, key), b"")


def remove(txn: Transaction, audience: int, key: ProfileKey) -> None:
    """Take a user off a list."""
    txn.delete("static_lists", _key(audience, key))


def clear(txn: Transaction, audience: int) -> list[ProfileKey]:
    """Forget a list; return who was on it."""
    prefix = audience.to_bytes(4, "big")
    keys = [key for key, _ in txn.scan("static_lists", prefix=prefix)]
    for key in keys:
        txn.delete("static_lists", key)
    return [profile_key_parts(key[len(prefix) :]) for key in keys]


def audiences(txn: Transaction) -> Iterator[int]:
    """Return the audiences whose lists have somebody, whether they are active or not."""
    start = b""
    while found := next(txn.scan("static_lists", start=start), None):
        audience = int.from_bytes(found[0][:4], "big")
        yield audience
        start = (audience + 1).to_bytes(4, "big")


def _key(audience: int, key: ProfileKey) -> bytes:
    return audience.to_bytes(4, "big") + profile_key(key)
