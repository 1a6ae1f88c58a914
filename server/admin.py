"""The application of the admin port: metrics, health, status (spec/observability.md, 6 and 7)."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hmac import compare_digest
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from actors.clock import Clock, SystemRandomness
from actors.metric_snapshots import merge
from config.roles import ADMINISTRATORS
from server.auth import bearer, bearer_client
from server.bodies import read_body
from server.edge_config import ConfigHolder, EdgeConfig
from server.health import HEALTH, Health
from server.log_levels import MAX_BODY_BYTES, LogLevels, read_log_level
from server.logs import log_access
from server.middleware import SECURITY_HEADERS
from server.openapi.document import OPENAPI, Document
from server.openapi.takes import takes
from server.paths import Route, Served, register
from server.problems import RETRY_AFTER_UNAVAILABLE_S, Refused, error_answer, json_answer
from server.rebalance import MAX_BODY_BYTES as REBALANCE_BYTES
from server.rebalance import read_move, shown
from server.request_ids import REQUEST_ID, RequestIds, shown_method
from server.routes import openapi, operations
from server.slot_moves import SlotMoves
from server.status_board import StatusBoard, as_page

Snapshots = Mapping[tuple[str, str], bytes]


class Admin:
    """What the admin port answers from.

    Attributes:
        snapshots: returns (role, instance) to the latest snapshot of that process's metrics.
        status: returns actors, shards, queues, connections and disk for `/admin/status`.
        board: of `/status`.
        log_levels: of all processes.
        configs: whose administrators may read the status and set log levels, at least one.
        clock: of tokens.
        metrics_token: bearer token that `/metrics` asks for, `None` for none.
        max_series: label sets on one page of metrics.
        moves: of slots between shards.
        has_started: whether there are actors to answer from; until then only health is told.
    """

    def __init__(
        self,
        snapshots: Callable[[], Awaitable[Snapshots]],
        status: Callable[[], Awaitable[dict[str, Any]]],
        board: StatusBoard,
        log_levels: LogLevels,
        configs: Sequence[ConfigHolder],
        clock: Clock,
        metrics_token: str | None,
        max_series: int,
        moves: SlotMoves,
        has_started: Callable[[], bool],
    ) -> None:
        self.snapshots = snapshots
        self.status = status
        self.board = board
        self.log_levels = log_levels
        self.configs = configs
        self.clock = clock
        self.metrics_token = metrics_token
        self.max_series = max_series
        self.moves = moves
        self.has_started = has_started


ADMIN = web.AppKey("admin", Admin)


def make_admin_app(admin: Admin, health: Health) -> web.Application:
    """Build the application that answers on the admin port."""
    app = web.Application()
    app[ADMIN] = admin
    app[HEALTH] = health
    routes = (*operations.ROUTES, *openapi.ROUTES, *ROUTES)
    app[OPENAPI] = Document("Headwater: admin port", routes)
    served = register(app, routes)
    app.middlewares.append(_around(served, admin.clock, RequestIds(SystemRandomness())))
    return app


async def metrics(request: web.Request) -> web.Response:
    """GET /metrics: what all processes report, for Prometheus."""
    admin = _started(request)
    if admin.metrics_token is not None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        is_known = compare_digest(
            token.strip().encode(errors="surrogateescape"), admin.metrics_token.encode()
        )
        if scheme.lower() != "bearer" or not is_known:
            raise Refused("UNAUTHORIZED", "The bearer token of the metrics is missing or wrong.")
    page, content_type = merge(
        await admin.snapshots(), request.headers.get("Accept"), admin.max_series
    )
    return web.Response(body=page, headers={"Content-Type": content_type})


async def status(request: web.Request) -> web.Response:
    """GET /admin/status: how the deployment is doing; for administrators."""
    admin = _enter(request)
    return json_answer(await admin.status())


@takes("LogLevel")
async def log_level(request: web.Request) -> web.Response:
    """PUT /admin/loglevel: another level for a while, in all processes; for administrators."""
    admin = _enter(request)
    wanted = read_log_level(await read_body(request, MAX_BODY_BYTES))
    await admin.log_levels.set(wanted)
    return json_answer(wanted)


async def slots(request: web.Request) -> web.Response:
    """GET /admin/slots: which shard has which slots, and what is moving; for administrators."""
    moves = _enter(request).moves
    return json_answer(shown(moves.slots, moves.under_way))


@takes("SlotMove")
async def move_slots(request: web.Request) -> web.Response:
    """POST /admin/slots: move slots to another shard; for administrators.

    Answers after a pass of a second or two, in which maybe only the first of them have moved.
    """
    moves = _enter(request).moves
    await moves.move(read_move(await read_body(request, REBALANCE_BYTES), moves.slots))
    return json_answer(shown(moves.slots, moves.under_way))


async def status_page(request: web.Request) -> web.Response:
    """GET /status: what works and what does not, for everybody; as JSON by `Accept`."""
    shown = await _started(request).board.condition()
    if "application/json" in request.headers.get("Accept", ""):
        return json_answer(shown)
    return web.Response(text=as_page(shown), content_type="text/html", charset="utf-8")


def _started(request: web.Request) -> Admin:
    """Return what the port answers from, once there is something."""
    admin = request.app[ADMIN]
    if not admin.has_started():
        raise Refused(
            "SERVICE_UNAVAILABLE",
            "The deployment is starting.",
            {"Retry-After": str(RETRY_AFTER_UNAVAILABLE_S)},
        )
    return admin


def _enter(request: web.Request) -> Admin:
    """Return what the port answers from, if an administrator asks."""
    admin = _started(request)
    credential = bearer(request, "platform", _config_of(request, admin), admin.clock)
    if credential.role not in ADMINISTRATORS:
        raise Refused("FORBIDDEN", "The credential's role does not allow this.")
    return admin


def _config_of(request: web.Request, admin: Admin) -> EdgeConfig:
    """Return that of the workspace whose client a request names, the first if none has it."""
    client_id = bearer_client(request.headers.get("Authorization", ""))
    configs = [each.current for each in admin.configs]
    return next((each for each in configs if client_id in each.credentials), configs[0])


ROUTES = (
    Route("GET", "/metrics", metrics, "operations"),
    Route("GET", "/admin/status", status, "operations"),
    Route("GET", "/admin/slots", slots, "operations"),
    Route("POST", "/admin/slots", move_slots, "operations"),
    Route("PUT", "/admin/loglevel", log_level, "operations"),
    Route("GET", "/status", status_page, "operations"),
)


# Asked every few seconds by probes and Prometheus (spec/observability.md, 8).
_OFTEN = frozenset({*(route.path for route in operations.ROUTES), "/metrics"})
_HEADERS = SECURITY_HEADERS | {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}


def _around(served: Mapping[Handler, Served], clock: Clock, ids: RequestIds) -> Middleware:
    """Make what surrounds every request: its id, errors, and the line in the access log."""

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        started_s = clock.monotonic()
        request_id = ids.of(request)
        response: web.StreamResponse
        try:
            response = await handler(request)
        except Exception as error:
            response = error_answer(error, request, request_id)
        response.headers.update(_HEADERS)
        response.headers[REQUEST_ID] = request_id
        what = served.get(request.match_info.handler)
        path = "" if what is None else what.path
        log_access(
            logging.DEBUG if path in _OFTEN else logging.INFO,
            request_id,
            shown_method(request),
            path,
            response.status,
            clock.monotonic() - started_s,
        )
        return response

    return answer
