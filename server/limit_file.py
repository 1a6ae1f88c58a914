"""Counters of rate limits in a file that the edges of one machine map into memory.

Layout: records of little-endian 64-bit integers: hash of the key (0: free), then the fields
of `Counter`. A key is looked for from the slot that its hash names onwards. The file may be
deleted while nobody runs: everybody then starts with full counters. Without a disk to have it on,
an edge counts alone.
"""

import fcntl
import logging
import mmap
import os
import struct
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Self

from actors.disk_wait import DISK_ERRORS
from server.limits import Counter

logger = logging.getLogger("headwater.limits")

# For each workspace ten times the keys of a large one (inputs, credentials, five levels).
SLOTS = 8192

_RECORD = struct.Struct("<Qqqqqq")
_HASH = struct.Struct("<Q")


class LimitFile:
    """`server.limits.Counters` shared through one file; locked with `flock` while entered."""

    def __init__(self, path: Path, workspaces: int = 1) -> None:
        """Args: `workspaces` as all edges of the machine serve; the counters of others are lost.

        Raises OSError if no file can be there; if the disk does not work it is memory instead.
        """
        self._slots = SLOTS * workspaces
        size = self._slots * _RECORD.size
        self._file: int | None = None
        try:
            self._file = _opened(path, size)
        except OSError as error:
            if error.errno not in DISK_ERRORS:
                raise
            logger.error(
                "rate limits are counted by this edge alone until it is started again",
                extra={"event": "limits_apart", "reason": error.strerror},
            )
        self._map = mmap.mmap(-1 if self._file is None else self._file, size)
        self._hashes: dict[str, int] = {}

    def __enter__(self) -> Self:
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_EX)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def read(self, key: str) -> Counter | None:
        """Return a copy of a counter, `None` if nothing was counted yet."""
        found, *fields = _RECORD.unpack_from(self._map, self._offset(self._hash(key)))
        return Counter(*fields) if found else None

    def write(self, key: str, counter: Counter) -> None:
        """Keep a counter.

        Raises:
            RuntimeError: the file has more keys than slots.
        """
        hashed = self._hash(key)
        _RECORD.pack_into(
            self._map,
            self._offset(hashed),
            hashed,
            counter.tokens_milli,
            counter.updated_ms,
            counter.second,
            counter.admitted,
            counter.before,
        )

    def close(self) -> None:
        """Give the file back."""
        self._map.close()
        if self._file is not None:
            os.close(self._file)

    def _hash(self, key: str) -> int:
        hashed = self._hashes.get(key)
        if hashed is None:
            hashed = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little") or 1
            self._hashes[key] = hashed
        return hashed

    def _offset(self, hashed: int) -> int:
        """Find the record of a key, or the free one that it would take."""
        for step in range(self._slots):
            offset = (hashed + step) % self._slots * _RECORD.size
            (found,) = _HASH.unpack_from(self._map, offset)
            if found in (hashed, 0):
                return offset
        raise RuntimeError(
            f"more than {self._slots} counters of rate limits; delete the file to shrink"
        )


def _opened(path: Path, size: int) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file).st_size != size:
            os.ftruncate(file, 0)
        # All of it now: who writes to a mapped page that a full disk has no room for is killed.
        os.posix_fallocate(file, 0, size)
        fcntl.flock(file, fcntl.LOCK_UN)
    except OSError:
        os.close(file)
        raise
    return file
