"""What predictions gave users: the scores as they were sent, from which ranks are found.

The values that everybody sees lie in the profiles; a user's are removed there and here at once.
"""

import struct
from collections.abc import Iterator

from actors.model.profiles import ProfileKey
from actors.store.environment import Transaction
from actors.store.keys import profile_key, profile_key_parts

MILLION = 1_000_000  # a score of 1: scores have six decimals

_TAIL = struct.Struct(">I")  # number of the prediction, behind the profile's key
_VALUE = struct.Struct(">I")


def put(txn: Transaction, key: ProfileKey, prediction: int, millionths: int) -> None:
    """Keep a user's score, in millionths."""
    txn.put("scores", _key(key, prediction), _VALUE.pack(millionths))


def remove(txn: Transaction, key: ProfileKey, prediction: int) -> None:
    """Forget a user's score."""
    txn.delete("scores", _key(key, prediction))


def scan(txn: Transaction, start: bytes = b"") -> Iterator[tuple[bytes, ProfileKey, int, int]]:
    """Yield (cursor, user, prediction, millionths) from a cursor on, in the order of the users."""
    for packed, value in txn.scan("scores", start=start):
        (prediction,) = _TAIL.unpack(packed[-_TAIL.size :])
        yield packed, profile_key_parts(packed[: -_TAIL.size]), prediction, _VALUE.unpack(value)[0]


def _key(key: ProfileKey, prediction: int) -> bytes:
    return profile_key(key) + _TAIL.pack(prediction)
