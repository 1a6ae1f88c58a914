"""Configuration and events of the Android and Apple SDKs (spec/clients.md, 5)."""

from functools import partial
from hashlib import sha256
from uuid import UUID

import orjson
from aiohttp import web

from actors.model.batches import BatchContext
from actors.model.micro_batches import Rejected
from actors.model.workspaces import Environment
from server.bodies import as_text, json_object, keep_received, read_bytes
from server.browsers import client_address
from server.client_configs import native_config
from server.client_proof import is_proven
from server.context import Edge, count_body, edge_of, expect_body
from server.edge_config import EdgeConfig, KeyInfo
from server.native.batches import batch_of
from server.openapi.takes import takes
from server.paths import CLIENT_PREFLIGHT, Route
from server.problems import Refused, client_error_answer, json_answer

CONFIG_PREFIXES = ("/config",)
EVENT_PREFIXES = ("/nativeevents",)
ENVIRONMENT = "x-mp-env"  # of the app's build: 0 as the SDK finds, 1 development, 2 production
DEVELOPMENT = "1"
CACHED = {"Cache-Control": "max-age=600", "Vary": ENVIRONMENT}
MAX_BODY_BYTES = 2 * 1024 * 1024  # crash reports are long


async def config(request: web.Request) -> web.Response:
    """GET /v4/{key}/config?plan_id=&plan_version=: what an app's SDK works by.

    304 while that has not changed.
    """
    edge, current, _ = await _enter(request, CONFIG_PREFIXES)
    is_development = request.headers.get(ENVIRONMENT) == DEVELOPMENT
    environment: Environment = "development" if is_development else "production"
    members = native_config(current, environment, request.query)
    tag = f'"{sha256(orjson.dumps(members)).hexdigest()[:32]}"'
    headers = CACHED | {"ETag": tag}
    if request.headers.get("If-None-Match", "").strip('"') == tag.strip('"'):
        return web.Response(status=304, headers=headers)
    return json_answer(_signed_off(edge, members), headers=headers)


@takes("NativeBatch")
async def events(request: web.Request) -> web.Response:
    """POST /v2/{key}/events: one batch of an app.

    Without a JSON object in the answer Android's SDK would send it again for ever.
    """
    edge, current, key = await _enter(request, EVENT_PREFIXES, brings_events=True)
    batch = batch_of(json_object(as_text(await read_bytes(request, MAX_BODY_BYTES))))
    if batch is None:
        raise Refused("BAD_REQUEST", 'Field "dt" must be "h".')
    if batch.skipped:
        edge.metrics.ingest_drops.labels(
            current.workspace_slug, key.input_id, "unknown_message_type"
        ).inc(batch.skipped)
    context = BatchContext(
        input=key.input,
        api_key=key.key,
        channel="native",
        received_ms=edge.clock.now_ms(),
        is_lenient=True,
        ip=client_address(request, current),
    )
    [result] = await edge.deployment.apply([batch.json], context)
    if isinstance(result, Rejected):
        raise Refused("BAD_REQUEST", result.problems)
    return json_answer(_signed_off(edge, {"dt": "rh", "msgs": []}), 202)


ROUTES = (
    Route("GET", "/v4/{key}/config", config, "client", CONFIG_PREFIXES, CLIENT_PREFLIGHT),
    Route(
        "POST",
        "/v2/{key}/events",
        events,
        "client",
        EVENT_PREFIXES,
        CLIENT_PREFLIGHT,
        client_error_answer,
    ),
)


async def _enter(
    request: web.Request, prefixes: tuple[str, ...], *, brings_events: bool = False
) -> tuple[Edge, EdgeConfig, KeyInfo]:
    """Find the key in the path, and see whether the request may use it.

    Raises:
        Refused: it may not (403).
        ShardUnavailable: it brings events, and the shards cannot take them now.
    """
    edge = edge_of(request)
    current = edge.config.current
    key = current.keys.get(request.match_info["key"])
    if key is None or not key.is_active:
        raise _unproven()
    if brings_events:
        await expect_body(request, edge, current, key.input, MAX_BODY_BYTES)
    else:
        count_body(request, current, key.input)
    await keep_received(request, MAX_BODY_BYTES)
    read = partial(read_bytes, request, MAX_BODY_BYTES)
    if not await is_proven(request, edge, key, current, prefixes, read):
        raise _unproven()
    return edge, current, key


def _signed_off(edge: Edge, members: dict[str, object]) -> dict[str, object]:
    """Add what is different in every answer."""
    answer_id = UUID(int=edge.randomness.bits(128), version=4)
    return {**members, "id": str(answer_id), "ct": edge.clock.now_ms()}


def _unproven() -> Refused:
    return Refused("FORBIDDEN", "The request is not signed by an active key.")
