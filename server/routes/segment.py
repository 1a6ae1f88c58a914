"""The tracking API of Segment's and RudderStack's SDKs (spec/clients.md, 6)."""

from aiohttp import web
from aiohttp.typedefs import Handler

from server.bodies import read_body
from server.context import expect, expect_body, expect_body_with_key
from server.openapi.takes import takes
from server.paths import CLIENT_PREFLIGHT, Route, Served
from server.problems import Refused
from server.segment.answers import accepted, segment_errors
from server.segment.intake import take_in
from server.segment.keys import Writer, writer_in_header, writer_of
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
    """POST /v1/batch, /v1/import, /v1/b and beacons?writeKey=: several messages."""
    (edge, config, key), body = await _received(request)
    return accepted(await take_in(request, edge, config, key, read_many(body)))


def _single(message_type: MessageType) -> Handler:
    @takes("SegmentMessage")
    async def one(request: web.Request) -> web.Response:
        (edge, config, key), body = await _received(request)
        sent = read_one(body, message_type)
        return accepted(await take_in(request, edge, config, key, sent))

    one.__doc__ = f"POST /v1/{message_type}?writeKey=: one message."
    return one


identify = _single("identify")


@takes("Unread")
async def sdk_metrics(_: web.Request) -> web.Response:
    """POST /v1/m: what SDKs count of themselves, which nobody wants."""
    return accepted()


async def _received(request: web.Request) -> tuple[Writer, bytes]:
    """Read a body, and find whose it is: before that where a header says so.

    Raises:
        SegmentRefused: it is nobody's (401), or no text (400).
        Refused: it is too large (413).
        ShardUnavailable: the shards cannot take it now. Nothing of it is read then, but to find a
            key that is in it.
    """
    writer = writer_in_header(request)
    if writer is not None:
        await expect_body(request, writer.edge, writer.config, writer.key.input, MAX_BODY_BYTES)
        return writer, await _read(request)
    await expect_body_with_key(request)
    body = await _read(request)
    writer = writer_of(request, body)
    await expect(request, writer.edge, writer.config, writer.key.input, len(body))
    return writer, body


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
