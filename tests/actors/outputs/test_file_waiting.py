"""What waits in memory for its row group is bounded over all Parquet files of an output."""

import errno
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from actors.model.deliveries import Delivery
from actors.outputs import file_waiting
from actors.outputs.contract import Delivered, Retry
from actors.outputs.file import FileOutput
from actors.outputs.file_bundle import FileBundle
from actors.outputs.file_parquet import ParquetWriter
from actors.outputs.file_waiting import ROW_BYTES, WaitingRows
from tests.actors.forwarding.support import delivery
from tests.actors.outputs.test_file import open_output

FILES = 20
MAX_BYTES = 50 * ROW_BYTES


@pytest.fixture(autouse=True)
def _little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_waiting, "MAX_WAITING_BYTES", MAX_BYTES)


def named(sequence: int, name: str) -> Delivery:
    data = {"event_id": sequence, "event_name": name}
    return delivery(sequence, events=[{"event_type": "custom_event", "data": data}])


async def opened(tmp_path: Path, files: int) -> tuple[FileOutput, list[FileBundle]]:
    """Return an output, and so many files of it, each with a delivery."""
    output = open_output(tmp_path, format="parquet", split_by="event_name")
    await output.start()
    bundles = []
    for number in range(files):
        first = named(number + 1, f"event{number}")
        bundle = output.open_bundle("web", output.group(first), first)
        assert await bundle.add([first]) == 1
        bundles.append(bundle)
    return output, bundles


def waiting(bundles: Sequence[Any]) -> list[int]:
    return [len(each._writer._waiting) for each in bundles]


def groups(tmp_path: Path) -> dict[str, list[int]]:
    """Return how many rows the row groups of each file have."""
    found = {}
    for path in sorted((tmp_path / "lake").rglob("*.parquet")):
        metadata = pyarrow.parquet.read_metadata(path)
        sizes = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
        found[path.parent.name] = sizes
    return found


async def test_the_files_with_most_are_written_first(tmp_path: Path) -> None:
    output, bundles = await opened(tmp_path, FILES)
    pool = output._waiting
    for turn in range(30):
        for number, bundle in enumerate(bundles):
            more = 5 if number == 7 else 1
            sent = [named(1000 + turn * 100 + n, f"event{number}") for n in range(more)]
            assert await bundle.add(sent) == more
            assert pool.total <= MAX_BYTES
            assert sum(waiting(bundles)) * ROW_BYTES <= MAX_BYTES
    for bundle in bundles:
        assert await bundle.send() == Delivered()
    assert pool.total == 0
    rows = groups(tmp_path)
    assert [sum(rows[f"event{n}"]) for n in range(FILES)] == [
        151 if n == 7 else 31 for n in range(FILES)
    ]
    fewest = min(len(each) for each in rows.values())
    assert len(rows["event7"]) > 2 * fewest


async def test_one_file_alone_keeps_its_row_groups(tmp_path: Path) -> None:
    _, [bundle] = await opened(tmp_path, 1)
    for number in range(2, 31):
        assert await bundle.add([named(number, "event0")]) == 1
    assert await bundle.send() == Delivered()
    assert groups(tmp_path) == {"event0": [30]}


async def test_what_is_discarded_waits_no_more(tmp_path: Path) -> None:
    output, bundles = await opened(tmp_path, 3)
    for bundle in bundles:
        await bundle.discard()
    assert output._waiting.total == 0


async def test_a_file_that_cannot_be_written_for_another_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, [largest, other] = await opened(tmp_path, 2)
    assert await largest.add([named(n, "event0") for n in range(10, 40)]) == 30
    drain = ParquetWriter._drain

    def full(self: ParquetWriter) -> None:
        if self is largest._writer:
            raise OSError(errno.ENOSPC, "No space left on device")
        drain(self)

    monkeypatch.setattr(ParquetWriter, "_drain", full)
    assert await other.add([named(n, "event1") for n in range(50, 80)]) == 30
    with pytest.raises(OSError, match="No space left") as raised:
        await largest.add([named(90, "event0")])
    assert raised.value.errno == errno.ENOSPC
    outcome = await largest.send()
    assert isinstance(outcome, Retry)
    assert outcome.is_lost
    await largest.discard()
    assert await other.send() == Delivered()
    assert groups(tmp_path)["event1"] == [31]


def test_threads_that_fill_files_at_once_lose_nothing(tmp_path: Path) -> None:
    pool = WaitingRows()
    writers = [ParquetWriter(tmp_path / str(n), 0, "snappy", pool) for n in range(4)]

    def fill(writer: ParquetWriter) -> None:
        for number in range(300):
            writer.write(named(number, "e"))

    threads = [threading.Thread(target=fill, args=[each]) for each in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pool.total <= MAX_BYTES
    for number, writer in enumerate(writers):
        writer.finish("rows_20260101000000_00001.parquet")
        rows = pyarrow.parquet.read_table(tmp_path / str(number)).to_pylist()
        assert [each["eventid"] for each in rows] == list(range(300))
    assert pool.total == 0
