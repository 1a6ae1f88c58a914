"""Which events of a load are new, which table each goes to, and how they get there."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

from actors.outputs.warehouse import columns
from actors.outputs.warehouse.catalog import Catalog
from actors.outputs.warehouse.columns import Column
from actors.outputs.warehouse.names import quoted
from actors.outputs.warehouse.reading import EventRow
from actors.outputs.warehouse.room import RowRoom

DEDUP_DAYS = 31
COUNTED_DAYS = 30


def moment(now_ms: int) -> datetime:
    """Return a time as columns hold it."""
    return datetime.fromtimestamp(now_ms / 1000, UTC).replace(tzinfo=None)


async def unseen(
    catalog: Catalog, rows: Sequence[EventRow], tables: Iterable[str], now_ms: int
) -> list[EventRow]:
    """Return those rows whose event is in no table yet, each event once.

    Looked at is what was loaded within the last 31 days.
    """
    by_id: dict[int, EventRow] = {}
    for row in rows:
        by_id.setdefault(row.event_id, row)
    ids = Column("eventid", "bigint")
    await catalog.stage("_ids", [ids], ([each] for each in by_id))
    for table in sorted(tables):
        for (event_id,) in await catalog.session.execute(
            f"SELECT DISTINCT s.eventid FROM {quoted('_ids')} s "
            f"JOIN {catalog.path(table)} t ON t.eventid = s.eventid WHERE t.loadedat >= $1",
            moment(now_ms) - timedelta(days=DEDUP_DAYS),
        ):
            by_id.pop(event_id, None)
    await catalog.unstage("_ids")
    return list(by_id.values())


async def destinations(
    catalog: Catalog, rows: Sequence[EventRow], threshold: int, now_ms: int
) -> dict[str, list[EventRow]]:
    """Say what goes where: an event's own table from its `threshold`-th reception on.

    Receptions are counted by day in the warehouse, so all loaders of a schema count together. Those
    of the last 30 days count.
    """
    today = moment(now_ms).date()
    candidates = {each.own for each in rows if each.own is not None}
    received = await _receptions(catalog, candidates, today)
    counted: Counter[str] = Counter()
    chosen: defaultdict[str, list[EventRow]] = defaultdict(list)
    for row in rows:
        table = row.table
        if row.own is not None and catalog.existing(row.own) is not None:
            table = row.own
        elif row.own is not None:
            before = received[row.own] + counted[row.own]
            # No further: what is counted must not depend on how deliveries are grouped into loads.
            counted[row.own] += before < threshold
            if before + 1 >= threshold:
                table = row.own
        chosen[table].append(row)
    await _count(catalog, +counted, today)
    return chosen


async def _receptions(catalog: Catalog, originals: set[str], today: date) -> Counter[str]:
    if not originals:
        return Counter()
    rows = await catalog.session.execute(
        f"SELECT original, CAST(SUM(receptions) AS bigint) FROM {catalog.path('_receptions')} "
        "WHERE day > $1 GROUP BY original",
        today - timedelta(days=COUNTED_DAYS),
    )
    return Counter({original: count for original, count in rows if original in originals})


async def _count(catalog: Catalog, counted: Counter[str], today: date) -> None:
    if not counted:
        return
    layout = [Column("original", "text"), Column("receptions", "bigint")]
    await catalog.stage("_counted", layout, counted.items())
    table, staged = catalog.path("_receptions"), quoted("_counted")
    await catalog.session.execute(
        f"UPDATE {table} SET receptions = {quoted('_receptions')}.receptions + s.receptions "
        f"FROM {staged} s WHERE {quoted('_receptions')}.original = s.original "
        f"AND {quoted('_receptions')}.day = $1",
        today,
    )
    await catalog.session.execute(
        f"INSERT INTO {table} (original, day, receptions) "
        f"SELECT s.original, CAST($1 AS date), s.receptions FROM {staged} s WHERE NOT EXISTS "
        f"(SELECT 1 FROM {table} t WHERE t.original = s.original AND t.day = CAST($1 AS date))",
        today,
    )
    await catalog.unstage("_counted")


class EventTables:
    """Writes event rows into tables that are made, and get their columns, as they are needed."""

    def __init__(
        self,
        catalog: Catalog,
        *,
        has_device_stamp: bool,
        max_columns: int,
        max_attribute_bytes: int | None,
    ) -> None:
        self._catalog = catalog
        self._max_attribute_bytes = max_attribute_bytes
        self._layout = (*columns.COMMON, *([columns.DEVICE_STAMP] if has_device_stamp else []))
        self._max_columns = max_columns
        self.full: set[str] = set()  # tables that had no room for an attribute

    async def write(self, original: str, rows: Sequence[EventRow]) -> str:
        """Write rows into the table that goes by `original`; return its name."""
        catalog = self._catalog
        is_own = rows[0].own == original
        has_consent = len(rows[0].values) == len(self._layout) + len(columns.CONSENT)
        layout = [*self._layout, *(columns.CONSENT if has_consent else ())]
        table = await catalog.ensure_events(original, layout)
        attributes: dict[str, str] = {}
        if is_own:
            wanted = dict.fromkeys(name for row in rows for name in row.attributes)
            attributes = await catalog.attribute_columns(table, wanted, self._max_columns)
            if len(attributes) < len(wanted):
                self.full.add(table)
        layout += [Column(name, "text") for name in attributes.values()]
        room = RowRoom(self._max_attribute_bytes)
        await catalog.insert(
            table,
            layout,
            (row.values + room.cells(row.attributes, attributes) for row in rows),
        )
        if room.was_short:
            self.full.add(table)
        return table
