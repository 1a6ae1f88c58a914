"""How rows become files, and the formats of lines: NDJSON and CSV (spec/connections.md, 7.2)."""

import csv
import fcntl
import gzip
import hashlib
import io
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

import orjson
import zstandard

from actors.model.deliveries import Delivery
from actors.outputs.file_columns import (
    COLUMNS,
    CONVERSIONS,
    as_integer,
)
from actors.outputs.file_rows import Row, rows
from actors.outputs.file_storage import Finished, hour_of
from actors.outputs.file_values import ColumnReader

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

BUFFER_BYTES = 256 * 1024  # a call of the operating system for this much, not for every few rows
GZIP_LEVEL = 6
ZSTD_LEVEL = 3


class _HashedFile(io.FileIO):
    """A file that hashes what is written, so that nobody has to read it for that."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "wb")
        self.digest = hashlib.sha256()
        self.is_abandoned = False

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write, and hash what was written; into an abandoned file nothing."""
        if self.is_abandoned:
            return memoryview(data).nbytes
        written = super().write(data)
        self.digest.update(memoryview(data)[:written])
        return written


class RowWriter(ABC):
    """Writes one file. Subclasses turn a delivery into bytes of their format.

    The file is locked while it is written, so that a starting process can tell it from one that was
    left behind. Not thread-safe: one thread at a time.
    """

    def __init__(self, path: Path, loaded_ms: int) -> None:
        self.rows = 0
        self._loaded_ms = loaded_ms
        self._min_ts: int | None = None
        self._max_ts: int | None = None
        self._hashed = _HashedFile(path)
        self._raw: IO[bytes] = io.BufferedWriter(self._hashed, BUFFER_BYTES)
        fcntl.flock(self._raw, fcntl.LOCK_EX)

    @abstractmethod
    def write(self, delivery: Delivery) -> None:
        """Add one delivery."""

    def size(self) -> int:
        """Return about how many bytes the file will have if it is finished now."""
        return self._raw.tell()

    def finish(self, path: str) -> Finished:
        """Complete the file and make it last on this disk; `path` is where it will be known.

        Whatever it raises, the file can only be abandoned then: it may have half of its end.
        """
        self._close_format()
        self._raw.flush()
        os.fsync(self._raw.fileno())
        size = self._raw.tell()
        self._raw.close()
        digest = self._hashed.digest.hexdigest()
        hour = hour_of(path)
        return Finished(path, self.rows, size, self._min_ts, self._max_ts, digest, hour)

    def abandon(self) -> None:
        """Close the file as it is, and write nothing more: there may be no room."""
        self._hashed.is_abandoned = True
        self._raw.close()

    def _close_format(self) -> None:  # noqa: B027  # not every format wants anything
        """Write what the format wants at its end."""

    def _count(self, time_ms: int | None) -> None:
        self.rows += 1
        if time_ms is None:
            return
        if self._min_ts is None or time_ms < self._min_ts:
            self._min_ts = time_ms
        if self._max_ts is None or time_ms > self._max_ts:
            self._max_ts = time_ms


class _Compressor(Protocol):
    def write(self, data: bytes, /) -> object: ...

    def close(self) -> None: ...


def _compressed(raw: IO[bytes], compression: str) -> _Compressor | IO[bytes]:
    """Wrap a file; closing the wrapper leaves the file open."""
    if compression == "gzip":
        stream = gzip.GzipFile(
            filename="", mode="wb", fileobj=raw, compresslevel=GZIP_LEVEL, mtime=0
        )
        return cast(_Compressor, stream)
    if compression == "zstd":
        compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
        return cast(_Compressor, compressor.stream_writer(raw, closefd=False))
    return raw


class _LineWriter(RowWriter):
    """Writes lines of text, compressed or not."""

    def __init__(self, path: Path, loaded_ms: int, compression: str) -> None:
        super().__init__(path, loaded_ms)
        self._stream = _compressed(self._raw, compression)
        self._line_bytes = 0

    def size(self) -> int:
        """Return the bytes written; those of plain lines are known without asking the file."""
        return self._line_bytes if self._stream is self._raw else super().size()

    def _put(self, lines: bytes) -> None:
        self._stream.write(lines)
        self._line_bytes += len(lines)

    def _close_format(self) -> None:
        if self._stream is not self._raw:
            self._stream.close()


class NdjsonWriter(_LineWriter):
    """One payload per line, as it is sent elsewhere."""

    def write(self, delivery: Delivery) -> None:
        """Add one line."""
        self._put(delivery.payload)
        self._put(b"\n")
        self._count(delivery.first_event_ms or delivery.created_ms)


class CsvWriter(_LineWriter):
    """One event per line, after a line of names; maps as JSON text."""

    def __init__(self, path: Path, loaded_ms: int, compression: str) -> None:
        super().__init__(path, loaded_ms, compression)
        self._buffer = io.StringIO(newline="")
        self._lines = csv.writer(self._buffer)
        self._lines.writerow([name for name, _, _ in COLUMNS])

    def write(self, delivery: Delivery) -> None:
        """Add a line per event."""
        for row in rows(delivery.payload, delivery.delivery_id, self._loaded_ms):
            self._lines.writerow([_csv_text(value) for value in values_of(row)])
            self._count(event_ms(row))
        self._drain()

    def _drain(self) -> None:
        self._put(self._buffer.getvalue().encode())
        self._buffer.seek(0)
        self._buffer.truncate()

    def _close_format(self) -> None:
        self._drain()
        super()._close_format()


def _csv_text(value: Any) -> Any:
    if isinstance(value, bool | dict):
        return orjson.dumps(value).decode()
    return value


values_of = ColumnReader(CONVERSIONS).values


def event_ms(row: Row) -> int | None:
    """Return when a row's event happened."""
    return as_integer(row.data.get("timestamp_unixtime_ms"))
