"""A store of the coordinator."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.store.environment import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path, 16 * 1024 * 1024)
    yield store
    store.close()
