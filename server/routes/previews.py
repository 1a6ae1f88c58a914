"""What a connection would get of a batch (spec/platform-api.md, 15; spec/connections.md, 2)."""

from aiohttp import web

from actors.model.micro_batches import Rejected
from server.bodies import one_batch, read_body
from server.management import (
    WORKSPACE,
    audit,
    connection_number,
    enter,
)
from server.openapi.takes import takes
from server.paths import MANAGEMENT_PREFLIGHT, Route
from server.problems import Refused, json_answer


@takes("Batch")
async def preview(request: web.Request) -> web.Response:
    """POST .../preview: payloads that a batch would become, and what would be left out, and why.

    Nothing is stored, counted or sent.
    """
    caller = enter(request, "connections:connect_integration")
    connection = connection_number(request, caller.config)
    raw = one_batch(await read_body(request, caller.config.max_body_bytes))
    audit(caller, "preview", "connection")
    found = await caller.edge.deployment.preview(connection, raw)
    if found is None:
        raise Refused("NOT_FOUND", "There is no such connection.")
    if isinstance(found, Rejected):
        raise Refused("BAD_REQUEST", found.problems)
    headers = caller.config.shown_headers.get(connection, {})
    payloads = [
        {
            "delivery_id": each["delivery_id"],
            "headers": headers.get(each["environment"], {}),
            "body": each["body"],
        }
        for each in found["payloads"]
    ]
    return json_answer({"payloads": payloads, "dropped": found["dropped"]})


ROUTES = (
    Route(
        "POST",
        WORKSPACE + "/output-connections/{connection}/preview",
        preview,
        "platform",
        preflight=MANAGEMENT_PREFLIGHT,
    ),
)
