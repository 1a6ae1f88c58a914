"""A store of each test's own, on disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.store.environment import Store
from tests.actors.store.builders import MAP_SIZE_BYTES


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Open an empty store and close it after the test."""
    store = Store(tmp_path / "store", MAP_SIZE_BYTES)
    yield store
    store.close()
