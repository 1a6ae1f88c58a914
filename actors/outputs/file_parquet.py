"""Parquet files of the output `file` (spec/connections.md, 7.2)."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from actors.model.deliveries import Delivery
from actors.outputs.file_columns import COLUMNS, OF_EVENT, Kind
from actors.outputs.file_formats import RowWriter, event_ms, values_of
from actors.outputs.file_rows import rows
from actors.outputs.file_waiting import ROW_BYTES, WaitingRows

PARQUET_ROW_GROUP = 10_000


class ParquetWriter(RowWriter):
    """One event per row, in row groups.

    Another thread, at another file, may have it write what waits: then it is locked.
    """

    def __init__(self, path: Path, loaded_ms: int, compression: str, waiting: WaitingRows) -> None:
        """`waiting`: of all files of the output."""
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
        self._all_waiting = waiting
        self._lock = threading.Lock()
        self._failure: Exception | None = None  # of a thread that is at another file

    def write(self, delivery: Delivery) -> None:
        """Add a row per event."""
        of_batch = list(rows(delivery.payload, delivery.delivery_id, self._loaded_ms))
        found = [values_of(row) for row in of_batch]
        with self._lock:
            self._check()
            self._batches.append((len(self._waiting), len(found)))
            self._waiting += found
            for row in of_batch:
                self._count(event_ms(row))
            self._waiting_bytes += len(delivery.payload)
            if len(self._waiting) >= PARQUET_ROW_GROUP:
                self._drain()
            else:
                self._note()
        self._all_waiting.relieve()

    def drain_if_idle(self) -> None:
        """Write what waits, unless another thread is at the file; see `WaitingFile`."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._drain()
        except Exception as error:  # it is the business of whoever is at this file
            self._failure = error
            self._forget()
        finally:
            self._lock.release()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _note(self) -> None:
        self._all_waiting.note(self, self._waiting_bytes + len(self._waiting) * ROW_BYTES)

    def _forget(self) -> None:
        self._batches.clear()
        self._waiting.clear()
        self._waiting_bytes = 0
        self._note()

    def size(self) -> int:
        """Return the bytes written, and those of the payloads that wait for their row group."""
        return self._drained_bytes + self._waiting_bytes

    def abandon(self) -> None:
        """Close the file; its footer, which closing writes, is thrown away with it."""
        self._hashed.is_abandoned = True
        with self._lock:
            self._forget()
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
        self._forget()
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
        with self._lock:
            self._check()
            self._drain()
            self._writer.close()
