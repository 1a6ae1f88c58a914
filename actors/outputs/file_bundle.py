"""How outputs write files: where to, and one file on its way there (spec/connections.md, 7.2).

Whatever blocks runs in a thread.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from actors.model.deliveries import Delivery
from actors.outputs.contract import Delivered, Fatal, Outcome, Retry
from actors.outputs.egress import refusal_behind
from actors.outputs.environment import OutputEnvironment
from actors.outputs.file_formats import RowWriter
from actors.outputs.file_settings import Roll, StorageSettings
from actors.outputs.file_storage import Finished, SpoolLost, Storage, open_storage


class FilePlace:
    """The storage of one output, once it has started."""

    def __init__(self, settings: StorageSettings, environment: OutputEnvironment) -> None:
        self.storage: Storage  # from start() on
        self._settings = settings
        self._environment = environment

    async def start(self) -> None:
        """Remove what an earlier process left unfinished."""
        environment = self._environment
        self.storage = open_storage(self._settings, environment.spool_dir, environment.egress)
        await asyncio.to_thread(self.storage.clean)

    async def test(self) -> Outcome:
        """Write and delete a small file."""
        moment = datetime.fromtimestamp(self._environment.clock.now_ms() / 1000, UTC)
        name = f"headwater_verification_{moment:%Y%m%d-%H%M%S}.txt"
        return await self.reach(partial(self.storage.verify, name))

    async def reach(self, use: Callable[[], None]) -> Outcome:
        """Use the storage, in a thread, if the egress rules allow the hosts that it has."""
        try:
            for host, port, is_plain in self.storage.hosts:
                await self._environment.egress.check_host(host, port, listed_only=is_plain)
            await asyncio.to_thread(use)
        except SpoolLost as lost:
            return Retry(str(lost), is_lost=True)
        except Exception as error:  # every storage library raises errors of its own
            if (refused := refusal_behind(error)) is not None:
                return Fatal("egress_refused", str(refused))
            return Retry(f"{type(error).__name__}: {error}")
        return Delivered()


class FileBundle:
    """One file: written row by row under a temporary name, published by `send`."""

    def __init__(
        self,
        place: FilePlace,
        folder: str,
        name: str,
        roll: Roll,
        open_writer: Callable[[Path], RowWriter],
    ) -> None:
        """Args: `open_writer` begins the file, when the first delivery is added."""
        self._place = place
        self._folder = folder
        self._name = name
        self._roll = roll
        self._open_writer = open_writer
        self._spool: Path | None = None
        self._writer: RowWriter | None = None
        self._finished: Finished | None = None

    @property
    def is_full(self) -> bool:
        """The file has reached its size or its number of rows."""
        writer = self._writer
        return writer is not None and (
            writer.rows >= self._roll.max_rows or writer.size() >= self._roll.max_bytes
        )

    async def add(self, deliveries: Sequence[Delivery]) -> int:
        """Write deliveries until the file is full."""
        return await asyncio.to_thread(self._add, deliveries)

    def _add(self, deliveries: Sequence[Delivery]) -> int:
        if self._writer is None:
            self._spool = self._place.storage.spool(self._folder, self._name)
            self._writer = self._open_writer(self._spool)
        for index, delivery in enumerate(deliveries):
            if self.is_full:
                return index
            self._writer.write(delivery)
        return len(deliveries)

    async def send(self) -> Outcome:
        """Publish the file and enter it in the manifest; one without rows is none."""
        return await self._place.reach(self._send)

    def _send(self) -> None:
        assert self._spool is not None, "a bundle is sent with at least one delivery"
        assert self._writer is not None, "likewise"
        if self._writer.rows == 0:
            self._discard()
            return
        if self._finished is None:
            self._finished = self._finish(self._writer)
        self._place.storage.publish(self._spool, self._finished)

    def _finish(self, writer: RowWriter) -> Finished:
        try:
            return writer.finish(f"{self._folder}/{self._name}".lstrip("/"))
        except Exception as error:  # formats have errors of their own, and none can end twice
            raise SpoolLost(f"{type(error).__name__}: {error}") from error

    async def discard(self) -> None:
        """Close and remove the temporary file."""
        if self._writer is not None:
            await asyncio.to_thread(self._discard)

    def _discard(self) -> None:
        assert self._writer is not None, "nothing was added"
        assert self._spool is not None, "likewise"
        try:
            if self._finished is None:
                self._writer.abandon()
        finally:
            self._spool.unlink(missing_ok=True)
