"""Files of an audience's members, made in the background (spec/audiences.md, 11)."""

import logging
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from actors.audiences.archive import ArchiveWriter, archive_name, table_name
from actors.audiences.core import Core
from actors.audiences.member_pages import PAGE, pages_in_order
from actors.audiences.objects import Audience, Download
from actors.audiences.rules import RUNNING, refused
from actors.audiences.variations import variation, with_control
from actors.chunks import read_chunk
from actors.once import answer_with

logger = logging.getLogger("headwater.audiences")

KEPT_MS = 7 * 86_400_000
ID_BITS = 128


class Downloads:
    """Takes orders for files, makes them one after the other, and keeps them for a week."""

    def __init__(self, core: Core, folder: Path) -> None:
        """Args: `folder`: of the files; made when there is one."""
        self._core = core
        self._folder = folder
        self._recalled = 0  # how often `expire_downloads` was called

    async def create_download(
        self,
        number: int,
        identity_types: tuple[str, ...],
        variations: tuple[str, ...] | None,
    ) -> Download | None:
        """Order a file of an audience's members; `None` if there is no such audience.

        Args:
            number: of the audience.
            identity_types: at least one.
            variations: a table for each of these; `None` for one of all members.

        Raises:
            AudienceRefused: a standard audience, one that is not active, an unknown variation.
        """
        core = self._core
        audience = core.state.audiences.get(number)
        if audience is None:
            return None
        if audience.type == "standard" or audience.status not in RUNNING:
            message = "Only active real-time and static audiences can be downloaded."
            raise refused("INVALID_STATE", message)
        test = audience.test
        known = set() if test is None else {each.name for each in with_control(test)}
        for index, name in enumerate(variations or ()):
            if name not in known:
                message = "The audience's A/B test has no such variation."
                raise refused("REFERENCE_NOT_FOUND", message, f"/variants/{index}")
        ordered = Download(
            id=f"{core.randomness.bits(ID_BITS):032x}",
            audience=number,
            identity_types=tuple(dict.fromkeys(identity_types)),
            variations=None if variations is None else tuple(dict.fromkeys(variations)),
            status="pending",
            created_ms=core.clock.now_ms(),
        )
        with core.changing() as changed:
            changed.downloads[ordered.id] = ordered
            answer_with(ordered)
        core.woken.set()
        return ordered

    async def download(self, number: int, download_id: str) -> Download | None:
        """Return one order of an audience."""
        found = self._core.state.downloads.get(download_id)
        return found if found is not None and found.audience == number else None

    async def read_download(self, download_id: str, offset: int) -> bytes:
        """Return the next bytes of a file from an offset on; none at its end, or if it is gone."""
        found = self._core.state.downloads.get(download_id)
        if found is None or found.status != "ready" or found.file is None:
            return b""
        return await read_chunk(self._folder / found.file, offset)

    async def make_downloads(self) -> None:
        """Make the files that were ordered, and remove those that are old.

        Raises:
            ShardUnavailable: a shard did not answer; the next call begins the file anew.
            StoreFull: likewise, for want of room.
        """
        core = self._core
        self._sweep()
        for each in sorted(core.state.downloads.values(), key=lambda each: each.created_ms):
            if each.status == "ready" and core.clock.now_ms() - each.created_ms > KEPT_MS:
                self._keep_download(replace(each, status="expired", file=None))
                (self._folder / str(each.file)).unlink(missing_ok=True)
            elif each.status == "pending":
                await self._make_download(each)

    def expire_downloads(self, workspace: int) -> int:
        """Remove the files that users of a workspace may be in; they can be ordered again.

        One that is being made is made anew.

        Returns:
            How many files there were.

        Raises:
            StoreFull: none was removed.
        """
        audiences = self._core.state.audiences
        found = [
            each
            for each in self._core.state.downloads.values()
            if each.status == "ready"
            and (each.audience not in audiences or workspace in audiences[each.audience].workspaces)
        ]
        self._recalled += 1
        if found:
            with self._core.changing() as changed:
                for each in found:
                    changed.downloads[each.id] = replace(each, status="expired", file=None)
        for each in found:
            (self._folder / str(each.file)).unlink(missing_ok=True)
        return len(found)

    def _sweep(self) -> None:
        """Remove files that nobody can have: their process died, or could not keep that they are
        there. They have identities of users, and may be what the disk is full of."""
        if self._folder.exists():
            kept = {each.file for each in self._core.state.downloads.values()}
            for path in self._folder.iterdir():
                if path.name not in kept:
                    path.unlink(missing_ok=True)

    async def _make_download(self, ordered: Download) -> None:
        audience = self._core.state.audiences.get(ordered.audience)
        if audience is None:
            self._keep_download(replace(ordered, status="failed"))
            return
        now_ms, recalled = self._core.clock.now_ms(), self._recalled
        name = archive_name(ordered.id, now_ms)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            writer = ArchiveWriter(
                self._folder / name, ordered.id, audience.number, ordered.identity_types, now_ms
            )
            try:
                for wanted in ordered.variations or (None,):
                    writer.begin(table_name(audience.number, audience.name, wanted, now_ms))
                    await self._write_members(audience, wanted, ordered, writer)
                size = writer.finish()
            finally:
                writer.close()
        except OSError:
            logger.exception(
                "a download could not be written",
                extra={"event": "download_failed", "download": ordered.id},
            )
            self._keep_download(replace(ordered, status="failed"))
            return
        if recalled != self._recalled:  # somebody may be in it who was erased meanwhile
            (self._folder / name).unlink(missing_ok=True)
            self._core.woken.set()
            return
        self._keep_download(replace(ordered, status="ready", file=name, size_bytes=size))

    async def _write_members(
        self, audience: Audience, wanted: str | None, ordered: Download, writer: ArchiveWriter
    ) -> None:
        """Write the members of all shards in the order of their MPIDs."""
        exports = [
            partial(shard.export_members, audience.number, ordered.identity_types)
            for shard in self._core.shards
        ]
        async for page in pages_in_order(exports, PAGE):
            for row in page:
                if wanted is None or (
                    audience.test is not None
                    and variation(audience.number, audience.test, row.mpid) == wanted
                ):
                    writer.add(row)

    def _keep_download(self, download: Download) -> None:
        with self._core.changing() as changed:
            changed.downloads[download.id] = download
