"""What loads ask of a warehouse: the whole difference between one and another."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from actors.outputs.contract import Outcome
from actors.outputs.warehouse.columns import Column


class Session(Protocol):
    """A transaction. What fails raises an error of the warehouse's own library."""

    async def lock(self, schema: str) -> None:
        """Keep other loads out of a schema until the transaction ends."""
        ...

    async def execute(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Execute one statement, parameters written `$1`, `$2`; return its rows."""
        ...

    async def insert(
        self, table: str, columns: Sequence[Column], rows: Iterable[Sequence[Any]]
    ) -> None:
        """Insert many rows. `table`: as SQL has it."""
        ...


class Engine(Protocol):
    """A warehouse. Each transaction has a connection of its own, closed at its end.

    Attributes:
        has_indexes: tables get an index on what rows are looked up by.
        max_attribute_bytes: room of a row for attributes; see `RowRoom`.
    """

    has_indexes: bool
    max_attribute_bytes: int | None

    def transaction(self) -> AbstractAsyncContextManager[Session]:
        """Begin a transaction; leaving it commits, an error rolls back."""
        ...

    async def maintain(self, tables: Sequence[str]) -> None:
        """Give free what was deleted and renew statistics. `tables`: as SQL has them."""
        ...

    def outcome_of(self, error: Exception) -> Outcome | None:
        """Say what an error of a transaction means; `None`: not an error of the warehouse."""
        ...
