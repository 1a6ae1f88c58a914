"""The Seeding API: historic values of calculated attributes (spec/calculated-attributes.md, 8)."""

from aiohttp import web

from actors.errors import Problem
from server.bodies import json_object, json_values, read_body
from server.calculated_gateway import Seeded
from server.context import edge_of
from server.openapi.takes import takes
from server.paths import Route
from server.problems import Refused
from server.proofs import prove_workspace_key
from server.rates import admit, used_headers
from server.routes.events import PREFIXES
from server.seed_bodies import MAX_USERS, SeedReader

MAX_BODY_BYTES = 256 * 1024


@takes("Seeds")
async def seeds(request: web.Request) -> web.Response:
    """POST /v2/calculatedattributes: the seeds of one user."""
    return await _seed(request, is_bulk=False)


@takes("ManySeeds")
async def bulk_seeds(request: web.Request) -> web.Response:
    """POST /v2/bulkcalculatedattributes: the seeds of 1 to 1000 users, all or nothing."""
    return await _seed(request, is_bulk=True)


ROUTES = (
    Route("POST", "/v2/calculatedattributes", seeds, "events", PREFIXES),
    Route("POST", "/v2/bulkcalculatedattributes", bulk_seeds, "bulk", PREFIXES),
)


async def _seed(request: web.Request, *, is_bulk: bool) -> web.Response:
    edge = edge_of(request)
    config = edge.config.current
    prove_workspace_key(request, edge, config)
    body = await read_body(request, min(config.max_body_bytes, MAX_BODY_BYTES))
    sent = json_values(body, MAX_USERS) if is_bulk else [json_object(body)]
    used = admit(edge, config.seeding_limits, len(sent))
    calculated = edge.deployment.calculated
    reader = SeedReader(
        await calculated.desk.seed_targets(),
        config.identity.settings.priority,
        edge.clock.now_ms(),
    )
    seeded: list[Seeded] = []
    nobody = 0
    for index, each in enumerate(sent):
        found = reader.read(each, f"[{index}] " if is_bulk else "")
        if found is None:
            nobody += 1
        else:
            seeded.append(found)
    if reader.problems:
        raise Refused("BAD_REQUEST", [Problem(message) for message in reader.problems])
    dropped = nobody + await calculated.plant(seeded)
    edge.metrics.seeds_dropped.labels(config.workspace_slug).inc(dropped)
    return web.Response(status=202, headers=used_headers(used))
