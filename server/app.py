"""Builds the aiohttp application of an edge."""

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from actors.clock import Clock, Randomness, SystemRandomness
from actors.metric_groups import EdgeMetrics
from server.addresses import ADDRESSES, FAILURES, Addresses, Failures
from server.context import EDGES, Edges
from server.demo import routes as demo
from server.demo.outgoing import Outgoing
from server.deployment import Deployment
from server.edge_config import ConfigHolder
from server.health import HEALTH, Health, worst_of
from server.idempotency import once
from server.limits import RateLimiter
from server.middleware import around
from server.openapi.document import OPENAPI, Document
from server.paths import Route, register, spellings
from server.protocol_log import PROTOCOL_LOG
from server.received import RECEIVED, Received
from server.routes import (
    account_users,
    audience_connections,
    audience_members,
    audience_sharing,
    audiences,
    audiences_v1,
    audit_logs,
    bulk_deletions,
    calculated_attributes,
    client_events,
    configuration,
    connections,
    cookie_sync,
    credentials,
    data_plans,
    data_points,
    data_subject_requests,
    dead_letters,
    dsr_reports,
    events,
    groups,
    identify,
    identity,
    identity_operator,
    inputs,
    journeys,
    modules,
    native_sdk,
    oauth,
    openapi,
    operations,
    output_filters,
    output_registrations,
    outputs,
    pixel,
    predictions,
    previews,
    profiles,
    roles,
    seeds,
    segment,
    segment_browser,
    users,
    web_sdk,
    workspaces,
)
from server.turns import TURNS, Turns

# Fixed paths first: they win over patterns.
_ROUTES = (
    *events.ROUTES,
    *identify.ROUTES,
    *segment.ROUTES,
    *segment_browser.ROUTES,
    *seeds.ROUTES,
    *oauth.ROUTES,
    *credentials.ROUTES,
    *roles.ROUTES,
    *account_users.ROUTES,
    *operations.ROUTES,
    *openapi.ROUTES,
    *client_events.ROUTES,
    *web_sdk.ROUTES,
    *native_sdk.ROUTES,
    *pixel.ROUTES,
    *identity.ROUTES,
    *identity_operator.ROUTES,
    *bulk_deletions.ROUTES,
    *profiles.ROUTES,
    *cookie_sync.ROUTES,
    *users.ROUTES,
    *workspaces.ROUTES,
    *audit_logs.ROUTES,
    *configuration.ROUTES,
    *inputs.ROUTES,
    *modules.ROUTES,
    *outputs.ROUTES,
    *output_filters.ROUTES,
    *output_registrations.ROUTES,
    *connections.ROUTES,
    *dead_letters.ROUTES,
    *previews.ROUTES,
    *data_plans.ROUTES,
    *data_points.ROUTES,
    *data_subject_requests.ROUTES,
    *dsr_reports.ROUTES,
    *groups.ROUTES,
    *audience_members.ROUTES,
    *audiences.ROUTES,
    *calculated_attributes.ROUTES,
    *audience_connections.ROUTES,
    *audience_sharing.ROUTES,
    *journeys.ROUTES,
    *predictions.ROUTES,
    *audiences_v1.ROUTES,
)

# All POSTs of the Platform API can be repeated (spec/platform-api.md, 1).
ROUTES = tuple(
    each._replace(handler=once(each.handler))
    if each.api == "platform" and each.method == "POST"
    else each
    for each in _ROUTES
)

# What an edge's web.AppRunner has to be given: bodies are inflated by server.bodies, within the
# limit; the access log is server.logs's; a pixel's query of 8 KB has to be readable, and all the
# cookies of a site; whoever sends the head of a request too slowly, or nothing, is left after
# longer than proxies keep connections.
RUNNER_OPTIONS: dict[str, Any] = {
    "auto_decompress": False,
    "access_log": None,
    "logger": PROTOCOL_LOG,
    "max_line_size": 16 * 1024,
    "max_field_size": 16 * 1024,
    "keepalive_timeout": 75.0,
}


def make_app(
    workspaces: Sequence[tuple[Deployment, ConfigHolder]],
    clock: Clock,
    limiter: RateLimiter,
    metrics: EdgeMetrics,
    randomness: Randomness | None = None,
    *,
    is_development: bool = False,
    max_received_bytes: int = 128 * 1024 * 1024,
) -> web.Application:
    """Build the application that answers on an edge's port.

    Args:
        workspaces: at least one; of each what the routes act on, and its configuration, which is
            read once per request, so that it can be switched live.
        clock: of receipt times, tokens and rate limits.
        limiter: shared with the machine's other edges.
        metrics: of this process.
        randomness: of request ids; the operating system's by default.
        is_development: whether the demo shop is served too.
        max_received_bytes: of bodies of requests under way.

    Returns:
        An application to be run with `RUNNER_OPTIONS`. `app[HEALTH].is_draining = True` makes
        `/readyz` answer 503 while requests are still served.
    """
    app = web.Application()
    edges = Edges(workspaces, clock, limiter, metrics, randomness or SystemRandomness())
    app[EDGES] = edges
    app[RECEIVED] = Received(max_received_bytes, clock)
    app[ADDRESSES] = Addresses()
    app[FAILURES] = Failures()
    app[TURNS] = Turns()
    readiness = worst_of([deployment.readiness for deployment, _ in workspaces])
    _, first = workspaces[0]
    app[HEALTH] = Health(readiness, lambda: first.current.revision, clock.now_ms())
    app[OPENAPI] = Document("Headwater", ROUTES)
    routes: tuple[Route, ...] = ROUTES
    if is_development:
        app[demo.OUTGOING] = Outgoing()
        routes += demo.ROUTES
    served = register(app, routes)
    server_paths = frozenset(path for route in events.ROUTES for path in spellings(route))
    app.middlewares.append(around(served, server_paths))
    return app
