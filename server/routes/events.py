"""The Events API for servers (spec/events-api.md, 1 to 5).

The order of checks is that of section 3.1: authentication, size, syntax, rate, then the batches.
"""

from collections.abc import Sequence

from aiohttp import web

from actors.errors import Problem
from actors.model.batches import BatchContext
from actors.model.micro_batches import Rejected
from server.bodies import many_batches, one_batch, read_body
from server.context import Edge, edge_of, expect_body
from server.deployment import FinalResult
from server.edge_config import EdgeConfig, KeyInfo
from server.openapi.takes import takes
from server.paths import Route
from server.problems import MAX_PROBLEMS, Refused, errors_body
from server.proofs import key_of_basic
from server.rates import admit, used_headers

PREFIXES = ("/s2s",)  # mParticle's partners are given such addresses


@takes("Batch")
async def events(request: web.Request) -> web.Response:
    """POST /v2/events: one batch."""
    edge = edge_of(request)
    config = edge.config.current
    key = key_of_basic(request, edge, config)
    await expect_body(request, edge, config, key.input, config.max_body_bytes)
    batch = one_batch(await read_body(request, config.max_body_bytes))
    used = _admit(edge, config, key, 1)
    [result] = await edge.deployment.apply([batch], _context(edge, key, is_historical=False))
    if isinstance(result, Rejected):
        raise Refused("BAD_REQUEST", result.problems)
    return web.Response(status=202, headers=used_headers(used))


@takes("Batches")
async def bulk_events(request: web.Request) -> web.Response:
    """POST /v2/bulkevents: 1 to 100 batches."""
    return await _bulk(request, is_historical=False)


@takes("Batches")
async def historical_events(request: web.Request) -> web.Response:
    """POST /v2/bulkevents/historical: batches older than 72 hours, for a backfill."""
    return await _bulk(request, is_historical=True)


ROUTES = (
    Route("POST", "/v2/events", events, "events", PREFIXES),
    Route("POST", "/v2/bulkevents", bulk_events, "bulk", PREFIXES),
    Route("POST", "/v2/bulkevents/historical", historical_events, "historical", PREFIXES),
)


async def _bulk(request: web.Request, *, is_historical: bool) -> web.Response:
    edge = edge_of(request)
    config = edge.config.current
    key = key_of_basic(request, edge, config)
    await expect_body(request, edge, config, key.input, config.max_body_bytes)
    body = await read_body(request, config.max_body_bytes)
    batches = many_batches(body, config.max_batches)
    used = _admit(edge, config, key, len(batches))
    context = _context(edge, key, is_historical=is_historical)
    results = await edge.deployment.apply(batches, context)
    rejections = [result for result in results if isinstance(result, Rejected)]
    if not rejections:
        return web.Response(status=202, headers=used_headers(used))
    problems = _problems(results)
    if len(rejections) == len(results):
        raise Refused("BAD_REQUEST", problems)
    return web.Response(
        status=202,
        body=errors_body("BAD_REQUEST", problems),
        headers=used_headers(used),
        content_type="application/json",
    )


def _admit(edge: Edge, config: EdgeConfig, key: KeyInfo, batches: int) -> int | None:
    try:
        return admit(edge, key.limits, batches)
    except Refused:
        edge.metrics.ingest_batches.labels(
            config.workspace_slug, key.input_id, "unknown", "rate_limited"
        ).inc(batches)
        raise


def _context(edge: Edge, key: KeyInfo, *, is_historical: bool) -> BatchContext:
    return BatchContext(
        input=key.input,
        api_key=key.key,
        channel="partner" if key.is_partner else "server_to_server",
        received_ms=edge.clock.now_ms(),
        is_historical=is_historical,
    )


def _problems(results: Sequence[FinalResult]) -> list[Problem]:
    """Collect the problems of all batches, with paths from the request's root."""
    problems: list[Problem] = []
    for index, result in enumerate(results):
        if not isinstance(result, Rejected):
            continue
        for problem in result.problems:
            path = f"[{index}]" if problem.path is None else f"[{index}].{problem.path}"
            problems.append(Problem(problem.message, path))
        if len(problems) >= MAX_PROBLEMS:
            break
    return problems
