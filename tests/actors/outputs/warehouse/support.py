"""What the tests of warehouses share: one of each kind, and deliveries for them."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb

from actors.clock import ManualClock
from actors.metric_groups import ForwarderMetrics
from actors.model.deliveries import Delivery
from actors.outputs.audience_messages import (
    MembershipChange,
    MembershipMessage,
    MessageAudience,
    encode,
)
from actors.outputs.contract import BulkOutput, Outcome
from actors.outputs.egress import EgressRules
from actors.outputs.environment import ConnectionTerms, OutputEnvironment, OutputPlace
from actors.outputs.registry import MODULES
from tests.actors.forwarding.support import delivery
from tests.postgres import PostgresServer, postgres

WAREHOUSES = ("warehouse_duckdb", "warehouse_postgres")
NOW_MS = ManualClock().now_ms()


class Warehouse:
    """A schema of its own in one of the warehouses, and the way to load into it."""

    def __init__(
        self, module: str, folder: Path, schema: str | None = None, dsn: str | None = None
    ) -> None:
        """Args: a schema and the place of a server, where they are another process's."""
        self.module = module
        self._dsn = dsn
        self.schema = schema or f"s{uuid4().hex}"
        self.clock = ManualClock()
        self.metrics = ForwarderMetrics("test")
        self._folder = folder
        self._opened = 0

    @property
    def server(self) -> PostgresServer:
        """The server of a PostgreSQL warehouse."""
        return postgres()

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Return settings that work here."""
        place = (
            {"path": str(self._folder / "w.duckdb")}
            if self.module == "warehouse_duckdb"
            else {"dsn": self._dsn or self.server.dsn}
        )
        return {**place, "schema": self.schema, "load_interval_minutes": 1, **changes}

    def open(self, feed: dict[str, Any] | None = None, **changes: Any) -> BulkOutput:
        """Open an output; `feed`: what connection 1 sets."""
        self._opened += 1
        settings = MODULES[self.module].settings_model.model_validate(self.settings(**changes))
        environment = OutputEnvironment(
            "wh",
            self.clock,
            EgressRules(["127.0.0.1"]),
            self._folder / f"spool{self._opened}",
            place=OutputPlace(connections={1: ConnectionTerms("Feed", feed)} if feed else {}),
            count_load=partial(self.metrics.count_load, "wh"),
        )
        output = MODULES[self.module].open(settings, environment)
        assert isinstance(output, BulkOutput)
        return output

    async def load(self, deliveries: Sequence[Delivery], **changes: Any) -> Outcome:
        """Load deliveries through an output of their own."""
        output = self.open(**changes)
        await output.start()
        try:
            return await load(output, deliveries)
        finally:
            await output.stop()

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Execute a statement, `{s}` standing for the schema."""
        statement = statement.replace("{s}", self.schema)
        if self.module == "warehouse_postgres":
            return self.server.query(statement)
        with duckdb.connect(self._folder / "w.duckdb") as connection:
            return connection.execute(statement).fetchall()

    def tables(self) -> set[str]:
        """Return the names of all tables and views."""
        rows = self.query(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = '{s}'"
        )
        return {name for (name,) in rows}

    def columns(self, table: str) -> list[str]:
        """Return the names of a table's columns."""
        rows = self.query(
            "SELECT column_name FROM information_schema.columns "
            f"WHERE table_schema = '{{s}}' AND table_name = '{table}' ORDER BY column_name"
        )
        return [name for (name,) in rows]

    def contents(self) -> dict[str, list[str]]:
        """Return all rows that do not tell when and how they were loaded."""
        found = {}
        for table in sorted(self.tables() - {"_loads", "_state", "eventsview"}):
            names = [f'"{each}"' for each in self.columns(table) if each != "loadedat"]
            rows = self.query(f"SELECT {', '.join(names)} FROM {{s}}.{table}")
            found[table] = sorted(map(repr, rows))
        return found


async def load(output: BulkOutput, deliveries: Sequence[Delivery]) -> Outcome:
    """Load deliveries with one bundle."""
    bundle = output.open_bundle("web", "", deliveries[0])
    assert await bundle.add(deliveries) == len(deliveries)
    return await bundle.send()


def event(event_id: int, name: str = "Foo", **data: Any) -> dict[str, Any]:
    """Return a custom event of type `other`."""
    named = {"event_name": name, "custom_event_type": "other"}
    known = {"event_id": event_id, "timestamp_unixtime_ms": NOW_MS - 1000}
    return {"event_type": "custom_event", "data": {**known, **named, **data}}


def batch(number: int, events: Sequence[Any], mpid: int | None = 1, **fields: Any) -> Delivery:
    """Return the delivery of a batch."""
    message = {
        "mpid": mpid,
        "batch_id": number,
        "timestamp_unixtime_ms": NOW_MS,
        "events": events,
        **fields,
    }
    payload = json.dumps(message, ensure_ascii=False).encode()
    return delivery(number, mpid=mpid, payload=payload, event_count=len(events))


def membership(number: int, mpid: int, action: Any, time_ms: int, audience: int = 7) -> Delivery:
    """Return the delivery of a change of membership."""
    message = MembershipMessage(
        f"dl_{number}",
        time_ms,
        1,
        MessageAudience(audience, "A", "A"),
        [MembershipChange(mpid, action, {"email": "e@example.com"})],
    )
    return delivery(number, mpid=mpid, payload=encode(message), event_count=0)
