"""What a shard does on a node that has not its data."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest
from msgspec.structs import replace

from actors.clock import SystemClock
from actors.errors import DataFolderError
from actors.node_store import found_here
from actors.shard_options import StoreOptions
from actors.store.environment import Store
from actors.store.folder import DataFolder
from actors.store.placement import NodeFolder

MAP_SIZE_BYTES = 16 * 1024 * 1024


class Pause(Event):
    """Does something instead of waiting."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    def wait(self, timeout: float | None = None) -> bool:
        self._meanwhile()
        return False


def options(path: Path, *, is_begun: bool) -> StoreOptions:
    return StoreOptions(
        number=1,
        of=2,
        folder=path / "shards-1/shard-0001",
        map_size_bytes=MAP_SIZE_BYTES,
        profile_cache_bytes=0,
        node_folder=NodeFolder(path, "d1"),
        is_begun=is_begun,
    )


def test_a_first_start_makes_the_store(tmp_path: Path) -> None:
    wanted = options(tmp_path, is_begun=False)
    assert found_here(wanted, SystemClock(), may_wait=False) == wanted


def test_a_later_start_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataFolderError, match="shard-0001 is not there, as it was before"):
        found_here(options(tmp_path, is_begun=True), SystemClock(), may_wait=False)


def test_a_shard_that_comes_back_waits_for_its_disk(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also in the first run, in which no store was there before it; and says so once."""
    wanted = options(tmp_path, is_begun=False)
    looks: list[int] = []

    def mount() -> None:
        looks.append(len(looks))
        if len(looks) == 3:
            Store(wanted.folder, MAP_SIZE_BYTES).close()

    found = found_here(wanted, SystemClock(), may_wait=True, pause=Pause(mount))
    assert found.folder == wanted.folder
    assert len(looks) == 3
    assert [each.message for each in caplog.records] == ["a shard waits for its store"]


def test_without_a_cluster_the_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    plain = StoreOptions(
        number=0, of=1, folder=tmp_path, map_size_bytes=MAP_SIZE_BYTES, profile_cache_bytes=0
    )
    assert found_here(plain, SystemClock(), may_wait=False) == plain


@pytest.fixture
def first_run(tmp_path: Path) -> Iterator[DataFolder]:
    """Take a folder that nobody has served before."""
    with closing(DataFolder(tmp_path / "data", 2, MAP_SIZE_BYTES, SystemClock())) as folder:
        yield folder


def spawned(folder: DataFolder) -> StoreOptions:
    """Return how a shard is set up that `serve` spawns on a single machine."""
    return replace(options(folder.path, is_begun=False), node_folder=None)


def test_a_shard_that_dies_before_its_first_run_has_begun_may_make_its_store(
    first_run: DataFolder,
) -> None:
    wanted = spawned(first_run)
    assert found_here(wanted, SystemClock(), may_wait=True) == wanted


@pytest.mark.parametrize("lost", ["", "shards-1", "shards-1/shard-0001"])
def test_a_shard_whose_store_goes_in_its_first_run_waits_for_it(
    first_run: DataFolder, lost: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Also one whose data folder has gone altogether."""
    wanted = spawned(first_run)
    Store(wanted.folder, MAP_SIZE_BYTES).close()
    first_run.begun()
    gone, elsewhere = first_run.path / lost, first_run.path.with_name("elsewhere")
    gone.rename(elsewhere)
    looks: list[bool] = []

    def mount() -> None:
        looks.append(wanted.folder.exists())
        if len(looks) == 2:
            elsewhere.rename(gone)

    assert found_here(wanted, SystemClock(), may_wait=True, pause=Pause(mount)) == wanted
    assert looks == [False, False]
    assert [each.__dict__["event"] for each in caplog.records] == ["store_missing"]
