"""Files whose disk is full cost no row."""

import gzip
import random
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import zstandard

from actors.clock import ManualClock
from actors.model.deliveries import Delivery
from actors.outputs import file_formats
from actors.outputs.contract import Delivered, Retry
from actors.outputs.file import file_name
from actors.outputs.file_formats import RowWriter
from actors.outputs.file_storage import Finished
from tests.actors.forwarding.support import MemoryOutbox, Simulation, delivery
from tests.actors.outputs.test_file import files, manifest, open_output, published


@contextmanager
def no_room() -> Iterator[None]:
    """Refuse what makes a file longer than a few bytes, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def long(sequence: int) -> Delivery:
    """Return a delivery that no compression makes short."""
    text = random.Random(sequence).randbytes(200).hex()
    data = {"event_id": sequence, "custom_attributes": {"text": text}}
    return delivery(sequence, events=[{"event_type": "custom_event", "data": data}])


def lines(raw: bytes) -> int:
    return len(raw.splitlines())


def parquet_rows(path: Path) -> int:
    return int(pyarrow.parquet.read_metadata(path).num_rows)


FORMATS = [
    pytest.param({}, lambda path: lines(path.read_bytes()), id="ndjson"),
    pytest.param(
        {"compression": "gzip"},
        lambda path: lines(gzip.decompress(path.read_bytes())),
        id="ndjson, gzip",
    ),
    pytest.param(
        {"compression": "zstd"},
        lambda path: lines(
            zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())
        ),
        id="ndjson, zstd",
    ),
    pytest.param(
        {"format": "csv", "compression": "gzip"},
        lambda path: lines(gzip.decompress(path.read_bytes())) - 1,
        id="csv, gzip",
    ),
    pytest.param({"format": "parquet"}, parquet_rows, id="parquet"),
]


@pytest.fixture
def small_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the disk reached while a format writes its end, and not only after it."""
    monkeypatch.setattr(file_formats, "BUFFER_BYTES", 16)


@pytest.mark.usefixtures("small_buffer")
@pytest.mark.parametrize(("changes", "count"), FORMATS)
async def test_a_disk_that_is_full_as_a_file_is_finished_costs_no_row(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    count: Callable[[Path], int],
) -> None:
    """The file gets its name all the same, and the next one of its group comes after it."""
    whole = RowWriter.finish
    is_full = True

    def finish(self: RowWriter, path: str) -> Finished:
        if not is_full:
            return whole(self, path)
        with no_room():
            return whole(self, path)

    monkeypatch.setattr(RowWriter, "finish", finish)
    shard = MemoryOutbox([long(n) for n in range(1, 7)])
    output = open_output(tmp_path, roll={"max_rows": 3}, **changes)
    simulation = Simulation(ManualClock())
    simulation.start(output, [shard])
    await simulation.run(5)
    assert published(tmp_path) == []
    assert (shard.waiting[1, 1].attempts, len(shard.waiting)) == (1, 6)
    is_full = False
    await simulation.run(60)
    await simulation.stop()
    names = [file_name("web", long(n), output.settings.suffix) for n in (1, 4)]
    assert files(tmp_path) == sorted(names)
    assert [(each["file"], each["rows"]) for each in manifest(tmp_path)] == [
        (name, 3) for name in names
    ]
    assert [count(tmp_path / "lake" / name) for name in names] == [3, 3]
    assert (shard.waiting, shard.dead) == ({}, [])


@pytest.mark.usefixtures("small_buffer")
@pytest.mark.parametrize(("changes", "count"), FORMATS)
@pytest.mark.parametrize("is_finished", [False, True], ids=["as it is filled", "as it is finished"])
async def test_a_file_is_discarded_on_a_full_disk(
    tmp_path: Path, changes: dict[str, Any], count: Callable[[Path], int], is_finished: bool
) -> None:
    output = open_output(tmp_path, **changes)
    await output.start()
    bundle = output.open_bundle("web", "", long(1))
    await bundle.add([long(1)])
    with no_room():
        if is_finished:
            outcome = await bundle.send()
            assert isinstance(outcome, Retry)
            assert outcome.is_lost
        await bundle.discard()
    assert files(tmp_path) == []
    again = output.open_bundle("web", "", long(1))
    await again.add([long(1)])
    assert await again.send() == Delivered()
    [name] = files(tmp_path)
    assert count(tmp_path / "lake" / name) == 1
