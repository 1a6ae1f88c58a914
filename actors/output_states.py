"""Keeps what outputs have to know again after a restart: a part of the coordinator's process."""

from collections.abc import Mapping

from actors.store import output_states
from actors.store.environment import Store


class OutputStateDesk:
    """`actors.outputs.contract.OutputState` of all outputs of a workspace."""

    def __init__(self, store: Store) -> None:
        """Args: `store` of the coordinator."""
        self._store = store

    async def output_state(self, output: str) -> dict[str, bytes]:
        """Return all that is kept of an output (its id)."""
        with self._store.read() as txn:
            return output_states.read(txn, output)

    async def keep_output_state(self, output: str, changes: Mapping[str, bytes | None]) -> None:
        """Keep values, and forget those that are `None`; raises StoreFull."""
        with self._store.write() as txn:
            output_states.write(txn, output, changes)
