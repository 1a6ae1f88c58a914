"""One of each kind of warehouse."""

from pathlib import Path

import pytest

from tests.actors.outputs.warehouse.support import WAREHOUSES, Warehouse


@pytest.fixture(params=WAREHOUSES)
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Warehouse:
    """Return an empty one."""
    return Warehouse(request.param, tmp_path)
