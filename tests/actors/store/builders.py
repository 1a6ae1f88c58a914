"""Stores and records for the tests of what is kept on disk."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from actors.model.batches import Batch, Event, StoredBatch
from actors.model.deliveries import DeadLetter, Delivery
from actors.store.environment import Store, Table

NOW = 1_767_225_600_000
DAY = 24 * 60 * 60 * 1000
MAP_SIZE_BYTES = 16 * 1024 * 1024


@contextmanager
def temporary_store() -> Iterator[Store]:
    """Open an empty store for one example of a property; fixtures are shared by all examples."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), MAP_SIZE_BYTES)
        try:
            yield store
        finally:
            store.close()


def content(store: Store, table: Table) -> dict[bytes, bytes]:
    """Return what is committed of a table."""
    with store.read() as txn:
        return dict(txn.scan(table))


def delivery(sequence: int, connection: int = 1, **members: Any) -> Delivery:
    """Make a delivery whose id follows from its sequence."""
    values: dict[str, Any] = {"delivery_id": f"dl_{sequence}", "mpid": 5, "payload": b"{}"}
    return Delivery(sequence=sequence, connection=connection, created_ms=NOW, **(values | members))


def dead(died: Delivery, reason: str = "rejected") -> DeadLetter:
    """Make a dead letter of a delivery."""
    return DeadLetter(died, reason, dead_ms=NOW + 1, last_attempt_ms=NOW, http_status=400)


def stored(log_id: int, previous_log_id: int = 0, mpid: int | None = 5) -> StoredBatch:
    """Make a stored batch of one event."""
    event = Event("custom_event", NOW, {"event_name": "Ping", "tags": ["a", None]}, event_id=3)
    return StoredBatch(
        log_id=log_id,
        previous_log_id=previous_log_id,
        workspace=11,
        scope=7,
        mpid=mpid,
        input=1,
        received_ms=NOW,
        channel="server_to_server",
        is_historical=False,
        device_key=None,
        batch=Batch("production", NOW, [event], user_attributes={"plan": "pro", "tag": None}),
    )
