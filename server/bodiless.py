"""Requests of the Platform API that say all with their path (spec/platform-api.md, 1)."""

from functools import wraps

from aiohttp import web
from aiohttp.typedefs import Handler

from server.bodies import json_object, keep_received, read_body
from server.management import authorized
from server.openapi.takes import takes
from server.problems import Refused


def without_body(handler: Handler) -> Handler:
    """Return a handler that refuses (400) a body with anything in it; `{}` is nothing."""

    @takes("Nothing")
    @wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        limit_bytes = authorized(request).config.max_body_bytes
        if await keep_received(request, limit_bytes):
            for name in json_object(await read_body(request, limit_bytes)):
                raise Refused("BAD_REQUEST", f'Unknown field "{name}": there is nothing to say.')
        return await handler(request)

    return answer
