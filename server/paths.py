"""Routes as the specification writes them, and the paths that aiohttp is given for them."""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler

from server.problems import ErrorWriter, error_answer

Api = Literal[
    "events",
    "bulk",
    "historical",
    "client",
    "pixel",
    "segment",
    "identity",
    "oauth",
    "profile",
    "deletion",
    "platform",
    "dsr",
    "operations",
    "demo",
    "none",  # nothing is registered there
]

CLIENT_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    # By name: `*` does not cover Authorization (spec/clients.md, 2). The last five are on what
    # RudderStack's browser SDK sends again; without them its events are lost with the first fault.
    "Access-Control-Allow-Headers": "accept, authorization, content-type, content-encoding, date, "
    "x-mp-key, x-mp-signature, anonymousid, sentat, x-retry-count, rsa-retry-attempt, "
    "rsa-retry-reason, rsa-since-first-attempt, rsa-since-last-attempt, rsa-recovered",
    "Access-Control-Max-Age": "86400",
}
MANAGEMENT_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
}

_ANY_CASE = re.compile(r"(?<=/)([A-Za-z]*[A-Z][A-Za-z]*)(?=/|$)")


class Route(NamedTuple):
    """One method and path.

    A segment with a capital letter matches in any case; a trailing slash is accepted on every
    path. `prefixes`: the path is served below each of these too. `preflight`: the headers that an
    `OPTIONS` request is answered with; `None` where no browser is expected. `errors`: how the API
    writes errors. `call`: what an identity call is named in metrics, empty for all others.
    """

    method: str
    path: str
    handler: Handler
    api: Api
    prefixes: tuple[str, ...] = ()
    preflight: dict[str, str] | None = None
    errors: ErrorWriter = error_answer
    call: str = ""


def management_routes(
    errors: ErrorWriter, *endpoints: tuple[str, str, Handler]
) -> tuple[Route, ...]:
    """Return the routes of a part of the Platform API.

    Args:
        errors: how it writes errors.
        endpoints: method, path and handler of each.
    """
    return tuple(
        Route(method, path, handler, "platform", preflight=MANAGEMENT_PREFLIGHT, errors=errors)
        for method, path, handler in endpoints
    )


class Served(NamedTuple):
    """What the middleware has to know of a handler; `path` is without values."""

    api: Api
    path: str
    errors: ErrorWriter = error_answer
    call: str = ""


# Set by a handler of a path that two APIs share, as soon as it is known which of them is asked.
SERVED_AS = web.RequestKey("served_as", Served)


def register(app: web.Application, routes: tuple[Route, ...]) -> dict[Handler, Served]:
    """Register routes in all their spellings; fixed paths must come before patterns."""
    served: dict[Handler, Served] = {}
    preflights: set[str] = set()
    for route in routes:
        served.setdefault(route.handler, Served(route.api, route.path, route.errors, route.call))
        for path in spellings(route):
            if route.method == "GET":
                app.router.add_get(path, route.handler)  # and HEAD
            else:
                app.router.add_route(route.method, path, route.handler)
            if route.preflight is not None and path not in preflights:
                preflights.add(path)
                answer = _preflight(route.preflight)
                served[answer] = Served(route.api, route.path)
                app.router.add_route("OPTIONS", path, answer)
    return served


def spellings(route: Route) -> Iterator[str]:
    """Yield a route's paths in aiohttp's notation."""
    for prefix in ("", *route.prefixes):
        path = prefix + route.path
        if "{" in path:
            yield _ANY_CASE.sub(r"{_\1:(?i:\1)}", path) + "{_slash:/?}"
        else:
            yield path
            yield path + "/"


def _preflight(headers: dict[str, str]) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=204, headers=headers)

    return answer
