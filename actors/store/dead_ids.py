"""Finds dead letters by the ids of their deliveries (spec/connections.md, 3.7).

Senders' ids of batches are unique per user only, so that dead letters of several users may have
one id. The first is under the id alone, each further one under the id, NUL and its sequence.
"""

import itertools

from actors.model.deliveries import Delivery
from actors.store.environment import Transaction
from actors.store.keys import dead_id_key, further_dead_id_key


def add(txn: Transaction, delivery: Delivery) -> None:
    """Have a dead letter be found."""
    sequence = delivery.sequence.to_bytes(8, "big")
    key = dead_id_key(delivery.connection, delivery.delivery_id)
    if txn.get("dead_ids", key) not in (None, sequence):
        key = further_dead_id_key(key, delivery.sequence)
    txn.put("dead_ids", key, sequence)


def remove(txn: Transaction, delivery: Delivery) -> None:
    """Have a dead letter be found no longer."""
    key = dead_id_key(delivery.connection, delivery.delivery_id)
    if txn.get("dead_ids", key) != delivery.sequence.to_bytes(8, "big"):
        key = further_dead_id_key(key, delivery.sequence)
    txn.delete("dead_ids", key)


def letter_keys(txn: Transaction, connection: int, delivery_id: str) -> list[bytes]:
    """Return the keys of the dead letters of an id in their table, oldest first."""
    key = dead_id_key(connection, delivery_id)
    first = txn.get("dead_ids", key)
    further = txn.scan("dead_ids", prefix=further_dead_id_key(key))
    sequences = itertools.chain([] if first is None else [first], (each for _, each in further))
    return sorted(key[:4] + each for each in sequences)
