"""An edge that answers without work: the floor of what HTTP costs.

`python -m load_tests.bench.idle_edge FOLDER` prints where it listens and serves until it is ended.
The application, the runner and the event loop are those of an edge; only what the routes act on
says at once that everything was applied.
"""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import uvloop
from aiohttp import web

from actors.clock import SystemClock
from actors.hosting import settle_memory
from actors.metric_groups import EdgeMetrics
from actors.model.batches import BatchContext
from actors.model.micro_batches import Accepted
from config.load import load_workspaces
from config.numbers import KeptNumbers, assign_all
from config.settings import Settings
from load_tests.server_process import WORKSPACE
from server.app import RUNNER_OPTIONS, make_app
from server.deployment import Deployment, FinalResult
from server.edge_config import ConfigHolder, edge_config
from server.limit_file import LimitFile
from server.limits import RateLimiter


class _Idle:
    """`Deployment.apply` without doing anything; the load asks for nothing else."""

    async def apply(self, batches: Sequence[bytes], context: BatchContext) -> list[FinalResult]:
        return [Accepted(1, 1)] * len(batches)

    def room_bytes(self) -> int:
        return 1 << 30

    async def readiness(self) -> dict[str, str]:
        return {"shards": "ok"}


async def serve(folder: Path) -> None:
    """Listen on a free port of this machine, until cancelled."""
    settings = Settings(data_dir=folder)
    [document] = load_workspaces([WORKSPACE], {"HEADWATER_DATA_DIR": str(folder)})
    _, [numbers] = assign_all([document], KeptNumbers())
    config = ConfigHolder(edge_config(document, numbers, settings, "key-of-the-idle-edge"))
    app = make_app(
        [(cast(Deployment, _Idle()), config)],
        SystemClock(),
        RateLimiter(LimitFile(folder / "limits")),
        EdgeMetrics("idle"),
    )
    runner = web.AppRunner(app, **RUNNER_OPTIONS)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    settle_memory()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))
