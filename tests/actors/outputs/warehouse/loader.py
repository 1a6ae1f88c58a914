"""A process that loads, and is killed before one of its statements.

Arguments: module, folder, schema, dsn, number of the statement; 0: of none.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from actors.model.deliveries import Delivery
from actors.outputs.contract import Delivered
from actors.outputs.warehouse_duckdb import DuckdbSession
from actors.outputs.warehouse_postgres import PostgresSession
from tests.actors.outputs.warehouse.support import Warehouse, batch, event, load, membership


def deliveries() -> list[Delivery]:
    """Return what is loaded, by every process alike."""
    batches = [
        batch(
            n,
            [event(n), event(200 + n // 2, "Bar", custom_attributes={f"a{n % 4}": str(n)})],
            mpid=n % 3 + 1,
            user_attributes={"n": str(n)},
            user_identities=[{"identity_type": "email", "identity": f"{n % 2}@x"}],
        )
        for n in range(1, 13)
    ]
    changes = [
        membership(20 + n, n % 2 + 1, "delete" if n % 4 > 1 else "add", 1000 + n) for n in range(8)
    ]
    return batches + changes


async def load_all(warehouse: Warehouse, size: int) -> None:
    """Load everything, some deliveries at a time."""
    output = warehouse.open(events_threshold=5)
    await output.start()
    everything = deliveries()
    for start in range(0, len(everything), size):
        outcome = await load(output, everything[start : start + size])
        assert isinstance(outcome, Delivered), outcome
    await output.stop()


def die_before(number: int) -> None:
    """Have this process killed in place of its `number`-th statement."""
    left = number
    for session in (DuckdbSession, PostgresSession):
        execute = session.execute

        async def counted(
            self: Any, statement: str, *parameters: Any, execute: Any = execute
        ) -> Sequence[Any]:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            rows: Sequence[Any] = await execute(self, statement, *parameters)
            return rows

        session.execute = counted  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    module, folder, schema, dsn, statement = sys.argv[1:]
    die_before(int(statement))
    asyncio.run(load_all(Warehouse(module, Path(folder), schema, dsn), 5))
