"""Pixel Service: one event per image request (spec/events-api.md, 17)."""

from base64 import b64decode

from aiohttp import web

from actors.batches.pixel import pixel_batch
from actors.model.batches import BatchContext
from actors.model.micro_batches import Rejected
from server.auth import web_key
from server.browsers import client_address, user_agent
from server.context import edge_of
from server.paths import CLIENT_PREFLIGHT, Route
from server.problems import Refused

MAX_QUERY_BYTES = 8 * 1024
TRANSPARENT_GIF = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


async def pixel(request: web.Request) -> web.Response:
    """GET /v1/{key}/Pixel?dt=&n=&et=&ct=&dbg=&hn=&ttl=&path=&lc=&av=&amp_id=&consent_state=&
    attrs_k=&attrs_v=&flags_k=&flags_v=&ui_t=&ui_v=&ua_k=&ua_v=: one event.

    HEAD looks only: it stores nothing.
    """
    edge = edge_of(request)
    config = edge.config.current
    key = web_key(request.match_info["key"], config)
    query = request.raw_path.partition("?")[2]
    if len(query) > MAX_QUERY_BYTES:
        raise Refused("URI_TOO_LONG", f"The query is longer than {MAX_QUERY_BYTES} bytes.")
    received_ms = edge.clock.now_ms()
    batch = pixel_batch(query, received_ms)
    if request.method == "GET":
        context = BatchContext(
            input=key.input,
            api_key=key.key,
            channel="pixel",
            received_ms=received_ms,
            ip=client_address(request, config),
            user_agent=user_agent(request),
        )
        [result] = await edge.deployment.apply([batch], context)
        if isinstance(result, Rejected):
            raise Refused("BAD_REQUEST", result.problems)
    return gif()


def gif() -> web.Response:
    """Answer with a transparent image that no cache keeps."""
    return web.Response(
        body=TRANSPARENT_GIF, content_type="image/gif", headers={"Cache-Control": "no-store"}
    )


ROUTES = (Route("GET", "/v1/{key}/Pixel", pixel, "pixel", preflight=CLIENT_PREFLIGHT),)
