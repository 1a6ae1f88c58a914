"""One load: deliveries, in one transaction with the record that it was made.

Repeating a load, whole or with other deliveries beside its own, changes nothing: events are known
by their ids, and everything else is written as the latest state.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

from msgspec import Struct

from actors.model.deliveries import Delivery
from actors.outputs.warehouse import columns
from actors.outputs.warehouse.catalog import Catalog
from actors.outputs.warehouse.engine import Session
from actors.outputs.warehouse.events import EventTables, destinations, moment, unseen
from actors.outputs.warehouse.people import Users
from actors.outputs.warehouse.reading import EventRow, Readings


class LoadSettings(Struct, frozen=True):
    """What the settings of an output mean for its loads."""

    schema: str
    events_threshold: int
    has_attribute_columns: bool
    has_device_stamp: bool
    max_columns: int
    has_indexes: bool
    max_attribute_bytes: int | None


class LoadResult(Struct):
    """What a load did: rows by table, and the tables that had no room for an attribute."""

    rows: dict[str, int]
    full_tables: set[str]


def load_id(deliveries: Iterable[Delivery]) -> str:
    """Name a load after its deliveries: the same ones always give the same id."""
    digest = sha256()
    for delivery in deliveries:
        digest.update(f"{delivery.delivery_id} {delivery.mpid}\n".encode())
    return f"ld_{digest.hexdigest()[:32]}"


async def load(
    session: Session, settings: LoadSettings, name: str, readings: Readings, now_ms: int
) -> LoadResult:
    """Write what was read of some deliveries.

    Args:
        session: a transaction of this load alone.
        settings: of the output.
        name: the load's id; nothing is done where there is one of that name.
        readings: what to write.
        now_ms: the time that the rows are loaded at.
    """
    await session.lock(settings.schema)
    catalog = Catalog(session, settings.schema, has_indexes=settings.has_indexes)
    await catalog.open()
    if await session.execute(
        f"SELECT 1 FROM {catalog.path('_loads')} WHERE load_id = $1 LIMIT 1", name
    ):
        return LoadResult({}, set())
    journal = _Journal(name, now_ms)
    tables = EventTables(
        catalog,
        has_device_stamp=settings.has_device_stamp,
        max_columns=settings.max_columns,
        max_attribute_bytes=settings.max_attribute_bytes,
    )
    users = Users(
        catalog,
        has_attribute_columns=settings.has_attribute_columns,
        max_columns=settings.max_columns,
        max_attribute_bytes=settings.max_attribute_bytes,
    )
    await _load_events(catalog, tables, settings, readings, journal)
    if readings.users:
        journal.note("users", await users.write(readings.users))
        journal.note("identities", await users.write_identities(readings.users))
    if readings.memberships:
        journal.note("audience_membership", await users.write_memberships(readings.memberships))
    if readings.aliases:
        journal.note("aliases", await users.write_aliases(readings.aliases))
    await catalog.renew_view(columns.COMMON)
    await catalog.insert("_loads", columns.LOADS, journal.rows())
    full = tables.full | ({"users"} if users.is_full else set())
    return LoadResult(journal.counts, full)


async def _load_events(
    catalog: Catalog,
    tables: EventTables,
    settings: LoadSettings,
    readings: Readings,
    journal: "_Journal",
) -> None:
    if readings.events:
        candidates = (
            catalog.existing(each)
            for row in readings.events
            for each in (row.own, row.table)
            if each is not None
        )
        known = {each for each in candidates if each is not None}
        known |= {each for each in ("otherevents",) if catalog.has(each)}
        new = await unseen(catalog, readings.events, known, journal.now_ms)
        chosen = await destinations(catalog, new, settings.events_threshold, journal.now_ms)
        for original, rows in chosen.items():
            journal.note_events(await tables.write(original, rows), rows)
    by_table: defaultdict[str, list[EventRow]] = defaultdict(list)
    for row in readings.consent:
        by_table[row.table].append(row)
    for table, consent in by_table.items():
        known = {table} if catalog.has(table) else set()
        rows = await unseen(catalog, consent, known, journal.now_ms)
        if rows:
            journal.note_events(await tables.write(table, rows), rows)


class _Journal:
    """What `_loads` gets to know."""

    def __init__(self, name: str, now_ms: int) -> None:
        self.now_ms = now_ms
        self.counts: dict[str, int] = {}
        self._name = name
        self._times: dict[str, tuple[int | None, int | None]] = {}

    def note(self, table: str, rows: int) -> None:
        if rows:
            self.counts[table] = rows

    def note_events(self, table: str, rows: Sequence[EventRow]) -> None:
        times = [each.time_ms for each in rows if each.time_ms is not None]
        self.counts[table] = len(rows)
        self._times[table] = (min(times, default=None), max(times, default=None))

    def rows(self) -> list[list[Any]]:
        at = moment(self.now_ms)
        return [
            [self._name, table, rows, *self._times.get(table, (None, None)), at, at]
            for table, rows in self.counts.items()
        ]
