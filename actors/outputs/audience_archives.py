"""All members of an audience in one ZIP (spec/connections.md, 7.6; spec/audiences.md, 11)."""

import asyncio
import fcntl
import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from actors.audiences.answers import MemberRow
from actors.audiences.archive import ArchiveWriter, archive_name, table_name
from actors.model.deliveries import Delivery
from actors.outputs.contract import Delivered, Outcome, RequestLimits, Retry
from actors.outputs.environment import OutputEnvironment
from actors.outputs.file_bundle import FilePlace
from actors.outputs.file_settings import StorageSettings
from actors.outputs.file_storage import Finished
from actors.outputs.snapshots import Snapshot

MOST_CHANGES = 1000  # that one call lets go of


class AudienceArchiveOutput:
    """Writes archives; each is put together in the spool folder, then copied to its place."""

    def __init__(
        self,
        settings: StorageSettings,
        environment: OutputEnvironment,
        interval_ms: int,
        identities: tuple[str, ...],
    ) -> None:
        self.limits = RequestLimits(max_deliveries=MOST_CHANGES)
        self.snapshot_interval_ms = interval_ms
        self.snapshot_identities = identities
        self._place = FilePlace(settings, environment)
        self._folder = environment.spool_dir.with_name(f"{environment.spool_dir.name}-archives")

    async def start(self) -> None:
        """Remove what an earlier process left unfinished."""
        await self._place.start()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def stop(self) -> None:
        """Nothing stays open between archives."""

    async def test(self) -> Outcome:
        """Write and delete a small file."""
        return await self._place.test()

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Let go of changes: the next archive has what they came to."""
        return [Delivered() for _ in deliveries]

    async def write_snapshot(
        self, snapshot: Snapshot, pages: AsyncIterator[Sequence[MemberRow]]
    ) -> Outcome:
        """Write an archive, and put it where it belongs.

        All but the last step blocks, a page at a time: nothing else of this output is waiting.
        """
        path = self._folder / archive_name(snapshot.id, snapshot.moment_ms)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            writer = ArchiveWriter(
                path, snapshot.id, snapshot.audience, self.snapshot_identities, snapshot.moment_ms
            )
            try:
                table = table_name(snapshot.audience, snapshot.name, None, snapshot.moment_ms)
                writer.begin(table)
                async for page in pages:
                    for row in page:
                        writer.add(row)
                writer.finish()
            finally:
                writer.close()
            return await self._place.reach(partial(self._publish, path, snapshot, writer.rows))
        except OSError as error:
            return Retry(f"{type(error).__name__}: {error}")
        finally:
            path.unlink(missing_ok=True)

    def _publish(self, path: Path, snapshot: Snapshot, rows: int) -> None:
        """Copy an archive beside its place; the file is locked as long as it is not complete."""
        spool = self._place.storage.spool("", path.name)
        with path.open("rb") as source, spool.open("wb") as target:
            fcntl.flock(target, fcntl.LOCK_EX)
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())
            source.seek(0)
            digest = hashlib.file_digest(source, "sha256").hexdigest()
            size = target.tell()
        hour = f"{datetime.fromtimestamp(snapshot.moment_ms / 1000, UTC):%Y%m%d%H}"
        finished = Finished(path.name, rows, size, None, None, digest, hour)
        self._place.storage.publish(spool, finished)
