"""Loads whose process, or whose server, is killed."""

import asyncio
import functools
import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.outputs.contract import Delivered, Retry
from tests.actors.outputs.warehouse.loader import load_all
from tests.actors.outputs.warehouse.support import WAREHOUSES, Warehouse, batch, event, load

LOADER = "tests.actors.outputs.warehouse.loader"


@functools.cache
def undisturbed(module: str) -> dict[str, list[str]]:
    """Return what is there when nothing was killed."""
    with TemporaryDirectory() as folder:
        warehouse = Warehouse(module, Path(folder))
        asyncio.run(load_all(warehouse, 5))
        return warehouse.contents()


@pytest.mark.parametrize("module", WAREHOUSES)
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(deaths=st.lists(st.integers(1, 120), min_size=1, max_size=2), size=st.integers(3, 12))
def test_a_killed_loader_leaves_the_same_rows(module: str, deaths: list[int], size: int) -> None:
    with TemporaryDirectory() as folder:
        warehouse = Warehouse(module, Path(folder))
        dsn = warehouse.settings().get("dsn", "")
        for statement in deaths:
            ended = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    LOADER,
                    module,
                    folder,
                    warehouse.schema,
                    dsn,
                    str(statement),
                ],
                check=False,
                capture_output=True,
                env={**os.environ, "PYTHONPATH": os.getcwd()},
            )
            assert ended.returncode in (-signal.SIGKILL, 0), ended.stderr
        asyncio.run(load_all(warehouse, size))
        assert warehouse.contents() == undisturbed(module)


async def test_a_server_that_restarts_under_loads_has_every_event_once(tmp_path: Path) -> None:
    warehouse = Warehouse("warehouse_postgres", tmp_path)
    output = warehouse.open()
    await output.start()
    failures = 0
    for number in range(1, 6):
        events = [event(number * 1000 + n) for n in range(500)]
        under_way = asyncio.create_task(load(output, [batch(number, events)]))
        await asyncio.to_thread(warehouse.server.stop)
        outcome = await under_way
        await asyncio.to_thread(warehouse.server.start)
        assert isinstance(outcome, Delivered | Retry)
        failures += isinstance(outcome, Retry)
        assert not (isinstance(outcome, Retry) and outcome.is_refusal)
        assert isinstance(await load(output, [batch(number, events)]), Delivered)
    await output.stop()
    assert failures
    rows = warehouse.query("SELECT count(*), count(DISTINCT eventid) FROM {s}.otherevents")
    assert rows == [(2500, 2500)]
