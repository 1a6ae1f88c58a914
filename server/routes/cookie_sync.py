"""Return leg of cookie sync: a partner names its id of a user (spec/connections.md, 8)."""

import orjson
from aiohttp import web

from actors.model.batches import BatchContext
from actors.model.workspaces import ENVIRONMENTS, Environment
from actors.outputs.firehose.registration import COOKIE_SYNC_ID
from server.browsers import client_address, user_agent
from server.context import EDGES, Edge
from server.edge_config import KeyInfo
from server.limits import Limit
from server.parameters import int64, invalid
from server.paths import Route
from server.problems import Refused
from server.rates import admit
from server.routes.pixel import gif

MAX_ID_CHARS = 256
# Of each module in each workspace. Nothing proves who asks, and shards are asked; a browser comes
# once in days. Counted apart from the input's batches, so that strangers use up nothing of theirs.
SYNCS_PER_S = 270


async def cookie_sync(request: web.Request) -> web.Response:
    """GET /v1/cookiesync/{module}?mpid=&id=: an image, whatever comes of it.

    An unknown module or user changes nothing, nor do those that several workspaces know. HEAD
    looks only. 429 beyond `SYNCS_PER_S`.
    """
    partner_id = request.query.get("id", "")
    if len(partner_id) > MAX_ID_CHARS:
        raise invalid("id", f"must have at most {MAX_ID_CHARS} characters")
    try:
        mpid = int64(request.query.get("mpid", ""), "mpid")
        module = int64(request.match_info["module"], "module")
    except Refused:
        return gif()
    if partner_id and request.method == "GET":
        found: list[tuple[Edge, KeyInfo, Environment]] = []
        for edge in request.app[EDGES].all:
            key = _key_of(edge, module)
            if key is not None:
                name = f"cookie_sync:{edge.config.current.workspace}:{module}"
                admit(edge, [Limit("app", name, SYNCS_PER_S, SYNCS_PER_S)], 1)
                environment = await _environment_of(edge, mpid)
                if environment is not None:
                    found.append((edge, key, environment))
        # Workspaces of one identity scope share users, and each numbers its outputs by itself:
        # where two can be meant, one of them would get the id of another's partner.
        if len(found) == 1:
            await _store(request, *found[0], mpid, partner_id)
    return gif()


# Behind the routes of keys in paths: `cookiesync` can be a key.
ROUTES = (Route("GET", "/v1/cookiesync/{module}", cookie_sync, "pixel"),)


def _key_of(edge: Edge, module: int) -> KeyInfo | None:
    """Return an active key of an input whose pages load the image of a module."""
    config = edge.config.current
    inputs = {
        source
        for (source, _), pixels in config.pixels.items()
        if any(each.module == module for each in pixels)
    }
    keys = config.keys.values()
    return next((each for each in keys if each.is_active and each.input in inputs), None)


async def _environment_of(edge: Edge, mpid: int) -> Environment | None:
    """Return where a user is known; production first."""
    for environment in ENVIRONMENTS:
        if await edge.deployment.profile(mpid, environment, ()) is not None:
            return environment
    return None


async def _store(
    request: web.Request,
    edge: Edge,
    key: KeyInfo,
    environment: Environment,
    mpid: int,
    partner_id: str,
) -> None:
    batch = {
        "mpid": mpid,
        "environment": environment,
        "partner_identities": {COOKIE_SYNC_ID: partner_id},
    }
    context = BatchContext(
        input=key.input,
        api_key=key.key,
        channel="pixel",
        received_ms=edge.clock.now_ms(),
        ip=client_address(request, edge.config.current),
        user_agent=user_agent(request),
    )
    await edge.deployment.apply([orjson.dumps(batch)], context)
