"""Keeps what outputs have to know again after a restart: a part of the coordinator's process."""

from collections.abc import Mapping
from typing import Protocol

from actors.store import output_states
from actors.store.environment import Store


class Seal(Protocol):
    """Encrypts what is kept: there are tokens among it."""

    def seal(self, content: bytes) -> bytes:
        """Return what nobody can read without the key."""
        ...

    def unseal(self, sealed: bytes) -> bytes:
        """Return what was sealed."""
        ...

    def fingerprint(self, content: bytes) -> bytes:
        """Return the same bytes for the same content, by which nobody without the key can tell."""
        ...


class OutputStateDesk:
    """`actors.outputs.environment.OutputState` of all outputs of a workspace."""

    def __init__(self, store: Store, seal: Seal) -> None:
        """Args: `store` of the coordinator."""
        self._store = store
        self._seal = seal

    async def output_state(self, output: str) -> dict[str, bytes]:
        """Return all that is kept of an output (its id)."""
        with self._store.read() as txn:
            kept = output_states.read(txn, output)
        return {name: self._seal.unseal(value) for name, value in kept.items()}

    async def keep_output_state(self, output: str, changes: Mapping[str, bytes | None]) -> None:
        """Keep values, and forget those that are `None`; raises StoreFull."""
        sealed = {
            name: None if value is None else self._seal.seal(value)
            for name, value in changes.items()
        }
        with self._store.write() as txn:
            output_states.write(txn, output, sealed)
