"""What the coordinator has decided and the shards may not have yet; its runs and its counts.

Not by shard: their number may be another one when it is written. Intents that are kept together
change different identities and records: one that changes the same is decided only after the other
was written everywhere, and taken away no later than the new one is kept. So they may be written
again in any order.
"""

from collections.abc import Iterable

import msgspec

from actors.model.workspaces import Environment
from actors.store.environment import Transaction
from actors.store.identities import IdentityChange

_INTENT = b"i"
_NUMBER = b"number"
_START = b"start"
_RECORDS = b"records "
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(IdentityChange)


def read_all(txn: Transaction) -> list[IdentityChange]:
    """Return the intents that may not be written everywhere, in the order of their numbers."""
    return [_decoder.decode(encoded) for _, encoded in txn.scan("intents", prefix=_INTENT)]


def read_number(txn: Transaction) -> int:
    """Return the number of the last intent that was ever kept."""
    return _read_int(txn, _NUMBER)


def write_number(txn: Transaction, number: int) -> None:
    """Keep the number of the last intent."""
    txn.put("intents", _NUMBER, number.to_bytes(8, "big"))


def write(txn: Transaction, intents: Iterable[IdentityChange]) -> None:
    """Keep intents under their numbers."""
    for intent in intents:
        txn.put("intents", _key(intent.intent), _encoder.encode(intent))


def forget(txn: Transaction, numbers: Iterable[int]) -> None:
    """Drop intents that every shard has."""
    for number in numbers:
        txn.delete("intents", _key(number))


def read_start(txn: Transaction) -> int:
    """Return how often a coordinator was started on this store."""
    return _read_int(txn, _START)


def write_start(txn: Transaction, start: int) -> None:
    """Keep how often a coordinator was started."""
    txn.put("intents", _START, start.to_bytes(8, "big"))


def read_records(txn: Transaction, environment: Environment) -> int:
    """Return how many identity records were made and not erased."""
    return _read_int(txn, _RECORDS + environment.encode())


def write_records(txn: Transaction, environment: Environment, count: int) -> None:
    """Keep how many identity records there are."""
    txn.put("intents", _RECORDS + environment.encode(), count.to_bytes(8, "big", signed=True))


def _key(number: int) -> bytes:
    return _INTENT + number.to_bytes(8, "big")


def _read_int(txn: Transaction, key: bytes) -> int:
    encoded = txn.get("intents", key)
    return 0 if encoded is None else int.from_bytes(encoded, "big", signed=True)
