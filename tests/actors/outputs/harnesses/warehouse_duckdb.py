"""The module `warehouse_duckdb` beside a file of this machine."""

from pathlib import Path
from typing import Any

import duckdb

from tests.actors.outputs.harness import Fault, Harness, Received

ROWS = "SELECT deliveryid, mparticleuserid, batchid FROM {}.otherevents ORDER BY {}"


class WarehouseDuckdbHarness(Harness):
    """A file."""

    module = "warehouse_duckdb"
    faults = frozenset({"gone"})
    reaches_network = False
    keeps_repeats = False
    seconds = 61.0
    wrong = (
        ({"path": "w.duckdb"}, "settings.path"),
        ({"schema": "A-b"}, "settings.schema"),
        ({"hygiene": {"days": 0}}, "settings.hygiene.days"),
    )

    @property
    def _root(self) -> Path:
        return self.folder / "out"

    def settings(self) -> dict[str, Any]:
        """Load every minute."""
        return {"path": str(self._root / "w.duckdb"), "load_interval_minutes": 1}

    async def set_fault(self, fault: Fault | None) -> None:
        """Put a file where the folder should be."""
        moved = self.folder / "moved"
        if fault == "gone":
            if self._root.is_dir():
                self._root.rename(moved)
            self._root.write_text("a file where a folder should be")
        elif self._root.is_file():
            self._root.unlink()
            if moved.is_dir():
                moved.rename(self._root)

    async def received(self) -> list[Received]:
        """Return the rows, in the order in which they were written."""
        path = self._root / "w.duckdb"
        if not path.exists():
            return []
        with duckdb.connect(path, read_only=True) as connection:
            try:
                rows = connection.execute(ROWS.format("cdp", "rowid")).fetchall()
            except duckdb.CatalogException:
                return []
        return [Received(*row) for row in rows]
