"""What the coordinator is about to write on the shards, kept until all of them have it.

Not by shard: their number may be another one when it is written.
"""

import msgspec

from actors.store.environment import Transaction
from actors.store.identities import IdentityChange

Intent = list[IdentityChange]

_KEY = b"last"
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Intent)


def read(txn: Transaction) -> Intent | None:
    """Return the last intent; it may not be written everywhere yet."""
    encoded = txn.get("intents", _KEY)
    return None if encoded is None else _decoder.decode(encoded)


def write(txn: Transaction, intent: Intent) -> None:
    """Keep an intent in the place of the one before, which every shard has."""
    txn.put("intents", _KEY, _encoder.encode(intent))
