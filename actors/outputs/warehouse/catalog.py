"""The tables of one schema, as they are found and made in the transaction of a load."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import orjson

from actors.outputs.warehouse import columns
from actors.outputs.warehouse.columns import Column
from actors.outputs.warehouse.engine import Session
from actors.outputs.warehouse.names import name_for, quoted
from actors.outputs.warehouse.reading import CONSENT_TABLES, OTHER_EVENTS

VIEW = "eventsview"
USERS = "users"
KEYS = {
    USERS: "mpid",
    "identities": "mpid",
    "audience_membership": "mpid",
    "aliases": "source_mpid",
    "_loads": "load_id",
}
# What the warehouse keeps for the loads themselves.
OWN: dict[str, tuple[Column, ...]] = {
    "_loads": columns.LOADS,
    "_tables": (Column("table_name", "text"), Column("original", "text")),
    "_columns": (
        Column("table_name", "text"),
        Column("column_name", "text"),
        Column("original", "text"),
    ),
    "_receptions": (
        Column("original", "text"),
        Column("day", "date"),
        Column("receptions", "bigint"),
    ),
    "_state": (Column("name", "text"), Column("value", "text")),
}
PLAIN: dict[str, tuple[Column, ...]] = {
    USERS: columns.USERS,
    "identities": columns.IDENTITIES,
    "audience_membership": columns.MEMBERSHIP,
    "aliases": columns.ALIASES,
}
RESERVED = frozenset({VIEW, OTHER_EVENTS, *CONSENT_TABLES, *PLAIN, *OWN})


class Catalog:
    """Finds tables and columns, and makes what is missing."""

    def __init__(self, session: Session, schema: str, *, has_indexes: bool) -> None:
        self.session = session
        self._schema = schema
        self._has_indexes = has_indexes
        self._columns: dict[str, set[str]] = {}  # of every table that exists
        self._views: set[str] = set()
        self._tables: dict[str, str] = {}  # originals of event tables -> their names
        self._attributes: defaultdict[str, dict[str, str]] = defaultdict(dict)

    async def open(self) -> None:
        """Read what there is; make the schema and the tables that every load needs."""
        execute = self.session.execute
        found = await execute(
            "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1", self._schema
        )
        if not found:
            await execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(self._schema)}")
        kinds = await execute(
            "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = $1",
            self._schema,
        )
        self._views = {name for name, kind in kinds if kind == "VIEW"}
        self._columns = {name: set() for name, kind in kinds if kind != "VIEW"}
        for table, column in await execute(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = $1",
            self._schema,
        ):
            if table in self._columns:
                self._columns[table].add(column)
        for name, layout in OWN.items():
            await self.ensure(name, layout)
        for table, original in await execute(
            f"SELECT table_name, original FROM {self.path('_tables')}"
        ):
            self._tables[original] = table
        for table, column, original in await execute(
            f"SELECT table_name, column_name, original FROM {self.path('_columns')}"
        ):
            self._attributes[table][original] = column

    def path(self, table: str) -> str:
        """Return a table of the schema as SQL has it."""
        return f"{quoted(self._schema)}.{quoted(table)}"

    def existing(self, original: str) -> str | None:
        """Return the name of an event table, `None` if there is none."""
        name = self._tables.get(original)
        return name if name in self._columns else None

    def event_tables(self) -> list[str]:
        """Return the event tables, those of consent left out."""
        known = {*self._tables.values(), OTHER_EVENTS} & self._columns.keys()
        return sorted(known)

    def dated_tables(self) -> list[str]:
        """Return all tables whose rows become too old."""
        return [*self.event_tables(), *(each for each in CONSENT_TABLES if each in self._columns)]

    def has(self, table: str) -> bool:
        """Say whether a table exists."""
        return table in self._columns

    async def ensure(self, table: str, layout: Iterable[Column]) -> None:
        """Make a table, or the columns that somebody took from it."""
        if table not in self._columns:
            layout = list(layout)
            declared = ", ".join(f"{quoted(each.name)} {each.sql_type}" for each in layout)
            await self.session.execute(f"CREATE TABLE {self.path(table)} ({declared})")
            self._columns[table] = {each.name for each in layout}
            key = KEYS.get(table) or ("eventid" if "eventid" in self._columns[table] else None)
            if self._has_indexes and key is not None:
                await self.session.execute(f"CREATE INDEX ON {self.path(table)} ({quoted(key)})")
            return
        for column in layout:
            if column.name not in self._columns[table]:
                await self._add_column(table, column)

    async def ensure_events(self, original: str, layout: Iterable[Column]) -> str:
        """Make the event table that goes by `original`; return its name."""
        if original == OTHER_EVENTS or original in CONSENT_TABLES:
            name = original
        elif original in self._tables:
            name = self._tables[original]
        else:
            taken = {*self._columns, *self._views, *RESERVED, *self._tables.values()}
            name = name_for(original, taken)
            await self.session.execute(
                f"INSERT INTO {self.path('_tables')} VALUES ($1, $2)", name, original
            )
            self._tables[original] = name
        await self.ensure(name, layout)
        return name

    async def attribute_columns(
        self, table: str, originals: Collection[str], limit: int
    ) -> dict[str, str]:
        """Return the columns of attributes by what they are called where events come from.

        Columns that are missing are made, as long as the table has fewer than `limit`; an attribute
        that finds no room is not in the answer.
        """
        chosen: dict[str, str] = {}
        for original in originals:
            name = self._attributes[table].get(original)
            if name is None or name not in self._columns[table]:
                if len(self._columns[table]) >= limit:
                    continue
                if name is None:
                    taken = {*self._columns[table], *self._attributes[table].values()}
                    name = name_for(original, taken)
                    await self.session.execute(
                        f"INSERT INTO {self.path('_columns')} VALUES ($1, $2, $3)",
                        table,
                        name,
                        original,
                    )
                    self._attributes[table][original] = name
                await self._add_column(table, Column(name, "text"))
            chosen[original] = name
        return chosen

    def known_attributes(self, table: str) -> dict[str, str]:
        """Return the attribute columns that a table has."""
        return {
            original: name
            for original, name in self._attributes[table].items()
            if name in self._columns[table]
        }

    async def renew_view(self, layout: Sequence[Column]) -> None:
        """Have the view show all event tables that there are."""
        tables = self.event_tables()
        members = orjson.dumps(tables).decode()
        if not tables or (VIEW in self._views and members == await self.state(VIEW)):
            return
        names = ", ".join(quoted(each.name) for each in layout)
        for table in tables:
            await self.ensure(table, layout)
        body = " UNION ALL ".join(f"SELECT {names} FROM {self.path(table)}" for table in tables)
        await self.session.execute(f"CREATE OR REPLACE VIEW {self.path(VIEW)} AS {body}")
        await self.set_state(VIEW, members)

    async def state(self, name: str) -> str | None:
        """Return what was remembered under a name."""
        found = await self.session.execute(
            f"SELECT value FROM {self.path('_state')} WHERE name = $1", name
        )
        return str(found[0][0]) if found else None

    async def set_state(self, name: str, value: str) -> None:
        """Remember a text under a name."""
        await self.session.execute(f"DELETE FROM {self.path('_state')} WHERE name = $1", name)
        await self.session.execute(
            f"INSERT INTO {self.path('_state')} VALUES ($1, $2)", name, value
        )

    async def insert(
        self, table: str, layout: Sequence[Column], rows: Iterable[Sequence[Any]]
    ) -> None:
        """Insert rows into a table of the schema."""
        await self.session.insert(self.path(table), layout, rows)

    async def stage(
        self, name: str, layout: Sequence[Column], rows: Iterable[Sequence[Any]]
    ) -> None:
        """Make and fill a temporary table."""
        declared = ", ".join(f"{quoted(each.name)} {each.sql_type}" for each in layout)
        await self.session.execute(f"CREATE TEMPORARY TABLE {quoted(name)} ({declared})")
        await self.session.insert(quoted(name), layout, rows)

    async def unstage(self, name: str) -> None:
        """Drop a temporary table."""
        await self.session.execute(f"DROP TABLE {quoted(name)}")

    async def _add_column(self, table: str, column: Column) -> None:
        await self.session.execute(
            f"ALTER TABLE {self.path(table)} ADD COLUMN {quoted(column.name)} {column.sql_type}"
        )
        self._columns[table].add(column.name)
