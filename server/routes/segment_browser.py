"""What browser SDKs of Segment and RudderStack ask for, and pixels (spec/clients.md, 6)."""

import logging

from aiohttp import web
from aiohttp.typedefs import Handler

from actors.errors import HotIdentity, ShardUnavailable, StoreFull
from server.paths import CLIENT_PREFLIGHT, Route
from server.problems import Refused, json_answer
from server.routes.pixel import MAX_QUERY_BYTES, gif
from server.routes.segment import PREFIXES, many
from server.segment.answers import segment_errors
from server.segment.browser import pixel_message, rudder_source, segment_settings
from server.segment.intake import take_in
from server.segment.keys import writer_in_path, writer_of
from server.segment.requests import MessageType, SegmentRefused, read_one

CACHED = {"Cache-Control": "max-age=300"}

logger = logging.getLogger("headwater.http")


async def settings(request: web.Request) -> web.Response:
    """GET /v1/projects/{writeKey}/settings: without a 200 Segment's SDK sends nothing."""
    try:
        writer = writer_in_path(request)
    except SegmentRefused:
        return json_answer({}, 404)
    return json_answer(segment_settings(writer.key.key), headers=CACHED)


async def source_config(request: web.Request) -> web.Response:
    """GET /sourceConfig?writeKey=: without it RudderStack's SDK does not start."""
    writer = writer_of(request, b"")
    return json_answer(rudder_source(writer, writer.edge.clock.now_ms()))


def _pixel(message_type: MessageType) -> Handler:
    async def pixel(request: web.Request) -> web.Response:
        """GET /pixel/v1/track and page?writeKey=&userId=&anonymousId=&messageId=&timestamp=&
        event=&name=: store the message in the query.

        Other members are taken too; dotted names, such as `properties.price`, are those of objects.

        It is always an image, also of what cannot be stored now: a page would not ask again.
        """
        query = request.raw_path.partition("?")[2]
        if request.method == "GET" and len(query) <= MAX_QUERY_BYTES:
            try:
                edge, config, key = writer_of(request, b"")
                sent = read_one(pixel_message(query), message_type)
                await take_in(request, edge, config, key, sent)
            except (SegmentRefused, Refused):
                logger.debug("a pixel stored nothing", extra={"event": "pixel_refused"})
            except (ShardUnavailable, StoreFull, HotIdentity) as error:
                kind = type(error).__name__
                logger.warning("a pixel was lost", extra={"event": "pixel_lost", "kind": kind})
        return gif()

    return pixel


def _route(method: str, path: str, handler: Handler, prefixes: tuple[str, ...] = ()) -> Route:
    return Route(
        method, path, handler, "segment", prefixes, CLIENT_PREFLIGHT, errors=segment_errors
    )


ROUTES = (
    _route("GET", "/v1/projects/{write_key}/settings", settings, PREFIXES),
    _route("GET", "/sourceConfig", source_config),
    _route("POST", "/beacon/v1/batch", many),
    _route("GET", "/pixel/v1/track", _pixel("track")),
    _route("GET", "/pixel/v1/page", _pixel("page")),
)
