"""Batches of web SDKs (spec/events-api.md, 16; spec/clients.md, 4.4).

Lenient, because the SDK repeats a batch that was answered 400 for ever: what is invalid inside a
batch is left out by the decoding, and only a body that is no JSON object is refused.
"""

from aiohttp import web

from actors.model.batches import BatchContext
from actors.model.micro_batches import Rejected
from server.auth import web_key
from server.bodies import one_batch, read_body
from server.browsers import client_address, user_agent
from server.context import edge_of, expect_body
from server.openapi.takes import takes
from server.paths import CLIENT_PREFLIGHT, Route
from server.problems import Refused, client_error_answer


@takes("Batch")
async def client_events(request: web.Request) -> web.Response:
    """POST /v3/JS/{key}/events: one batch of a browser."""
    edge = edge_of(request)
    config = edge.config.current
    key = web_key(request.match_info["key"], config)
    await expect_body(request, edge, config, key.input, config.max_body_bytes)
    batch = one_batch(await read_body(request, config.max_body_bytes))
    context = BatchContext(
        input=key.input,
        api_key=key.key,
        channel="javascript",
        received_ms=edge.clock.now_ms(),
        is_lenient=True,
        ip=client_address(request, config),
        user_agent=user_agent(request),
    )
    [result] = await edge.deployment.apply([batch], context)
    if isinstance(result, Rejected):
        raise Refused("BAD_REQUEST", result.problems)
    return web.Response(status=202)


ROUTES = (
    Route(
        "POST",
        "/v3/JS/{key}/events",
        client_events,
        "client",
        prefixes=("/webevents",),
        preflight=CLIENT_PREFLIGHT,
        errors=client_error_answer,
    ),
)
