"""Distinct event names that were admitted (spec/events-api.md, 14), found by their hash."""

from collections.abc import Iterable
from hashlib import blake2b

import msgspec

from actors.model.micro_batches import EventName
from actors.store.environment import Transaction

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(EventName)


def read_all(txn: Transaction) -> set[EventName]:
    """Return every name of the table."""
    return {_decoder.decode(encoded) for _, encoded in txn.scan("event_names")}


def write(txn: Transaction, names: Iterable[EventName]) -> None:
    """Add names; those that are there already stay."""
    for name in names:
        encoded = _encoder.encode(name)
        txn.put("event_names", blake2b(encoded, digest_size=16).digest(), encoded)
