"""Output `file`: batches or events in files, local or in an object store.

Source: spec/connections.md, 7.2. Whatever blocks runs in a thread.
"""

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from actors.model import Delivery
from actors.outputs.contract import (
    Delivered,
    Fatal,
    Outcome,
    OutputEnvironment,
    OutputModule,
    Retry,
)
from actors.outputs.egress import EgressRefused
from actors.outputs.file_columns import moment_of
from actors.outputs.file_formats import RowWriter, open_writer
from actors.outputs.file_settings import FileSettings
from actors.outputs.file_storage import Finished, Storage, open_storage

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
        self.environment = environment
        self.storage: Storage  # from start() on
        self.max_wait_ms = int(settings.roll.max_wait_s * 1000)
        self._has_one_group = (
            settings.split_by != "event_name" and settings.folder_by_date == "none"
        )

    async def start(self) -> None:
        """Remove what an earlier process left unfinished."""
        self.storage = open_storage(self.settings, self.environment.spool_dir)
        await asyncio.to_thread(self.storage.clean)

    async def stop(self) -> None:
        """Nothing stays open between bundles."""

    async def test(self) -> str | None:
        """Write and delete a small file; return the storage's error, if there is one."""
        moment = datetime.fromtimestamp(self.environment.clock.now_ms() / 1000, UTC)
        name = f"headwater_verification_{moment:%Y%m%d-%H%M%S}.txt"
        try:
            await self.check_hosts()
            await asyncio.to_thread(self.storage.verify, name)
        except Exception as error:  # every storage library raises errors of its own
            return f"{type(error).__name__}: {error}"
        return None

    async def check_hosts(self) -> None:
        """Hold what the settings say of hosts against the egress rules.

        Raises:
            EgressRefused: one of them is not an allowed target.
            OSError: a name cannot be resolved now.
        """
        for host, port in self.storage.hosts:
            await self.environment.egress.check_host(host, port)

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

    def open_bundle(self, input_id: str, group: str, first: Delivery) -> "FileBundle":
        """Begin the file of a group; it is made when the first delivery is added."""
        folder = group
        if self.settings.split_by == "input":
            folder = f"{input_id}/{group}".rstrip("/")
        name = file_name(input_id, first, self.settings.suffix)
        return FileBundle(self, folder, name)


class FileBundle:
    """One file: written row by row under a temporary name, published by `send`."""

    def __init__(self, output: FileOutput, folder: str, name: str) -> None:
        self._output = output
        self._folder = folder
        self._name = name
        self._spool: Path | None = None
        self._writer: RowWriter | None = None
        self._finished: Finished | None = None

    @property
    def is_full(self) -> bool:
        """The file has reached its size or its number of rows."""
        roll = self._output.settings.roll
        writer = self._writer
        return writer is not None and (
            writer.rows >= roll.max_rows or writer.size() >= roll.max_bytes
        )

    async def add(self, deliveries: Sequence[Delivery]) -> int:
        """Write deliveries until the file is full."""
        return await asyncio.to_thread(self._add, deliveries)

    def _add(self, deliveries: Sequence[Delivery]) -> int:
        if self._writer is None:
            output = self._output
            self._spool = output.storage.spool(self._folder, self._name)
            now_ms = output.environment.clock.now_ms()
            self._writer = open_writer(output.settings, self._spool, now_ms)
        for index, delivery in enumerate(deliveries):
            if self.is_full:
                return index
            self._writer.write(delivery)
        return len(deliveries)

    async def send(self) -> Outcome:
        """Publish the file and enter it in the manifest."""
        try:
            await self._output.check_hosts()
            await asyncio.to_thread(self._send)
        except EgressRefused as refused:
            return Fatal("egress_refused", str(refused))
        except Exception as error:  # every storage library raises errors of its own
            return Retry(f"{type(error).__name__}: {error}")
        return Delivered()

    def _send(self) -> None:
        assert self._spool is not None, "a bundle is sent with at least one delivery"
        assert self._writer is not None, "likewise"
        if self._finished is None:
            self._finished = self._writer.finish(f"{self._folder}/{self._name}".lstrip("/"))
        self._output.storage.publish(self._spool, self._finished)

    async def discard(self) -> None:
        """Close and remove the temporary file."""
        if self._writer is not None:
            await asyncio.to_thread(self._discard)

    def _discard(self) -> None:
        assert self._writer is not None, "nothing was added"
        assert self._spool is not None, "likewise"
        if self._finished is None:
            self._writer.abandon()
        self._spool.unlink(missing_ok=True)


MODULE = OutputModule(
    module="file",
    kinds=frozenset({"event"}),
    accepts_unbound=True,
    settings_model=FileSettings,
    send_as_batch_default=True,
    retry_profile="file",
    open=FileOutput,
)
