"""The output of a warehouse: deliveries are collected on disk, and loaded a session at a time."""

import asyncio
import logging
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import MsgspecError, msgpack

from actors.model.deliveries import Delivery
from actors.outputs.contract import Delivered, Outcome, Retry
from actors.outputs.environment import OutputEnvironment
from actors.outputs.warehouse.engine import Engine
from actors.outputs.warehouse.hygiene import clean
from actors.outputs.warehouse.load import LoadSettings, load, load_id
from actors.outputs.warehouse.reading import FeedTable, Reader, Readings
from actors.outputs.warehouse.settings import WarehouseSettings

logger = logging.getLogger("headwater.warehouse")

MAX_EVENTS = 20_000
MAX_BYTES = 32 * 1024 * 1024
_LENGTH = 4  # bytes before each delivery in a spool file

_encode = msgpack.Encoder().encode
_decode = msgpack.Decoder(Delivery).decode


class WarehouseOutput:
    """Collects deliveries into loads; one at a time is under way."""

    def __init__(
        self, settings: WarehouseSettings, environment: OutputEnvironment, engine: Engine
    ) -> None:
        self.max_wait_ms = settings.load_interval_minutes * 60_000
        self._settings = settings
        self._environment = environment
        self._engine = engine
        self._load_settings = LoadSettings(
            settings.schema_name,
            settings.events_threshold,
            settings.user_attribute_columns,
            settings.store_device_stamp,
            settings.max_columns,
            engine.has_indexes,
            engine.max_attribute_bytes,
        )
        self._reader = Reader(
            has_attribute_columns=settings.user_attribute_columns,
            has_device_stamp=settings.store_device_stamp,
        )
        self._turn = asyncio.Lock()
        self._cleaned_ms: int | None = None
        self._full_tables: set[str] = set()
        self._opened = 0

    async def start(self) -> None:
        """Remove what an earlier process left unfinished."""
        await asyncio.to_thread(self._start)

    def _start(self) -> None:
        folder = self._environment.spool_dir
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("*.load"):
            left.unlink()

    async def stop(self) -> None:
        """Nothing stays open between loads."""

    async def test(self) -> Outcome:
        """Log in, and see whether the schema can be written to: what is made is rolled back."""

        async def attempt() -> None:
            async with self._engine.transaction() as session:
                await load(session, self._load_settings, "test", Readings(), 0)
                raise _Undone

        try:
            return await self._reach(attempt())
        except _Undone:
            return Delivered()

    def group(self, delivery: Delivery) -> str:
        """All deliveries may be loaded together."""
        return ""

    def open_bundle(self, input_id: str, group: str, first: Delivery) -> "LoadBundle":
        """Begin a load."""
        self._opened += 1
        path = self._environment.spool_dir / f"{self._opened:08d}.load"
        return LoadBundle(self, path, self._feed(first.connection))

    def _feed(self, connection: int) -> FeedTable | None:
        terms = self._environment.place.connections.get(connection)
        name = None if terms is None else terms.settings.get("feed_table_name")
        if terms is None or name is None:
            return None
        return FeedTable(name, terms.settings["split_feed_by_event_name"])

    # -- What bundles call ------------------------------------------------------------------------

    def check(self, delivery: Delivery, feed: FeedTable | None) -> int:
        """Return how many events a delivery has.

        Raises:
            ValueError: it cannot be loaded.
        """
        readings = Readings()
        self._reader.read(delivery, feed, self._environment.clock.now_ms(), readings)
        return len(readings.events)

    async def load(self, spool: "Spool", feed: FeedTable | None) -> Outcome:
        """Load what was collected, and clean up if a day has passed since.

        Where the spool file is gone or damaged the deliveries have to be collected anew.
        """
        async with self._turn:
            now_ms = self._environment.clock.now_ms()
            try:
                name, readings = await asyncio.to_thread(self._read, spool, feed, now_ms)
            except (OSError, MsgspecError) as error:
                return Retry(f"{type(error).__name__}: {error}", is_lost=True)
            outcome = await self._reach(self._load(name, readings, now_ms))
            now_ms = self._environment.clock.now_ms()
            hygiene = self._settings.hygiene
            if (
                isinstance(outcome, Delivered)
                and hygiene.enabled
                and (self._cleaned_ms is None or now_ms >= self._cleaned_ms + 3_600_000)
            ):
                self._cleaned_ms = now_ms
                await self._clean(hygiene.days, now_ms)
            return outcome

    async def _load(self, name: str, readings: Readings, now_ms: int) -> None:
        clock = self._environment.clock
        begun_s = clock.monotonic()
        async with self._engine.transaction() as session:
            result = await load(session, self._load_settings, name, readings, now_ms)
        duration_s = clock.monotonic() - begun_s
        self._environment.count_load(sum(result.rows.values()), duration_s, clock.now_ms())
        for table in sorted(result.full_tables - self._full_tables):
            logger.error(
                "A table has no room for all attributes; some are in its JSON alone",
                extra={
                    "event": "warehouse_columns_limit",
                    "output": self._environment.output,
                    "table": table,
                },
            )
        self._full_tables |= result.full_tables

    def _read(self, spool: "Spool", feed: FeedTable | None, now_ms: int) -> tuple[str, Readings]:
        readings = Readings()
        for delivery in spool.deliveries():
            self._reader.read(delivery, feed, now_ms, readings)
        return load_id(spool.deliveries()), readings

    async def _clean(self, days: int, now_ms: int) -> None:
        outcome = await self._reach(clean(self._engine, self._settings.schema_name, days, now_ms))
        if not isinstance(outcome, Delivered):
            logger.warning(
                "Old rows could not be deleted; it is tried again with a later load",
                extra={
                    "event": "warehouse_hygiene_failed",
                    "output": self._environment.output,
                    "error": outcome.excerpt,
                },
            )

    async def _reach(self, work: Coroutine[Any, Any, Any]) -> Outcome:
        try:
            await work
        except Exception as error:
            outcome = self._engine.outcome_of(error)
            if outcome is None:
                raise
            return outcome
        return Delivered()


