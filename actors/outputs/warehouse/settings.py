"""Settings that all warehouses share (spec/connections.md, 7.4)."""

from typing import Self

from pydantic import Field, model_validator

from actors.outputs.connection_settings import ConnectionSettings
from actors.outputs.module import OutputSettings
from actors.outputs.warehouse.columns import COMMON

MAX_COLUMNS = 1590  # PostgreSQL has 1600, some for what was dropped


class Hygiene(OutputSettings):
    """Whether, and older than how many days, events are deleted every 24 hours."""

    enabled: bool = True
    days: int = Field(default=90, ge=1, le=36_500)


class WarehouseSettings(OutputSettings):
    """How events become tables.

    `events_threshold`: how often within 30 days an event has to be received for a table of its own.
    `max_columns`: a table that has as many gets no more; further attributes stay in its JSON.
    """

    schema_name: str = Field(default="cdp", alias="schema", pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    events_threshold: int = Field(default=10_000, ge=1)
    load_interval_minutes: int = Field(default=15, ge=1, le=1440)
    user_attribute_columns: bool = True
    store_device_stamp: bool = False
    hygiene: Hygiene = Hygiene()
    max_columns: int = Field(default=1500, ge=len(COMMON) + 10, le=MAX_COLUMNS)

    @property
    def include_mp_device_id(self) -> bool:
        """Whether the output has to be sent the device's stamp."""
        return self.store_device_stamp


class WarehouseConnectionSettings(ConnectionSettings):
    """What a connection sets.

    `feed_table_name`: the table that has all its events, unless `split_feed_by_event_name`.
    """

    feed_table_name: str | None = Field(default=None, min_length=1, max_length=256)
    split_feed_by_event_name: bool = False

    @model_validator(mode="after")
    def _keeps_event_ids(self) -> Self:
        if self.expand_commerce_events:
            raise ValueError("expand_commerce_events: a warehouse has columns for commerce events")
        if self.raw_data_feed:
            raise ValueError("raw_data_feed: events as they came in have no ids to load them by")
        return self
