"""Payloads taken apart into rows, one for each event."""

from collections.abc import Iterator
from typing import Any

import orjson
from msgspec import Struct


class Row(Struct):
    """What the columns of one row are taken from; an eventless batch has no event.

    `of_batch`: the values that the rows of a batch share, once they are known (`ColumnReader`).
    """

    batch: dict[str, Any]
    identities: dict[str, Any]
    event: dict[str, Any]
    data: dict[str, Any]
    delivery_id: str
    loaded_ms: int
    of_batch: list[Any]


def rows(payload: bytes, delivery_id: str, loaded_ms: int) -> Iterator[Row]:
    """Take a payload apart: one row per event, one for a batch without events."""
    batch: dict[str, Any] = orjson.loads(payload)
    sent = batch.get("user_identities") or {}
    if isinstance(sent, list):  # the outgoing form; the raw data feed has the inbound one
        sent = {entry["identity_type"]: entry["identity"] for entry in sent}
    of_batch: list[Any] = []
    for event in batch.get("events") or [{}]:
        yield Row(batch, sent, event, event.get("data") or {}, delivery_id, loaded_ms, of_batch)
