"""A start without a store that there was before."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from actors.clock import ManualClock
from actors.errors import DataFolderError
from actors.store.environment import Store
from actors.store.folder import DataFolder
from actors.store.layout import scope_store, workspace_store
from tests.server.test_first_credentials import MAP_SIZE, Started
from tests.whole.world import DOCUMENT, named

FIRST = DOCUMENT
SECOND = named("w2")


@pytest.fixture
def served(tmp_path: Path) -> DataFolder:
    """Make a data folder with which two workspaces were served."""
    started = Started(tmp_path, FIRST, SECOND)
    with closing(DataFolder(tmp_path / "data", 1, MAP_SIZE, ManualClock())) as folder:
        for each in started.served:
            for store in (
                folder.shard(0),
                scope_store(folder.coordinator, each.info.scope),
                workspace_store(folder.coordinator, each.info.number),
            ):
                Store(store, MAP_SIZE).close()
        folder.begun()
    return folder


@pytest.mark.parametrize("name", ["scope-1", "workspace-1", "workspace-2"])
def test_a_store_of_what_is_served_has_to_be_there(
    tmp_path: Path, served: DataFolder, name: str
) -> None:
    shutil.rmtree(served.coordinator / name)
    with pytest.raises(DataFolderError, match=f"{name} is not there, as it was before"):
        Started(tmp_path, FIRST, SECOND)
    assert not (served.coordinator / name).exists()


def test_that_of_a_workspace_which_is_left_out_may_be_gone(
    tmp_path: Path, served: DataFolder
) -> None:
    shutil.rmtree(served.coordinator / "workspace-2")
    assert len(Started(tmp_path, FIRST).served) == 1
