"""MPIDs whose identity record was erased: they are nobody's, and given to nobody again."""

from actors.store.environment import Transaction


def write(txn: Transaction, profile_key: bytes, now_ms: int) -> None:
    """Note an erasure; the time of the first one stays."""
    if not is_erased(txn, profile_key):
        txn.put("erased", profile_key, now_ms.to_bytes(8, "big"))


def is_erased(txn: Transaction, profile_key: bytes) -> bool:
    """Tell whether the record of a profile's key was erased."""
    return txn.get("erased", profile_key) is not None
