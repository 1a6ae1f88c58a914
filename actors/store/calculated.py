"""What the coordinator keeps of calculated attributes, in the table `meta`.

"calculated/" | number u32   -> the attribute
"calculated"                 -> counters
"""

import msgspec

from actors.calculated.objects import CalculatedAttribute, Counters
from actors.store.environment import Transaction

_COUNTERS = b"calculated"
_PREFIX = b"calculated/"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(CalculatedAttribute).decode
_decode_counters = msgspec.msgpack.Decoder(Counters).decode


def read_all(txn: Transaction) -> dict[int, CalculatedAttribute]:
    """Return all attributes by number."""
    found = (_decode(encoded) for _, encoded in txn.scan("meta", prefix=_PREFIX))
    return {each.number: each for each in found}


def put(txn: Transaction, attribute: CalculatedAttribute) -> None:
    """Write an attribute."""
    txn.put("meta", _key(attribute.number), _encode(attribute))


def delete(txn: Transaction, number: int) -> None:
    """Remove an attribute."""
    txn.delete("meta", _key(number))


def read_counters(txn: Transaction) -> Counters:
    """Return the counters, as they are in the beginning if none were written."""
    encoded = txn.get("meta", _COUNTERS)
    return Counters() if encoded is None else _decode_counters(encoded)


def write_counters(txn: Transaction, counters: Counters) -> None:
    """Write the counters."""
    txn.put("meta", _COUNTERS, _encode(counters))


def _key(number: int) -> bytes:
    return _PREFIX + number.to_bytes(4, "big")
