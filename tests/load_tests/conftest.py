"""A fake server on a free port, and pools that are small enough for tests."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from load_tests.client import Target
from load_tests.pool import Pool, PoolOptions
from tests.load_tests.fake_server import FakeServer

MakePool = Callable[..., Pool]


@pytest.fixture
async def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
async def target(server: FakeServer) -> AsyncIterator[Target]:
    async with TestServer(server.app(), host="127.0.0.1") as running:
        yield Target.of(str(running.make_url("/")))


@pytest.fixture
def make_pool() -> MakePool:
    def make(run: int = 7, **changes: Any) -> Pool:
        options: dict[str, Any] = {
            "seed": 1,
            "users": 20,
            "batches": 100,
            "is_bulk": True,
            "batches_per_request": 10,
            "events_per_batch": 5,
        }
        return Pool(PoolOptions(**(options | changes)), run)

    return make
