"""Output `warehouse_duckdb`: rows in a DuckDB file of this machine (spec/connections.md, 7.4).

The file is open only while a load is under way: DuckDB lets one process at a time have it, and
others are to read it between loads.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any
from weakref import WeakValueDictionary

import duckdb
import pyarrow as pa
from pydantic import AfterValidator

from actors.outputs.contract import Outcome, Retry
from actors.outputs.environment import OutputEnvironment
from actors.outputs.module import OutputModule
from actors.outputs.warehouse.columns import Column, SqlType
from actors.outputs.warehouse.names import quoted
from actors.outputs.warehouse.output import WarehouseOutput
from actors.outputs.warehouse.settings import WarehouseConnectionSettings, WarehouseSettings

INCOMING = "_incoming"
PAGE_ROWS = 5_000
# One transaction on a file at a time: also where several outputs of a process share it.
_TURNS: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
_ARROW: dict[SqlType, pa.DataType] = {
    "text": pa.string(),
    "json": pa.string(),
    "bigint": pa.int64(),
    "float8": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}


def _path(path: str) -> str:
    if not Path(path).is_absolute() or "\0" in path:
        raise ValueError("must be an absolute path of this machine")
    return path


class DuckdbSettings(WarehouseSettings):
    """Settings of the module `warehouse_duckdb`. `path`: of the file; made where it is missing."""

    path: Annotated[str, AfterValidator(_path)]


class DuckdbSession:
    """A transaction on the file; whatever takes time runs in a thread."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    async def lock(self, schema: str) -> None:
        """Do nothing: `DuckdbEngine` has one transaction at a time."""

    async def execute(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Execute one statement."""
        return await asyncio.to_thread(self._execute, statement, parameters)

    def _execute(self, statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, list(parameters)).fetchall()

    async def insert(
        self, table: str, columns: Sequence[Column], rows: Iterable[Sequence[Any]]
    ) -> None:
        """Insert rows from Arrow tables."""
        await asyncio.to_thread(self._insert, table, columns, rows)

    def _insert(self, table: str, columns: Sequence[Column], rows: Iterable[Sequence[Any]]) -> None:
        schema = pa.schema([(each.name, _ARROW[each.sql_type]) for each in columns])
        names = ", ".join(quoted(each.name) for each in columns)
        rows = list(rows)
        for start in range(0, len(rows), PAGE_ROWS):
            page = zip(*rows[start : start + PAGE_ROWS], strict=True)
            arrays = [pa.array(each, field.type) for each, field in zip(page, schema, strict=True)]
            self._connection.register(INCOMING, pa.Table.from_arrays(arrays, schema=schema))
            statement = f"INSERT INTO {table} ({names}) SELECT {names} FROM {INCOMING}"
            self._connection.execute(statement)
            self._connection.unregister(INCOMING)


class DuckdbEngine:
    """The file."""

    has_indexes = False  # its zone maps find what was loaded lately
    max_attribute_bytes: int | None = None

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._turn = _TURNS.setdefault(path, asyncio.Lock())

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[DuckdbSession]:
        """Open the file, and close it at the end."""
        async with self._turn, self._connection() as session:
            await session.execute("BEGIN TRANSACTION")
            yield session
            await session.execute("COMMIT")

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[DuckdbSession]:
        connection = await asyncio.to_thread(self._open)
        try:
            yield DuckdbSession(connection)
        finally:
            # Rolls back what was not committed. A statement that is still running in its thread,
            # because its waiter was cancelled, is ended first.
            connection.interrupt()
            await asyncio.to_thread(connection.close)

    def _open(self) -> duckdb.DuckDBPyConnection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return duckdb.connect(
            self._path,
            config={
                "enable_external_access": False,
                "autoinstall_known_extensions": False,
            },
        )

    async def maintain(self, tables: Sequence[str]) -> None:
        """Renew statistics, and write what was deleted through to the file."""
        async with self._turn, self._connection() as session:
            for table in tables:
                await session.execute(f"VACUUM ANALYZE {table}")
            await session.execute("CHECKPOINT")

    def outcome_of(self, error: Exception) -> Outcome | None:
        """All that the file can have may pass: another process, a full disk, rights, a lost table.

        The text of some errors has values in it.
        """
        if isinstance(error, duckdb.IOException | OSError):
            return Retry(f"{type(error).__name__}: {error}")
        return Retry(type(error).__name__) if isinstance(error, duckdb.Error) else None


def open_output(settings: DuckdbSettings, environment: OutputEnvironment) -> WarehouseOutput:
    """Open the output."""
    return WarehouseOutput(settings, environment, DuckdbEngine(settings.path))


MODULE = OutputModule(
    module="warehouse_duckdb",
    kinds=frozenset({"data_warehouse", "audience"}),
    accepts_unbound=True,
    accepts_attribute_feed=True,
    settings_model=DuckdbSettings,
    send_as_batch_default=True,
    gets_aliases=True,
    retry_profile="warehouse",
    open=open_output,
    connection_settings_model=WarehouseConnectionSettings,
    gets_audience_ids=True,
)
