"""Data points that were received, and since when connections choose among new ones.

Source: spec/connections.md, 2.4. There is nothing in this table of a workspace all of whose outputs
get new data points anyway.
"""

from hashlib import blake2b

import msgspec

from actors.pipeline.points import DataPoint
from actors.store.environment import Transaction

_POINT, _CONNECTION = b"p", b"c"
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[DataPoint, int])


def read_points(txn: Transaction) -> dict[DataPoint, int]:
    """Return every point with the time of its first receipt."""
    return dict(_decoder.decode(encoded) for _, encoded in txn.scan("data_points", prefix=_POINT))


def write_point(txn: Transaction, point: DataPoint, first_seen_ms: int) -> None:
    """Write when a point was first received."""
    digest = blake2b(_encoder.encode(point), digest_size=16).digest()
    txn.put("data_points", _POINT + digest, _encoder.encode((point, first_seen_ms)))


def read_starts(txn: Transaction) -> dict[int, int]:
    """Return since when each connection that chooses among new points has been active."""
    return {
        int.from_bytes(key[1:]): int.from_bytes(value)
        for key, value in txn.scan("data_points", prefix=_CONNECTION)
    }


def write_start(txn: Transaction, connection: int, started_ms: int) -> None:
    """Write when a connection was first active."""
    key = _CONNECTION + connection.to_bytes(8)
    txn.put("data_points", key, started_ms.to_bytes(8))
