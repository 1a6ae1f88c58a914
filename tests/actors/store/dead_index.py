"""What the index of dead letters by id has (`actors.store.dead_ids`)."""

from actors.store.environment import Transaction


def dead_letter_ids(txn: Transaction, connection: int) -> list[str]:
    """Return the ids of all dead letters of a connection, each once."""
    keys = txn.scan("dead_ids", prefix=connection.to_bytes(4, "big"))
    return list(dict.fromkeys(key[4:].partition(b"\0")[0].decode() for key, _ in keys))
