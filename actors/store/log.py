"""The event log: every stored batch, appended in the order of its commit.

The batches of one user form a chain: the profile's section names the newest, each batch the one
before it. So the log is only ever appended to, and a user's timeline is read newest first.
"""

from collections.abc import Iterator

import msgspec

from actors.model import StoredBatch
from actors.store.environment import Transaction
from actors.store.keys import log_key

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(StoredBatch)


def append(txn: Transaction, stored: StoredBatch) -> None:
    """Append a batch; its log id must be greater than all before."""
    txn.append("log", log_key(stored.log_id), _encoder.encode(stored))


def read(txn: Transaction, log_id: int) -> StoredBatch | None:
    """Return one stored batch; `None` if it is past its retention."""
    encoded = txn.get("log", log_key(log_id))
    return None if encoded is None else _decoder.decode(encoded)


def chain(txn: Transaction, newest_log_id: int) -> Iterator[StoredBatch]:
    """Yield a user's stored batches, newest first."""
    log_id = newest_log_id
    while log_id:
        stored = read(txn, log_id)
        if stored is None:
            return
        yield stored
        log_id = stored.previous_log_id
