"""Collects what is known of people into files for them (spec/privacy.md, 5.1)."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Protocol
from zipfile import ZIP_DEFLATED, ZipFile

import msgspec
from msgspec import Struct

from actors.chunks import read_chunk
from actors.errors import StoreFull
from actors.model.workspaces import Environment
from actors.privacy.requests import Subject
from actors.store.keys import slot_of_mpid
from actors.store.slots import slots_of

PART_BYTES = 50 * 1000 * 1000
_SHOWN = (
    "device_identities",
    "user_identities",
    "user_attributes",
    "audience_memberships",
    "consent_state",
)

_encode = msgspec.json.Encoder().encode


class Place(Struct, frozen=True, array_like=True):
    """Where to go on in a user's batches: log ids of both chains, and a key of the copies."""

    live: int
    historical: int
    copy: bytes


class ExportPage(Struct, frozen=True, array_like=True):
    """Batches as lines of JSON, and where to go on, `None` at the end."""

    lines: list[bytes]
    next: Place | None


class ExportingShard(Protocol):
    """What is asked of a shard."""

    async def export_batches(
        self, environment: Environment, mpid: int, place: Place | None
    ) -> ExportPage | None:
        """See `actors.shard_exports.ShardExports`."""
        ...

    async def profile(
        self, mpid: int, environment: Environment | None, fields: Sequence[str]
    ) -> dict[str, Any] | None:
        """See `actors.shard_views.ShardViews`."""
        ...


class Exporter:
    """Writes results of requests into a folder, and reads them."""

    def __init__(self, folder: Path, shards: Sequence[ExportingShard]) -> None:
        """Args: `folder`, made when there is a result; `shards`: all of them, in order."""
        self._folder = folder
        self._shards = shards

    async def export(
        self, request_id: str, subjects: Sequence[Subject], *, has_profiles: bool
    ) -> None:
        """Write what is known of some people, in the place of what was written before.

        Raises:
            ShardUnavailable: a shard did not answer; nothing was written.
            StoreFull: likewise, for want of room.
        """
        path = self._path(request_id)
        temporary = path.with_suffix(".tmp")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                with ZipFile(file, "w", ZIP_DEFLATED) as archive:
                    await self._write(archive, request_id, subjects, has_profiles=has_profiles)
                file.flush()
                os.fsync(file.fileno())  # the request is not completed before it is there
            temporary.replace(path)
        except OSError as error:
            raise StoreFull(f"a result cannot be written: {error.strerror}") from error
        finally:
            temporary.unlink(missing_ok=True)

    async def read(self, request_id: str, offset: int) -> bytes:
        """Return the next bytes of a result; none at its end, or if it is gone."""
        return await read_chunk(self._path(request_id), offset)

    def remove(self, request_id: str) -> None:
        """Delete a result, if there is one."""
        self._path(request_id).unlink(missing_ok=True)

    async def _write(
        self,
        archive: ZipFile,
        request_id: str,
        subjects: Sequence[Subject],
        *,
        has_profiles: bool,
    ) -> None:
        profiles = []
        if has_profiles:
            found = [await self._profile(*subject) for subject in subjects]
            profiles = [each for each in found if each is not None]
        if profiles:
            archive.writestr("profile.jsonl", b"".join(each + b"\n" for each in profiles))
        is_empty = not profiles
        for number, shard in enumerate(self._shards):
            own = [each for each in subjects if self._owner(each[1]) == number]
            parts = _Parts(archive, f"{request_id}-{number}")
            try:
                for environment, mpid in own:
                    place: Place | None = None
                    while page := await shard.export_batches(environment, mpid, place):
                        await asyncio.to_thread(parts.write, page.lines)
                        place = page.next
                        if place is None:
                            break
            finally:
                parts.close()
            is_empty = is_empty and not parts.count
        if is_empty:
            archive.writestr("empty.txt", "There is no data.\n")

    async def _profile(self, environment: Environment, mpid: int) -> bytes | None:
        shard = self._shards[self._owner(mpid)]
        shown = await shard.profile(mpid, environment, _SHOWN)
        if shown is None:
            return None
        del shown["mpid"]
        return _encode({"id": str(mpid), **shown})

    def _owner(self, mpid: int) -> int:
        return slots_of(self._shards).shard_of(slot_of_mpid(mpid))

    def _path(self, request_id: str) -> Path:
        return self._folder / f"{request_id}.zip"


class _Parts:
    """The files of one shard in an archive; a new one is begun when one is full."""

    def __init__(self, archive: ZipFile, name: str) -> None:
        self.count = 0
        self._archive = archive
        self._name = name
        self._size = 0
        self._open: IO[bytes] | None = None

    def write(self, lines: Sequence[bytes]) -> None:
        """Add lines."""
        for line in lines:
            if self._open is None or self._size + len(line) >= PART_BYTES:
                self.close()
                self._open = self._archive.open(
                    f"{self._name}-{self.count}.jsonl", "w", force_zip64=True
                )
                self.count += 1
                self._size = 0
            assert self._open is not None, "it was just opened"
            self._open.write(line + b"\n")
            self._size += len(line) + 1

    def close(self) -> None:
        """End the last file."""
        if self._open is not None:
            self._open.close()
            self._open = None
