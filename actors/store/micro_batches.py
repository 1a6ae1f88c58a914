"""Micro-batches that were applied, so that one sent again gets its first answer.

A ring of an edge's last 16 is enough: an edge begins no micro-batch while one of 16 numbers before
is still without an answer.
"""

import msgspec

from actors.model.micro_batches import Deferred, MicroBatch, Result, Unresolved
from actors.store.environment import Transaction
from actors.store.keys import micro_batch_key

RING = 16

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[int, list[Result]])


def seen(txn: Transaction, micro: MicroBatch) -> list[Result] | None:
    """Return the results of a micro-batch that was applied before."""
    encoded = txn.get("micro_batches", micro_batch_key(micro.edge, micro.number % RING))
    if encoded is None:
        return None
    number, results = _decoder.decode(encoded)
    return results if number == micro.number else None


def remember(txn: Transaction, micro: MicroBatch, results: list[Result]) -> None:
    """Keep the results of a micro-batch, in the place of the edge's one 16 before."""
    key = micro_batch_key(micro.edge, micro.number % RING)
    txn.put("micro_batches", key, _encoder.encode((micro.number, results)))


def without_identities(encoded: bytes) -> bytes | None:
    """Return an entry without the identities that its answers name, `None` if it names none.

    Should the micro-batch be sent again, those batches are answered to be sent once more.
    """
    number, results = _decoder.decode(encoded)
    if not any(isinstance(each, Unresolved) for each in results):
        return None
    kept = [Deferred() if isinstance(each, Unresolved) else each for each in results]
    return _encoder.encode((number, kept))


def forget_all(txn: Transaction) -> None:
    """Drop every ring: for a start at which no edge of an earlier run can still be alive."""
    for key, _ in list(txn.scan("micro_batches")):
        txn.delete("micro_batches", key)
