"""How many profiles were made by batches for an MPID that nobody had (spec/identity.md, 9, row 1).

They are identity records that the coordinator does not know of, and does not count.
"""

from collections.abc import Mapping

from actors.model.workspaces import ENVIRONMENTS, Environment
from actors.store.environment import Transaction

_PREFIX = b"addressed "


def read(txn: Transaction) -> dict[Environment, int]:
    """Return how many there are, by environment."""
    found = {each: txn.get("meta", _PREFIX + each.encode()) for each in ENVIRONMENTS}
    return {each: int.from_bytes(kept or b"", "big") for each, kept in found.items()}


def write(txn: Transaction, counts: Mapping[Environment, int]) -> None:
    """Keep how many there are."""
    for environment, count in counts.items():
        txn.put("meta", _PREFIX + environment.encode(), count.to_bytes(8, "big"))
