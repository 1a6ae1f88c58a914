"""What happens around every request: its id, errors, CORS, metrics and access log line.

One middleware, because each costs a coroutine per request.
"""

import logging
from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from server.context import EDGES
from server.identity_problems import unrouted_answer
from server.logs import log_access
from server.openapi.takes import JSON
from server.paths import SERVED_AS, Api, Served
from server.rates import RATE_USED, USED
from server.received import RECEIVED, QueueFull
from server.request_ids import REQUEST_ID, shown_method

# On every answer: it is what it says it is, and not which program in which version.
SECURITY_HEADERS = {"X-Content-Type-Options": "nosniff", "Server": "Headwater"}
CORS_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "X-MP-Max-Age, Retry-After",
}

# A browser that has reached us by HTTPS for once comes by nothing else for a year.
_BY_HTTPS = {"Strict-Transport-Security": "max-age=31536000"}
_CORS_TOO = SECURITY_HEADERS | CORS_HEADERS
# What these answer is of people or of the configuration: no proxy or browser may keep it.
_PRIVATE: frozenset[Api] = frozenset({"platform", "profile", "deletion", "dsr"})
_PLATFORM = "/platform/"
# What `server.streams` knows of a request, and what it has begun to answer.
SHOWN_ID = web.RequestKey("request_id", str)
BEGUN = web.RequestKey("begun", web.StreamResponse)
_NOWHERE = Served("none", "", unrouted_answer)


def begun_headers(request: web.Request) -> dict[str, str]:
    """Return what is on every answer to a browser's or another client's request."""
    return {REQUEST_ID: request[SHOWN_ID], **_CORS_TOO, **_transport_headers(request)}


def _transport_headers(request: web.Request) -> Mapping[str, str]:
    """Return what is on answers by our own HTTPS; of a proxy's its operator decides."""
    return _BY_HTTPS if request.secure else {}


def around(served: Mapping[Handler, Served], without_cors: frozenset[str]) -> Middleware:
    """Make the middleware.

    Args:
        served: what is known of each handler.
        without_cors: paths that no browser calls; all others, unknown ones too, allow any origin,
            but for the demo shop's, which are for its own page.
    """

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        edges, received = request.app[EDGES], request.app[RECEIVED]
        started_s = edges.clock.monotonic()
        request_id = edges.request_ids.of(request)
        request[SHOWN_ID] = request_id
        what = served.get(request.match_info.handler, _NOWHERE)
        response: web.StreamResponse
        try:
            response = await handler(request)
            what = request.get(SERVED_AS, what)
        except Exception as error:
            what = request.get(SERVED_AS, what)
            if isinstance(error, QueueFull):
                error = received.refused(str(error))
            response = what.errors(error, request, request_id)
            begun = request.get(BEGUN)
            if begun is not None:
                response = begun
                if request.transport is not None:
                    request.transport.abort()
        finally:
            received.release(request)
        headers = response.headers
        headers[REQUEST_ID] = request_id
        is_alone = request.path in without_cors or what.api == "demo"
        headers.update(SECURITY_HEADERS if is_alone else _CORS_TOO)
        headers.update(_transport_headers(request))
        used = request.get(RATE_USED)
        if used is not None and response.status < 300:
            headers[USED] = str(used)
        is_platform = what.api == "platform" or request.path.startswith(_PLATFORM)
        if is_platform and response.content_type == JSON and response.charset is None:
            response.charset = "utf-8"
        if what.api in _PRIVATE:
            headers.setdefault("Cache-Control", "no-store")
        method = shown_method(request)
        duration_s = edges.clock.monotonic() - started_s
        edges.metrics.count_request(
            what.api, method, response.status, duration_s, request.content_length or 0
        )
        if what.call:
            edges.metrics.count_identity_call(what.call, response.status, duration_s)
        level = logging.DEBUG if what.api == "operations" else logging.INFO
        log_access(level, request_id, method, what.path, response.status, duration_s)
        return response

    return answer
