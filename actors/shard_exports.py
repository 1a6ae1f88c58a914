"""What a shard has of a user, to be handed out (spec/privacy.md, 5.1)."""

from collections.abc import Iterator
from typing import Any

import msgspec
import orjson

from actors.model.batches import StoredBatch
from actors.model.profiles import ProfileKey
from actors.model.workspaces import Environment
from actors.outgoing import inbound_batch
from actors.privacy.exporting import ExportPage, Place
from actors.shard import Shard
from actors.store import copies, log
from actors.store.environment import Transaction
from actors.store.keys import profile_key

# What one call reads at most: some milliseconds, for which ingestion waits.
PAGE_BATCHES = 200
PAGE_BYTES = 1024 * 1024

_IDS = frozenset({"mpid", "batch_id", "event_id", "session_id"})
_encode = msgspec.json.Encoder().encode


class ShardExports:
    """Reads all batches of a user."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._workspace = shard.options.workspace

    def export_batches(
        self, environment: Environment, mpid: int, place: Place | None
    ) -> ExportPage | None:
        """Return the next batches of a user, each as a line of JSON.

        Args:
            environment, mpid: of the user.
            place: `ExportPage.next` of the page before, `None` at first.

        Returns:
            `None` if there is no such user.
        """
        key = ProfileKey(self._workspace.scope, environment, mpid)
        lines: list[bytes] = []
        size = 0
        with self._shard.store.read() as txn:
            profile = self._shard.profiles.get(txn, key)
            section = profile and profile.workspaces.get(self._workspace.number)
            if not section:
                return None
            if place is None:
                place = Place(section.newest_log_id, section.newest_historical_id, b"")
            for stored, following in _batches(txn, key, place):
                lines.append(export_line(stored))
                size += len(lines[-1])
                if len(lines) == PAGE_BATCHES or size >= PAGE_BYTES:
                    return ExportPage(lines, following)
        return ExportPage(lines, None)


def export_line(stored: StoredBatch) -> bytes:
    """Return a complete batch as JSON: ids and times of 64 bits are texts."""
    batch = stored.batch
    shown: dict[str, Any] = {
        **inbound_batch(stored),
        "received_timestamp_ms": stored.received_ms,
        "source_info": {"channel": stored.channel, "is_historical": stored.is_historical},
        "ip": batch.ip,
        "partner_identities": batch.partner_identities,
        "events": [
            {
                "event_type": event.event_type,
                "data": {"event_id": event.event_id, **orjson.loads(event.json or event.to_json())},
            }
            for event in batch.events
        ],
    }
    # To JSON and back: what is shown then is made of JSON's kinds alone.
    return _encode(_with_texts(orjson.loads(_encode(shown))))


def _with_texts(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_texts(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: str(each)
        if type(each) is int and (name in _IDS or name.endswith("_ms"))
        else _with_texts(each)
        for name, each in value.items()
    }


def _batches(
    txn: Transaction, key: ProfileKey, place: Place
) -> Iterator[tuple[StoredBatch, Place]]:
    """Yield a user's batches, live ones first, then historical and copied ones; and what follows
    each."""
    for stored in log.chain(txn, place.live):
        yield stored, Place(stored.previous_log_id, place.historical, place.copy)
    for stored in log.chain(txn, place.historical):
        yield stored, Place(0, stored.previous_log_id, place.copy)
    for found, encoded in txn.scan("copies", start=place.copy, prefix=profile_key(key)):
        yield copies.decode(encoded).stored, Place(0, 0, found + b"\0")
