"""The application of the admin port: metrics, health, status (spec/observability.md, 6 and 7)."""

from collections.abc import Awaitable, Callable, Mapping
from hmac import compare_digest
from typing import Any

from aiohttp import web

from actors.clock import Clock
from actors.metric_snapshots import merge
from server.auth import bearer
from server.edge_config import ConfigHolder
from server.health import HEALTH, Health
from server.paths import Route, register
from server.problems import Refused, error_answer, json_answer
from server.routes import operations

Snapshots = Mapping[tuple[str, str], bytes]


class Admin:
    """What the admin port answers from.

    Attributes:
        snapshots: returns (role, instance) to the latest snapshot of that process's metrics.
        status: returns actors, shards, queues, connections and disk for `/admin/status`.
        config: whose credentials may read the status.
        clock: of tokens.
        metrics_token: bearer token that `/metrics` asks for, `None` for none.
        max_series: label sets on one page of metrics.
    """

    def __init__(
        self,
        snapshots: Callable[[], Awaitable[Snapshots]],
        status: Callable[[], Awaitable[dict[str, Any]]],
        config: ConfigHolder,
        clock: Clock,
        metrics_token: str | None,
        max_series: int,
    ) -> None:
        self.snapshots = snapshots
        self.status = status
        self.config = config
        self.clock = clock
        self.metrics_token = metrics_token
        self.max_series = max_series


ADMIN = web.AppKey("admin", Admin)


def make_admin_app(admin: Admin, health: Health) -> web.Application:
    """Build the application that answers on the admin port."""
    app = web.Application(middlewares=[_with_error_bodies])
    app[ADMIN] = admin
    app[HEALTH] = health
    register(app, (*operations.ROUTES, *ROUTES))
    return app


async def metrics(request: web.Request) -> web.Response:
    """GET /metrics: what all processes report, for Prometheus."""
    admin = request.app[ADMIN]
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
    admin = request.app[ADMIN]
    credential = bearer(request, "platform", admin.config.current, admin.clock)
    if credential.role != "admin":
        raise Refused("FORBIDDEN", "The credential's role does not allow this.")
    return json_answer(await admin.status())


ROUTES = (
    Route("GET", "/metrics", metrics, "operations"),
    Route("GET", "/admin/status", status, "operations"),
)


@web.middleware
async def _with_error_bodies(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except Exception as error:
        return error_answer(error, request, "none")
