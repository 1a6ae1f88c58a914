"""What a schema needs once a day: old rows deleted, space given free, statistics renewed."""

from datetime import timedelta

from actors.outputs.warehouse.catalog import Catalog
from actors.outputs.warehouse.engine import Engine
from actors.outputs.warehouse.events import COUNTED_DAYS, moment

PERIOD_MS = 24 * 3600 * 1000
LAST = "hygiene"


async def clean(engine: Engine, schema: str, days: int, now_ms: int) -> bool:
    """Delete events older than `days`, unless that was done within a day; say whether it was.

    An event is as old as its own time says, or since it was loaded where it has none.
    """
    cutoff = moment(now_ms) - timedelta(days=days)
    cutoff_ms = now_ms - days * PERIOD_MS
    async with engine.transaction() as session:
        await session.lock(schema)
        catalog = Catalog(session, schema, has_indexes=engine.has_indexes)
        await catalog.open()
        last = await catalog.state(LAST)
        if last is not None and now_ms < int(last) + PERIOD_MS:
            return False
        tables = catalog.dated_tables()
        for table in tables:
            await session.execute(
                f"DELETE FROM {catalog.path(table)} WHERE eventtimestamp < $1 "
                "OR (eventtimestamp IS NULL AND loadedat < $2)",
                cutoff_ms,
                cutoff,
            )
        await session.execute(
            f"DELETE FROM {catalog.path('_loads')} WHERE ended < $1",
            cutoff,
        )
        await session.execute(
            f"DELETE FROM {catalog.path('_receptions')} WHERE day <= $1",
            (moment(now_ms) - timedelta(days=COUNTED_DAYS)).date(),
        )
        await catalog.set_state(LAST, str(now_ms))
        paths = [catalog.path(each) for each in (*tables, "_loads", "_receptions")]
    await engine.maintain(paths)
    return True
