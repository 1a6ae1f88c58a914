"""Output `file`: batches, events or changes of audiences in files, local or in an object store.

Source: spec/connections.md, 7.2.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from actors.model.deliveries import Delivery
from actors.outputs.contract import Outcome
from actors.outputs.environment import OutputEnvironment
from actors.outputs.file_bundle import FileBundle, FilePlace
from actors.outputs.file_columns import moment_of
from actors.outputs.file_formats import CsvWriter, NdjsonWriter, RowWriter
from actors.outputs.file_parquet import ParquetWriter
from actors.outputs.file_settings import FileSettings
from actors.outputs.file_waiting import WaitingRows
from actors.outputs.module import OutputModule, SettingProblem

MAX_FOLDER_NAME = 100
NO_EVENT = "eventless"


def file_name(input_id: str, first: Delivery, suffix: str) -> str:
    """Name a file after its first delivery: the same delivery always gives the same name."""
    moment = datetime.fromtimestamp(first.created_ms // 1000, UTC)
    stamp = f"{moment:%Y%m%d%H%M%S}{first.created_ms % 1000:03d}"
    digits = int(first.delivery_id.removeprefix("dl_"), 16) % 100_000
    return f"{input_id}_{stamp}_{digits:05d}{suffix}"


def first_event_name(payload: bytes) -> str:
    """Return the name of a payload's first event, its type where it has no name."""
    events: list[dict[str, Any]] = orjson.loads(payload).get("events") or []
    if not events:
        return NO_EVENT
    data = events[0].get("data") or {}
    return str(data.get("event_name") or data.get("screen_name") or events[0].get("event_type"))


def folder_name(text: str) -> str:
    """Make a name safe as one folder, on every storage."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", text)[:MAX_FOLDER_NAME].lstrip(".") or "_"


class FileOutput:
    """Collects deliveries into files; see `FileBundle`."""

    def __init__(self, settings: FileSettings, environment: OutputEnvironment) -> None:
        self.settings = settings
        self._environment = environment
        self._place = FilePlace(settings, environment)
        self._waiting: WaitingRows = environment.memory.setdefault(WaitingRows, WaitingRows())
        self.max_wait_ms = int(settings.roll.max_wait_s * 1000)
        self._has_one_group = (
            settings.split_by != "event_name" and settings.folder_by_date == "none"
        )

    async def start(self) -> None:
        """Remove what an earlier process left unfinished."""
        await self._place.start()

    async def stop(self) -> None:
        """Nothing stays open between bundles."""

    async def test(self) -> Outcome:
        """Write and delete a small file."""
        return await self._place.test()

    def group(self, delivery: Delivery) -> str:
        """Return the folder that a delivery belongs to, below that of its input."""
        if self._has_one_group:
            return ""
        parts = []
        if self.settings.split_by == "event_name":
            parts.append(folder_name(first_event_name(delivery.payload)))
        moment = self._folder_moment(delivery)
        if moment is not None:
            parts.append(f"{moment:%Y-%m-%d}")
        return "/".join(parts)

    def _folder_moment(self, delivery: Delivery) -> datetime | None:
        event = moment_of(delivery.first_event_ms) if delivery.first_event_ms else None
        match self.settings.folder_by_date:
            case "event_time":
                return event
            case "upload_time":
                return moment_of(delivery.created_ms)
            case "first_event_or_upload_time":
                return event or moment_of(delivery.created_ms)
            case _:
                return None

    def open_bundle(self, input_id: str, group: str, first: Delivery) -> FileBundle:
        """Begin the file of a group; it is made when the first delivery is added."""
        folder = group
        if self.settings.split_by == "input":
            folder = f"{input_id}/{group}".rstrip("/")
        name = file_name(input_id, first, self.settings.suffix)
        return FileBundle(self._place, folder, name, self.settings.roll, self._open_writer)

    def _open_writer(self, spool: Path) -> RowWriter:
        now_ms, compression = self._environment.clock.now_ms(), self.settings.compression
        match self.settings.format:
            case "ndjson":
                return NdjsonWriter(spool, now_ms, compression)
            case "csv":
                return CsvWriter(spool, now_ms, compression)
            case "parquet":
                return ParquetWriter(spool, now_ms, compression, self._waiting)


def file_problems(settings: FileSettings, kind: str) -> Iterator[SettingProblem]:
    """List what does not fit changes of audiences: they are no events, and have no columns."""
    if kind != "audience":
        return
    if settings.format != "ndjson":
        yield ("format",), "changes of audiences are written as ndjson"
    if settings.split_by == "event_name":
        yield ("split_by",), "changes of audiences have no event name"


MODULE = OutputModule(
    module="file",
    kinds=frozenset({"event", "audience", "data_warehouse"}),
    accepts_unbound=True,
    accepts_attribute_feed=True,
    settings_model=FileSettings,
    send_as_batch_default=True,
    retry_profile="file",
    open=FileOutput,
    is_tried_when_saved=True,
    problems=file_problems,
    whole_batches=lambda settings: (
        () if settings.format == "ndjson" else [(("format",), "must be ndjson")]
    ),
)
