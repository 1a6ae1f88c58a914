"""Short ways to make stored batches for tests, decoded as ingest does."""

from typing import Any

from actors.audiences.event_rows import Row, rows_of
from actors.model.batches import StoredBatch
from tests.actors.batches.support import T, decoded


def stored(*events: dict[str, Any], received_ms: int = T, **members: Any) -> StoredBatch:
    """Make a stored batch of events as sent."""
    batch = decoded({"environment": "production", "events": list(events), **members})
    return StoredBatch(1, 0, 1, 1, 7, 1, received_ms, "server_to_server", False, None, batch)


def sent(event_type: str, **data: Any) -> dict[str, Any]:
    """Make an event as sent."""
    return {"event_type": event_type, "data": data}


def rows(event: dict[str, Any], **members: Any) -> list[Row]:
    """Make the rows of one event."""
    batch = stored(event, **members)
    return rows_of(batch, batch.batch.events[0])
