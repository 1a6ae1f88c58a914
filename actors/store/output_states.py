"""What outputs keep beyond their process: small values by name.

length of the output's id u8, the id, name -> value
"""

from collections.abc import Mapping

from actors.store.environment import Transaction


def read(txn: Transaction, output: str) -> dict[str, bytes]:
    """Return all values of an output (its id)."""
    prefix = _prefix(output)
    return {
        key[len(prefix) :].decode(): value
        for key, value in txn.scan("output_states", prefix=prefix)
    }


def write(txn: Transaction, output: str, changes: Mapping[str, bytes | None]) -> None:
    """Keep values, and forget those that are `None`."""
    prefix = _prefix(output)
    for name, value in changes.items():
        if value is None:
            txn.delete("output_states", prefix + name.encode())
        else:
            txn.put("output_states", prefix + name.encode(), value)


def _prefix(output: str) -> bytes:
    encoded = output.encode()
    return bytes([len(encoded)]) + encoded  # ids have at most 64 characters of ASCII
