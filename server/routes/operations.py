"""Health and version, on the edges' port and on the admin port (spec/observability.md, 7)."""

from aiohttp import web

from server.health import HEALTH
from server.paths import Route
from server.problems import json_answer


async def healthz(_: web.Request) -> web.Response:
    """GET /healthz: the event loop answers."""
    return json_answer({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """GET /readyz: 200 while requests may be sent here."""
    is_ready, body = await request.app[HEALTH].ready()
    return json_answer(body, 200 if is_ready else 503)


async def startupz(request: web.Request) -> web.Response:
    """GET /startupz: 200 once every shard has recovered."""
    is_started, body = await request.app[HEALTH].started()
    return json_answer(body, 200 if is_started else 503)


async def version(request: web.Request) -> web.Response:
    """GET /version: what runs."""
    return json_answer(request.app[HEALTH].version())


ROUTES = (
    Route("GET", "/healthz", healthz, "operations"),
    Route("GET", "/readyz", readyz, "operations"),
    Route("GET", "/startupz", startupz, "operations"),
    Route("GET", "/version", version, "operations"),
)
