"""What is read back of a whole deployment: sizes of audiences, and queues."""

import contextlib
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from load_tests.client import Target
from load_tests.reader import Access, Queued, Reader

_ACCESS = Access(client_id="reader", client_secret="sesame", org=1, account=1, workspace="7")


async def test_sizes_and_queues_are_read_and_what_is_unknown_is_not_taken_for_none() -> None:
    audiences = [{"id": 1, "name": "a", "size": 3}, {"id": 2, "name": "b", "size": None}]
    queued = {"waiting": 1, "waiting_bytes": 9, "dead_letters": 2}
    actors: list[dict[str, Any]] = [
        {"role": "edge", "instance": "0", "is_up": True},
        {"role": "shard", "instance": "0", "is_up": True, "connections": {"c": queued}},
        {"role": "shard", "instance": "1", "is_up": False},
        {"role": "forwarder", "instance": "h", "is_up": True, "connections": {"c": {}}},
    ]
    app = web.Application()

    async def listed(request: web.Request) -> web.Response:
        return web.json_response(audiences)

    async def status(request: web.Request) -> web.Response:
        return web.json_response({"actors": actors})

    app.router.add_get("/platform/v2/workspaces/7/audiences", listed)
    app.router.add_get("/admin/status", status)
    async with TestServer(app, host="127.0.0.1") as server:
        target = Target.of(str(server.make_url("/")))
        with contextlib.closing(Reader(target, _ACCESS, "t")) as reader:
            assert await reader.audience_sizes() == {"a": 3, "b": None}
            assert await reader.queues() == {("0", "c"): Queued(1, 2)}
