"""The table of all that the coordinator keeps of audiences (spec/audiences.md).

    kind, one letter | id      -> the object

Kinds: "a" audience u32, "j" journey u32, "s" subscription u32, "l" change of a list u64, "d"
download, ASCII, "r" removal by the subscription's u32, "p" prediction u32, "c" counters, of which
there is one.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from actors.audiences.objects import (
    Audience,
    Counters,
    Download,
    Journey,
    ListChange,
    Removal,
    Subscription,
)
from actors.predictions.objects import Prediction
from actors.store.environment import Transaction

Id = int | str


class Kind(Struct, frozen=True):
    """How one kind of object is kept. `width`: bytes of its number, 0 if its id is a text."""

    letter: bytes
    type: type[Struct]
    width: int


KINDS: Mapping[str, Kind] = {
    "audiences": Kind(b"a", Audience, 4),
    "journeys": Kind(b"j", Journey, 4),
    "subscriptions": Kind(b"s", Subscription, 4),
    "list_changes": Kind(b"l", ListChange, 8),
    "downloads": Kind(b"d", Download, 0),
    "removals": Kind(b"r", Removal, 4),
    "predictions": Kind(b"p", Prediction, 4),
}
_COUNTERS = b"c"

_encode = msgspec.msgpack.Encoder().encode
_decoders = {name: msgspec.msgpack.Decoder(kind.type).decode for name, kind in KINDS.items()}
_decode_counters = msgspec.msgpack.Decoder(Counters).decode


def read_all(txn: Transaction, name: str) -> dict[Any, Any]:
    """Return all objects of a kind by id."""
    kind = KINDS[name]
    return {
        _id(kind, key): _decoders[name](encoded)
        for key, encoded in txn.scan("audiences", prefix=kind.letter)
    }


def put(txn: Transaction, name: str, object_id: Id, value: Struct) -> None:
    """Write one object."""
    txn.put("audiences", _key(KINDS[name], object_id), _encode(value))


def delete(txn: Transaction, name: str, object_id: Id) -> None:
    """Remove one object."""
    txn.delete("audiences", _key(KINDS[name], object_id))


def read_counters(txn: Transaction) -> Counters:
    """Return the counters, as they begin if there are none."""
    encoded = txn.get("audiences", _COUNTERS)
    return Counters() if encoded is None else _decode_counters(encoded)


def write_counters(txn: Transaction, counters: Counters) -> None:
    """Write the counters."""
    txn.put("audiences", _COUNTERS, _encode(counters))


def _key(kind: Kind, object_id: Id) -> bytes:
    if isinstance(object_id, int):
        return kind.letter + object_id.to_bytes(kind.width, "big")
    return kind.letter + object_id.encode("ascii")


def _id(kind: Kind, key: bytes) -> Id:
    return int.from_bytes(key[1:], "big") if kind.width else key[1:].decode("ascii")
