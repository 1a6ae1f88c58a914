"""What is done to a data folder as it is taken."""

import json
from pathlib import Path

import pytest

from actors.clock import SystemClock
from actors.errors import DataFolderError
from actors.store.folder import DataFolder
from actors.store.layout import FORMAT

MAP_SIZE_BYTES = 16 * 1024 * 1024


def take(path: Path, shards: int) -> None:
    DataFolder(path, shards, MAP_SIZE_BYTES, SystemClock()).close()


def test_a_new_folder_is_its_owners_alone(tmp_path: Path) -> None:
    take(tmp_path / "data", 2)
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_only_generations_that_are_not_in_use_are_removed(tmp_path: Path) -> None:
    """A move that was cut off is; a copy that somebody has made of one stays."""
    take(tmp_path, 2)
    for name in ("shards-1", "shards-2", "shards-1.bak", "shards-old"):
        (tmp_path / name / "shard-0000").mkdir(parents=True)
    take(tmp_path, 2)
    left = {each.name for each in tmp_path.glob("shards-*")}
    assert left == {"shards-1", "shards-1.bak", "shards-old"}


@pytest.mark.parametrize(
    ("written", "who"), [(FORMAT + 1, "a newer version"), (FORMAT - 1, "an older version")]
)
def test_a_folder_of_another_format_is_refused(tmp_path: Path, written: int, who: str) -> None:
    layout = json.dumps({"format": written, "generation": 1, "shards": 2})
    (tmp_path / "layout.json").write_text(layout)
    with pytest.raises(DataFolderError, match=rf"written by {who} of headwater \(format {written}"):
        take(tmp_path, 2)
    assert (tmp_path / "layout.json").read_text() == layout
