"""The OpenAPI document of the port that is asked."""

from aiohttp import web

from server.openapi.document import OPENAPI
from server.paths import MANAGEMENT_PREFLIGHT, Route


async def openapi(request: web.Request) -> web.Response:
    """GET /openapi.json: every path and method of this port, as OpenAPI 3.1."""
    return web.Response(body=request.app[OPENAPI].text, content_type="application/json")


ROUTES = (Route("GET", "/openapi.json", openapi, "operations", preflight=MANAGEMENT_PREFLIGHT),)
