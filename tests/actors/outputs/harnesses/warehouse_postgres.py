"""The module `warehouse_postgres` beside a server of this machine."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from tests.actors.outputs.harness import Fault, Harness, Received
from tests.actors.outputs.harnesses.warehouse_duckdb import ROWS
from tests.postgres import postgres

IS_WAITING = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


class WarehousePostgresHarness(Harness):
    """A schema of its own in the server that all tests share."""

    module = "warehouse_postgres"
    faults = frozenset({"gone", "slow"})
    keeps_repeats = False
    seconds = 61.0
    secrets = {  # noqa: RUF012  # read only
        "dsn": "postgresql://somebody:hidden@127.0.0.1:1/postgres"
    }
    wrong = (
        ({"dsn": "dbname=db"}, "settings.dsn"),
        ({"dsn": "postgresql://a@b/c?hostaddr=10.0.0.1"}, "settings.dsn"),
        ({"load_interval_minutes": 0}, "settings.load_interval_minutes"),
    )

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._server = postgres()
        self._schema = f"s{uuid4().hex}"
        self._is_there = True
        self._holder: psycopg.Connection | None = None

    async def stop(self) -> None:
        """Leave a running server to the others."""
        await self.set_fault(None)

    def settings(self) -> dict[str, Any]:
        """Load every minute."""
        return {"dsn": self._server.dsn, "schema": self._schema, "load_interval_minutes": 1}

    def impatient(self) -> dict[str, Any]:
        """Wait as long as a test can."""
        return {"timeout_s": 0.5}

    async def set_fault(self, fault: Fault | None) -> None:
        """Stop the server, or keep the schema locked."""
        if self._holder is not None:
            self._holder.close()
            self._holder = None
        if (fault != "gone") != self._is_there:
            self._is_there = not self._is_there
            (self._server.start if self._is_there else self._server.stop)()
        if fault == "slow":
            self._holder = psycopg.connect(self._server.dsn, autocommit=True)
            self._holder.execute(
                "SELECT pg_advisory_lock(hashtextextended(%s, 0))", [f"headwater {self._schema}"]
            )

    def is_asked(self) -> bool:
        """A load waits for the lock."""
        return bool(self._server.query(IS_WAITING))

    async def received(self) -> list[Received]:
        """Return the rows, in the order in which they were written."""
        try:
            rows = self._server.query(ROWS.format(self._schema, "ctid"))
        except psycopg.errors.UndefinedTable:
            return []
        return [Received(*row) for row in rows]
