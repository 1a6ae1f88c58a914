"""The tracking API of Segment's and RudderStack's SDKs (spec/clients.md, 6)."""

from aiohttp import web
from aiohttp.typedefs import Handler

from server.bodies import read_body
from server.openapi.takes import takes
from server.paths import CLIENT_PREFLIGHT, Route, Served
from server.problems import Refused
from server.segment.answers import accepted, segment_errors
from server.segment.intake import take_in
from server.segment.keys import writer_of
from server.segment.requests import (
    MAX_BODY_BYTES,
    MessageType,
    SegmentRefused,
    read_many,
    read_one,
)

PREFIXES = ("/segment",)
IDENTIFY = Served("segment", "/v1/identify", segment_errors)

# Each path of one message, and its short form.
_SINGLE: dict[MessageType, str] = {
    "track": "t",
    "page": "p",
    "screen": "s",
    "group": "g",
    "alias": "a",
}


@takes("SegmentMessages")
async def many(request: web.Request) -> web.Response:
    """POST /v1/batch, /v1/import, /v1/b and beacons: several messages."""
    body = await _read(request)
    edge, config, key = writer_of(request, body)
    return accepted(await take_in(request, edge, config, key, read_many(body)))


def _single(message_type: MessageType) -> Handler:
    @takes("SegmentMessage")
    async def one(request: web.Request) -> web.Response:
        body = await _read(request)
        edge, config, key = writer_of(request, body)
        sent = read_one(body, message_type)
        return accepted(await take_in(request, edge, config, key, sent))

    one.__doc__ = f"POST /v1/{message_type}: one message."
    return one


identify = _single("identify")


async def sdk_metrics(_: web.Request) -> web.Response:
    """POST /v1/m: what SDKs count of themselves, which nobody wants."""
    return accepted()


async def _read(request: web.Request) -> bytes:
    try:
        return await read_body(request, MAX_BODY_BYTES)
    except Refused as error:
        if error.code != "BAD_REQUEST":
            raise
        raise SegmentRefused(400, "invalid_json", error.problems[0].message) from None


def _route(path: str, handler: Handler, prefixes: tuple[str, ...] = PREFIXES) -> Route:
    return Route(
        "POST", path, handler, "segment", prefixes, CLIENT_PREFLIGHT, errors=segment_errors
    )


ROUTES = (
    *(_route(f"/v1/{name}", many) for name in ("batch", "import", "b")),
    *(
        _route(f"/v1/{name}", handler)
        for kind, short in _SINGLE.items()
        for handler in (_single(kind),)
        for name in (kind, short)
    ),
    _route("/segment/v1/identify", identify, ()),  # without the prefix: server.routes.identify
    _route("/v1/i", identify),
    _route("/v1/m", sdk_metrics),
)