class _Undone(Exception):
    """Rolls a test back."""


class Spool:
    """Deliveries in a file of this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, deliveries: Sequence[bytes]) -> None:
        """Append encoded deliveries."""
        with self._path.open("ab") as file:
            for encoded in deliveries:
                file.write(len(encoded).to_bytes(_LENGTH))
                file.write(encoded)

    def deliveries(self) -> Iterator[Delivery]:
        """Read all of them, in the order in which they were written."""
        with self._path.open("rb") as file:
            while length := file.read(_LENGTH):
                yield _decode(file.read(int.from_bytes(length)))

    def remove(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)


class LoadBundle:
    """One load on its way."""

    def __init__(self, output: WarehouseOutput, path: Path, feed: FeedTable | None) -> None:
        """Begin with nothing. `feed`: where events go, if their connection says so."""
        self._output = output
        self._feed = feed
        self._spool = Spool(path)
        self._events = 0
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        """It has as much as one transaction should carry."""
        return self._events >= MAX_EVENTS or self._bytes >= MAX_BYTES

    async def add(self, deliveries: Sequence[Delivery]) -> int:
        """Take deliveries until the load is full; one that cannot be loaded raises `ValueError`."""
        return await asyncio.to_thread(self._add, deliveries)

    def _add(self, deliveries: Sequence[Delivery]) -> int:
        taken: list[bytes] = []
        for delivery in deliveries:
            if self.is_full:
                break
            self._events += self._output.check(delivery, self._feed)
            taken.append(_encode(delivery))
            self._bytes += len(taken[-1])
        self._spool.write(taken)
        return len(taken)

    async def send(self) -> Outcome:
        """Load what was added."""
        outcome = await self._output.load(self._spool, self._feed)
        if isinstance(outcome, Delivered):
            await self.discard()
        return outcome

    async def discard(self) -> None:
        """Remove the spool file."""
        await asyncio.to_thread(self._spool.remove)
