"""POST /v1/identify, which two protocols have: IDSync and Segment's (spec/clients.md, 1)."""

from aiohttp import web

from server.auth import basic_password
from server.bodies import keep_received, read_bytes
from server.context import expect_body_with_key
from server.identity_problems import identity_error
from server.openapi.takes import takes
from server.paths import CLIENT_PREFLIGHT, SERVED_AS, Route
from server.problems import Refused
from server.routes import identity, segment
from server.segment.requests import MAX_BODY_BYTES, write_key_of


@takes("IdentityCall")
async def identify(request: web.Request) -> web.StreamResponse:
    """POST /v1/identify: an identity call, or a message of Segment's SDKs."""
    if await _is_of_segment(request):
        request[SERVED_AS] = segment.IDENTIFY
        return await segment.identify(request)
    return await identity.identify(request)


async def _is_of_segment(request: web.Request) -> bool:
    """Tell by the table of spec/clients.md, 1; nothing is verified yet."""
    headers = request.headers
    if "x-mp-key" in headers or "x-mp-signature" in headers:
        return False
    header = headers.get("Authorization")
    if header is not None:
        return basic_password(header) == ""
    await expect_body_with_key(request)
    try:
        await keep_received(request, MAX_BODY_BYTES)
        return write_key_of(await read_bytes(request, MAX_BODY_BYTES)) is not None
    except Refused:
        return False


ROUTES = (
    Route(
        "POST",
        "/v1/identify",
        identify,
        "identity",
        preflight=CLIENT_PREFLIGHT,
        errors=identity_error,
        call="identify",
    ),
)
