"""The demo shop: its page, and what the page shows of its visitor (README: The demo shop).

Served in development mode only. Other sites may not read it: it has no CORS headers.
"""

from pathlib import Path

from aiohttp import web

from server.auth import web_key
from server.bodies import json_object, read_body
from server.context import edge_of
from server.demo.outgoing import Message, Outgoing
from server.parameters import int64
from server.paths import Route
from server.problems import Refused, json_answer

OUTGOING = web.AppKey("demo_outgoing", Outgoing)
SHOWN = (
    "user_identities",
    "user_attributes",
    "consent_state",
    "audience_memberships",
)

_SITE = Path(__file__).with_name("site")
_FILES = {"index.html": "text/html", "shop.css": "text/css", "shop.js": "text/javascript"}
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


async def page(request: web.Request) -> web.StreamResponse:
    """GET /demo: the shop."""
    return _file("index.html")


async def file(request: web.Request) -> web.StreamResponse:
    """GET /demo/{file}: a part of the page."""
    name = request.match_info["file"]
    if name not in _FILES:
        raise web.HTTPNotFound
    return _file(name)


async def visitor(request: web.Request) -> web.Response:
    """GET /demo/visitor/{key}?mpid=: profile, memberships and outgoing messages of a visitor."""
    edge = edge_of(request)
    web_key(request.match_info["key"], edge.config.current)
    mpid = int64(request.query.get("mpid", ""), "mpid")
    profile = await edge.deployment.profile(mpid, "production", SHOWN)
    outgoing = request.app[OUTGOING].about(mpid)
    return json_answer({"profile": profile, "outgoing": outgoing}, headers=_HEADERS)


async def outgoing(request: web.Request) -> web.Response:
    """POST /demo/outgoing/{output}: what a webhook of the demo would send elsewhere."""
    edge = edge_of(request)
    if request.content_type != "application/json":  # what another site may send unasked is not
        raise Refused("BAD_REQUEST", "Content-Type must be application/json.")
    body = json_object(await read_body(request, edge.config.current.max_body_bytes))
    message = Message(request.match_info["output"], edge.clock.now_ms(), body)
    request.app[OUTGOING].keep(message)
    return web.Response(status=204)


ROUTES = (
    Route("GET", "/demo", page, "demo"),
    Route("GET", "/demo/visitor/{key}", visitor, "demo"),
    Route("POST", "/demo/outgoing/{output}", outgoing, "demo"),
    Route("GET", "/demo/{file}", file, "demo"),
)


def _file(name: str) -> web.FileResponse:
    headers = _HEADERS | {"Content-Type": f"{_FILES[name]}; charset=utf-8"}
    return web.FileResponse(_SITE / name, headers=headers)
