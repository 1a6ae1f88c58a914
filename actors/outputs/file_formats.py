"""The formats of the output `file`: NDJSON, CSV and Parquet (spec/connections.md, 7.2)."""

import csv
import fcntl
import gzip
import hashlib
import io
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import orjson
import zstandard

from actors.model.deliveries import Delivery
from actors.outputs.file_columns import (
    COLUMNS,
    CONVERSIONS,
    OF_EVENT,
    Kind,
    as_integer,
)
from actors.outputs.file_rows import Row, rows
from actors.outputs.file_settings import FileSettings
from actors.outputs.file_storage import Finished, hour_of
from actors.outputs.file_values import ColumnReader

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

BUFFER_BYTES = 256 * 1024  # a call of the operating system for this much, not for every few rows
PARQUET_ROW_GROUP = 10_000
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
            self._lines.writerow([_csv_text(value) for value in _values(row)])
            self._count(_event_ms(row))
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


_values = ColumnReader(CONVERSIONS).values


def _event_ms(row: Row) -> int | None:
    return as_integer(row.data.get("timestamp_unixtime_ms"))


class ParquetWriter(RowWriter):
    """One event per row, in row groups."""

    def __init__(self, path: Path, loaded_ms: int, compression: str) -> None:
        super().__init__(path, loaded_ms)
        # Importing it takes 0.2 s and 40 MB: only processes that write Parquet pay for it.
        import pyarrow
        import pyarrow.parquet

        types: dict[Kind, Any] = {
            "text": pyarrow.string(),
            "integer": pyarrow.int64(),
            "number": pyarrow.float64(),
            "boolean": pyarrow.bool_(),
            "date": pyarrow.date32(),
            "time": pyarrow.timestamp("ms", tz="UTC"),
            "map": pyarrow.map_(pyarrow.string(), pyarrow.string()),
        }
        self._record_batch = pyarrow.RecordBatch
        self._array = pyarrow.array
        self._map, self._text, self._offset = types["map"], types["text"], pyarrow.int32()
        self._map_array = pyarrow.MapArray
        self._schema = pyarrow.schema([(name, types[kind]) for name, kind, _ in COLUMNS])
        self._writer = pyarrow.parquet.ParquetWriter(
            self._raw, self._schema, compression=compression
        )
        self._waiting: list[list[Any]] = []  # rows
        self._batches: list[tuple[int, int]] = []  # of each its first row, and how many it has
        self._waiting_bytes = 0
        self._drained_bytes = self._raw.tell()

    def write(self, delivery: Delivery) -> None:
        """Add a row per event."""
        of_batch = list(rows(delivery.payload, delivery.delivery_id, self._loaded_ms))
        found = [_values(row) for row in of_batch]
        self._batches.append((len(self._waiting), len(found)))
        self._waiting += found
        for row in of_batch:
            self._count(_event_ms(row))
        self._waiting_bytes += len(delivery.payload)
        if len(self._waiting) >= PARQUET_ROW_GROUP:
            self._drain()

    def size(self) -> int:
        """Return the bytes written, and those of the payloads that wait for their row group."""
        return self._drained_bytes + self._waiting_bytes

    def abandon(self) -> None:
        """Close the file; its footer, which closing writes, is thrown away with it."""
        self._hashed.is_abandoned = True
        self._writer.close()
        super().abandon()

    def _drain(self) -> None:
        if not self._waiting:
            return
        # What the rows of a batch share is converted once, and repeated as arrays are.
        of_rows = list(zip(*self._waiting, strict=True))
        of_batches = list(zip(*[self._waiting[first] for first, _ in self._batches], strict=True))
        counts = [count for _, count in self._batches]
        repeats = self._array(np.repeat(np.arange(len(counts)), counts))
        arrays = []
        for at, field in enumerate(self._schema):
            column = of_rows[at] if at in OF_EVENT else of_batches[at]
            is_map = field.type == self._map
            array = self._maps(column) if is_map else self._array(column, field.type)
            arrays.append(array if at in OF_EVENT else array.take(repeats))
        self._writer.write_batch(self._record_batch.from_arrays(arrays, schema=self._schema))
        self._batches.clear()
        self._waiting.clear()
        self._waiting_bytes = 0
        self._drained_bytes = self._raw.tell()  # asks the system, too dear for every delivery

    def _maps(self, column: Sequence[dict[str, str | None] | None]) -> Any:
        """Return an array of maps, without making an object of each entry."""
        offsets: list[int | None] = []  # null where there is no map
        names: list[str] = []
        texts: list[str | None] = []
        for each in column:
            offsets.append(None if each is None else len(names))
            if each is not None:
                names.extend(each)
                texts.extend(each.values())
        offsets.append(len(names))
        starts = self._array(offsets, self._offset)
        keys, values = self._array(names, self._text), self._array(texts, self._text)
        return self._map_array.from_arrays(starts, keys, values)

    def _close_format(self) -> None:
        self._drain()
        self._writer.close()


def open_writer(settings: FileSettings, path: Path, loaded_ms: int) -> RowWriter:
    """Begin a file in the format of the settings."""
    writers: dict[str, Callable[[Path, int, str], RowWriter]] = {
        "ndjson": NdjsonWriter,
        "csv": CsvWriter,
        "parquet": ParquetWriter,
    }
    return writers[settings.format](path, loaded_ms, settings.compression)
