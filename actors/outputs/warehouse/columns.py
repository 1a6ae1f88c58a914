"""The columns of the warehouse tables: those of files, typed (spec/connections.md, 7.4)."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import orjson
from msgspec import Struct

from actors.outputs import file_columns
from actors.outputs.file_columns import CONVERSIONS, Kind
from actors.outputs.file_values import ColumnReader

SqlType = Literal["text", "bigint", "float8", "boolean", "date", "timestamp", "json"]

_TYPES: dict[Kind, SqlType] = {
    "text": "text",
    "integer": "bigint",
    "number": "float8",
    "boolean": "boolean",
    "date": "date",
    "time": "timestamp",
    "map": "json",
}
_RENAMED = {"event_attributes": "eventattributes", "user_attributes": "userattributes"}


class Column(Struct, frozen=True):
    """A column; `sql_type` means the same to every warehouse."""

    name: str
    sql_type: SqlType


def as_json(value: Any) -> str | None:
    """Return the JSON text of a value, `None` where there is nothing in it."""
    return orjson.dumps(value).decode() if value else None


def _as_timestamp(value: datetime | None) -> datetime | None:
    """Return a time as columns without a zone hold it: in UTC."""
    return None if value is None else value.astimezone(UTC).replace(tzinfo=None)


def _conversion(kind: Kind) -> Callable[[Any], Any]:
    if kind == "map":
        return lambda value: as_json(value if isinstance(value, dict) else None)
    return _as_timestamp if kind == "time" else CONVERSIONS[kind]


COMMON = tuple(
    Column(_RENAMED.get(name, name), _TYPES[kind]) for name, kind, _ in file_columns.COLUMNS
)
DEVICE_STAMP = Column("devicestamp", "text")
values = ColumnReader({kind: _conversion(kind) for kind in _TYPES}).values  # as those of COMMON


CONSENT = (
    Column("regulation", "text"),
    Column("purpose", "text"),
    Column("document", "text"),
    Column("location", "text"),
    Column("hardwareid", "text"),
)
USERS = (
    Column("mpid", "bigint"),
    Column("identities", "json"),
    Column("userattributes", "json"),
    Column("first_seen", "bigint"),
    Column("last_seen", "bigint"),
    Column("audience_ids", "json"),
    Column("is_deleted", "boolean"),
)
IDENTITIES = (
    Column("mpid", "bigint"),
    Column("identity_type", "text"),
    Column("identity", "text"),
    Column("first_seen", "bigint"),
    Column("last_seen", "bigint"),
)
MEMBERSHIP = (
    Column("audience_id", "bigint"),
    Column("mpid", "bigint"),
    Column("entered_at", "bigint"),
    Column("left_at", "bigint"),
)
ALIASES = (
    Column("source_mpid", "bigint"),
    Column("destination_mpid", "bigint"),
    Column("start", "bigint"),
    Column("end", "bigint"),
    Column("at", "bigint"),
)
LOADS = (
    Column("load_id", "text"),
    Column("table", "text"),
    Column("rows", "bigint"),
    Column("first_event", "bigint"),
    Column("last_event", "bigint"),
    Column("started", "timestamp"),
    Column("ended", "timestamp"),
)
