"""Answers that are sent as they are made."""

from aiohttp import web

from server.middleware import BEGUN, begun_headers


async def begin(request: web.Request, response: web.StreamResponse) -> None:
    """Send the head of a management answer, with what is on every answer.

    Should the rest of it fail, the connection is broken off: nobody takes what came for all.
    """
    response.headers.update(begun_headers(request))
    request[BEGUN] = response
    await response.prepare(request)
