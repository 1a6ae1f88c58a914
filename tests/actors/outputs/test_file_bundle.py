"""Files whose disk fails, or whose temporary file somebody takes away, cost no row."""

import gzip
import random
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pyarrow.parquet
import pytest
import zstandard

from actors.clock import ManualClock
from actors.model.deliveries import Delivery
from actors.outputs import file_formats
from actors.outputs.contract import Delivered, Retry
from actors.outputs.egress import EgressRules
from actors.outputs.file import file_name
from actors.outputs.file_bundle import FileBundle
from actors.outputs.file_formats import RowWriter
from actors.outputs.file_storage import Finished
from tests.actors.forwarding.support import MemoryOutbox, Simulation, delivery
from tests.actors.outputs.test_file import files, manifest, open_output, published

FIRST = file_name("web", delivery(1), ".ndjson")


@contextmanager
def no_room(from_bytes: int = 8) -> Iterator[None]:
    """Refuse what makes a file longer than some bytes, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (from_bytes, hard))
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


async def begun(tmp_path: Path, *sequences: int, **changes: Any) -> FileBundle:
    """Return a file that was not sent."""
    output = open_output(tmp_path, **changes)
    await output.start()
    bundle = output.open_bundle("web", "", delivery(sequences[0]))
    await bundle.add([delivery(each) for each in sequences])
    return bundle


@pytest.mark.parametrize("is_repeated", [False, True], ids=["anew", "after a shorter one"])
async def test_a_file_that_was_taken_away_is_not_delivered(
    tmp_path: Path, is_repeated: bool
) -> None:
    """Such as by what tidies folders; an older file of its name does not stand for it."""
    if is_repeated:
        assert await (await begun(tmp_path, 1)).send() == Delivered()
    before = manifest(tmp_path)
    bundle = await begun(tmp_path, 1, 2)
    (tmp_path / "lake" / f".{FIRST}.tmp").unlink()
    outcome = await bundle.send()
    assert isinstance(outcome, Retry)
    assert outcome.is_lost
    assert manifest(tmp_path) == before
    await bundle.discard()


async def test_an_object_whose_file_was_taken_away_is_not_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent: the host is not even looked up here."""
    monkeypatch.setattr(EgressRules, "check_host", AsyncMock())
    bundle = await begun(tmp_path, 1, url="s3://lost")
    (tmp_path / "spool" / f".{FIRST}.tmp").unlink()
    outcome = await bundle.send()
    assert isinstance(outcome, Retry)
    assert outcome.is_lost
    await bundle.discard()


async def test_a_folder_that_is_away_for_a_while_brings_its_files_back(tmp_path: Path) -> None:
    """While something that is no folder is in its place, nothing is known to be lost."""
    bundle = await begun(tmp_path, 1)
    (tmp_path / "lake").rename(tmp_path / "away")
    (tmp_path / "lake").write_text("a file where a folder should be")
    outcome = await bundle.send()
    assert isinstance(outcome, Retry)
    assert not outcome.is_lost
    (tmp_path / "lake").unlink()
    (tmp_path / "away").rename(tmp_path / "lake")
    assert await bundle.send() == Delivered()
    assert [each["rows"] for each in manifest(tmp_path)] == [1]


async def test_a_disk_that_is_full_as_the_manifest_is_written_holds_up_no_file(
    tmp_path: Path,
) -> None:
    """Half a line is no line, neither for the file that it is of nor for the next one."""
    assert await (await begun(tmp_path, *range(1, 9))).send() == Delivered()
    [path] = (tmp_path / "lake/_manifest").iterdir()
    bundle = await begun(tmp_path, 10)
    with no_room(path.stat().st_size + 10):
        assert isinstance(await bundle.send(), Retry)
    assert not path.read_bytes().endswith(b"\n")
    assert await (await begun(tmp_path, 11, 12)).send() == Delivered()
    assert await bundle.send() == Delivered()
    assert [each["rows"] for each in manifest(tmp_path)] == [8, 2, 1]


async def test_another_output_of_the_same_folder_costs_no_row_as_it_starts(tmp_path: Path) -> None:
    """It takes a file for abandoned that is finished and could not be published yet."""
    shard = MemoryOutbox([delivery(n) for n in (1, 2)])
    target = tmp_path / "lake" / FIRST
    target.mkdir(parents=True)  # which no file can replace
    simulation = Simulation(ManualClock())
    simulation.start(open_output(tmp_path, roll={"max_rows": 2}), [shard])
    await simulation.run(5)
    assert shard.waiting[1, 1].attempts == 1
    await open_output(tmp_path).start()
    assert files(tmp_path) == []
    target.rmdir()
    await simulation.run(60)
    await simulation.stop()
    assert target.read_bytes().splitlines() == [delivery(n).payload for n in (1, 2)]
    assert [each["rows"] for each in manifest(tmp_path)] == [2]
    assert shard.waiting == {}
