"""What erasures have removed (spec/privacy.md, 5.5)."""

import msgspec
from aiohttp import web

from actors.privacy.statements import shown_time
from server.management import WORKSPACE, enter, write_audit
from server.paths import MANAGEMENT_PREFLIGHT, Route
from server.problems import Refused

_encode = msgspec.json.Encoder().encode


async def report(request: web.Request) -> web.Response:
    """GET .../dsr/{id}/report: what was removed of which store, signed."""
    caller = enter(request, "privacy:settings")
    privacy = caller.edge.deployment.privacy
    found = await privacy.desk.request(request.match_info["id"])
    if found is None:
        raise Refused("NOT_FOUND", "There is no such request.")
    await write_audit(caller, "read", "dsr", found.id)
    shown = {
        "subject_request_id": found.id,
        "subject_request_type": found.sent.type,
        "request_status": found.status,
        "profiles": len(found.about or found.subjects or ()),
        "stages": [
            {
                "store": each.store,
                "removed": each.removed,
                "finished_time": shown_time(each.finished_ms),
            }
            for each in found.stages
        ],
    }
    body = _encode(shown)
    return web.Response(
        body=body,
        content_type="application/json",
        headers=privacy.signer.headers(found.sent.version, body),
    )


ROUTES = (
    Route(
        "GET",
        WORKSPACE + "/dsr/{id}/report",
        report,
        "platform",
        preflight=MANAGEMENT_PREFLIGHT,
    ),
)
