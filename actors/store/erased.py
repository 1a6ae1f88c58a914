"""MPIDs whose identity record was erased: they are nobody's, and given to nobody again.

Kept as hashes: slot u16 | 16 bytes of hash of the profile's key.
"""

import hashlib

from actors.model.profiles import ProfileKey
from actors.store.environment import Transaction
from actors.store.keys import profile_key


def write(txn: Transaction, key: ProfileKey, now_ms: int) -> None:
    """Note an erasure; the time of the first one stays."""
    if not is_erased(txn, key):
        txn.put("erased", _place(key), now_ms.to_bytes(8, "big"))


def is_erased(txn: Transaction, key: ProfileKey) -> bool:
    """Tell whether the record of a profile was erased."""
    return txn.get("erased", _place(key)) is not None


def _place(key: ProfileKey) -> bytes:
    packed = profile_key(key)
    return packed[:2] + hashlib.blake2b(packed, digest_size=16).digest()
