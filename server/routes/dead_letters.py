"""Dead letters of a connection: look, read, replay, export, purge (spec/platform-api.md, 15)."""

import orjson
from aiohttp import web

from server.auditing import audited
from server.bodies import json_object, read_body
from server.dead_letter_filter import (
    NAMES,
    PAGE,
    DeadLetterFilter,
    dead_letter_filter,
    ids_of,
    page_of,
    selection_of,
)
from server.management import (
    WORKSPACE,
    connection_number,
    enter,
)
from server.openapi.takes import takes
from server.paging import next_link
from server.parameters import invalid, page_size
from server.paths import MANAGEMENT_PREFLIGHT, Route
from server.problems import Refused, json_answer
from server.streams import begin

MAX_PAGE = 1000
EXPORT_PAGE = 25  # with payloads, of 1 MiB each at worst


async def listed(request: web.Request) -> web.Response:
    """GET .../dlq?reason=&http_status=&from=&to=&mpid=&limit=&cursor=: oldest first, by page."""
    caller = enter(request, "connections:view")
    connection = connection_number(request, caller.config)
    page = await page_of(
        caller.edge.deployment,
        connection,
        dead_letter_filter(request.query),
        page_size(request, MAX_PAGE, MAX_PAGE),
        request.query.get("cursor"),
    )
    return json_answer(page, headers=next_link(request, page["next_cursor"]))


async def one(request: web.Request) -> web.Response:
    """GET .../dlq/{delivery}: one dead letter with its payload."""
    caller = enter(request, "connections:view")
    connection = connection_number(request, caller.config)
    found = await caller.edge.deployment.dead_letter(connection, request.match_info["delivery"])
    if found is None:
        raise _not_found()
    return json_answer(found)


@audited("replay", "dead_letters", "connection")
@takes("DeadLetterSelection")
async def replay(request: web.Request) -> web.Response:
    """POST .../dlq/replay: put some or all of them into the queue again.

    Shards do so a page at a time, that nothing waits long for them. What an error ends half way can
    be asked for again.
    """
    caller = enter(request, "connections:connect_integration")
    connection = connection_number(request, caller.config)
    which = selection_of(json_object(await read_body(request, caller.config.max_body_bytes)))
    deployment = caller.edge.deployment
    if isinstance(which, DeadLetterFilter):
        # Listed to the end before the first is replayed, so that no page moves meanwhile.
        pages = [ids async for ids in ids_of(deployment, connection, which)]
    else:
        pages = [which[start : start + PAGE] for start in range(0, len(which), PAGE)]
    replayed = [await deployment.replay_dead_letters(connection, ids) for ids in pages]
    return json_answer({"replayed": sum(replayed)}, 202)


@audited("delete", "dead_letters", "connection")
async def purge(request: web.Request) -> web.Response:
    """DELETE .../dlq?reason=&http_status=&from=&to=&mpid=: delete some, or all, for good."""
    caller = enter(request, "connections:connect_integration")
    connection = connection_number(request, caller.config)
    unknown = request.query.keys() - set(NAMES)
    if unknown:  # a filter that is not understood must not delete all
        raise invalid(min(unknown), f"is not a filter; filters are {', '.join(NAMES)}")
    wanted = dead_letter_filter(request.query)
    deployment = caller.edge.deployment
    pages = [ids async for ids in ids_of(deployment, connection, wanted)]
    purged = [await deployment.discard_dead_letters(connection, ids) for ids in pages]
    return json_answer({"purged": sum(purged)})


@audited("delete", "dead_letter", "delivery")
async def discard(request: web.Request) -> web.Response:
    """DELETE .../dlq/{delivery}: delete one for good."""
    caller = enter(request, "connections:connect_integration")
    connection = connection_number(request, caller.config)
    ids = [request.match_info["delivery"]]
    if not await caller.edge.deployment.discard_dead_letters(connection, ids):
        raise _not_found()
    return web.Response(status=204)


@audited("export", "dead_letters", "connection")
async def export(request: web.Request) -> web.StreamResponse:
    """GET .../dlq/export?reason=&http_status=&from=&to=&mpid=: with payloads, a line for each."""
    caller = enter(request, "connections:view")
    connection = connection_number(request, caller.config)
    deployment, wanted = caller.edge.deployment, dead_letter_filter(request.query)
    page = await page_of(deployment, connection, wanted, EXPORT_PAGE, None, is_whole=True)
    headers = {"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"}
    response = web.StreamResponse(headers=headers)
    await begin(request, response)
    while True:
        if page["items"]:
            await response.write(b"".join(orjson.dumps(each) + b"\n" for each in page["items"]))
        cursor = page["next_cursor"]
        if cursor is None:
            await response.write_eof()
            return response
        page = await page_of(deployment, connection, wanted, EXPORT_PAGE, cursor, is_whole=True)


_DEAD_LETTERS = WORKSPACE + "/output-connections/{connection}/dlq"

ROUTES = (
    Route("POST", _DEAD_LETTERS + "/replay", replay, "platform", preflight=MANAGEMENT_PREFLIGHT),
    Route("GET", _DEAD_LETTERS, listed, "platform", preflight=MANAGEMENT_PREFLIGHT),
    Route("DELETE", _DEAD_LETTERS, purge, "platform", preflight=MANAGEMENT_PREFLIGHT),
    Route("GET", _DEAD_LETTERS + "/export", export, "platform", preflight=MANAGEMENT_PREFLIGHT),
    Route("GET", _DEAD_LETTERS + "/{delivery}", one, "platform", preflight=MANAGEMENT_PREFLIGHT),
    Route(
        "DELETE", _DEAD_LETTERS + "/{delivery}", discard, "platform", preflight=MANAGEMENT_PREFLIGHT
    ),
)


def _not_found() -> Refused:
    return Refused("NOT_FOUND", "There is no such dead letter.")
