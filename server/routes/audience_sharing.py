"""Sharing of audiences with other accounts (spec/audiences.md, 12.1 and 14)."""

from typing import Any

from aiohttp import web

from actors.audiences.objects import Audience
from server import audience_sharing_bodies as bodies
from server.audience_problems import v2_errors
from server.audience_requests import (
    MAY_CHANGE_AUDIENCES,
    MAY_READ_AUDIENCES,
    enter_owned,
    enter_use,
    json_body,
    no_audience,
    number_in_path,
)
from server.audience_views import moment
from server.auditing import audited
from server.context import EDGES
from server.management import enter_account
from server.openapi.takes import takes
from server.paths import management_routes
from server.problems import json_answer
from server.routes.audiences import AUDIENCE


async def sharing(request: web.Request) -> web.Response:
    """GET .../audiences/{id}/sharing: who may use it, and who asks to."""
    use = await enter_owned(request, MAY_READ_AUDIENCES)
    found = await use.desk.audience(number_in_path(request, "audience"))
    if found is None:
        raise no_audience()
    return json_answer(_shown_sharing(found))


@audited("update", "audience_sharing", "audience", sharing)
@takes("Sharing")
async def share(request: web.Request) -> web.Response:
    """PUT .../audiences/{id}/sharing: set who may use it."""
    use = await enter_owned(request, MAY_CHANGE_AUDIENCES)
    number = number_in_path(request, "audience")
    body = await json_body(request, use.caller)
    found = await use.desk.audience(number)
    if found is None:
        raise no_audience()
    default, levels = bodies.read_sharing(body, found.account, _shown_sharing(found))
    made = await use.desk.share_audience(number, default, levels)
    if made is None:
        raise no_audience()
    return json_answer(_shown_sharing(made))


@audited("create", "audience_access_request", "audience")
@takes("AccessRequest")
async def request_access(request: web.Request) -> web.Response:
    """POST .../audiences/{id}/sharing/requests: ask its owner for a higher level."""
    use = await enter_use(request, MAY_CHANGE_AUDIENCES)
    caller = use.caller
    asked = bodies.read_access_request(
        await json_body(request, caller), caller.credential.client_id, caller.edge.clock.now_ms()
    )
    number = number_in_path(request, "audience")
    if await use.desk.request_access(number, caller.config.account, asked) is None:
        raise no_audience()
    return web.Response(status=202)


async def sharing_default(request: web.Request) -> web.Response:
    """GET /platform/v2/accounts/{id}/audience-sharing: what holds for all of an account."""
    caller = enter_account(request, MAY_READ_AUDIENCES)
    level, withheld = await caller.edge.deployment.audiences.desk.sharing_default()
    return json_answer(
        {
            "default_level": level,
            "withheld_identities": [
                {"account_id": account, "identity_types": types}
                for account, types in sorted(withheld.items())
            ],
        }
    )


@audited("update", "audience_sharing_default", "account", sharing_default)
@takes("SharingDefault")
async def set_sharing_default(request: web.Request) -> web.Response:
    """PUT /platform/v2/accounts/{id}/audience-sharing: set it, for all workspaces of the account.

    Each keeps it for itself: an answer of 503 may have reached some, and repeating mends that.
    """
    caller = enter_account(request, MAY_CHANGE_AUDIENCES)
    level, withheld = bodies.read_sharing_default(await json_body(request, caller))
    for edge in request.app[EDGES].all:
        if edge.config.current.account == caller.config.account:
            await edge.deployment.audiences.desk.set_sharing_default(level, withheld)
    return await sharing_default(request)


_DEFAULT = "/platform/v2/accounts/{account}/audience-sharing"
ROUTES = management_routes(
    v2_errors,
    ("GET", AUDIENCE + "/sharing", sharing),
    ("PUT", AUDIENCE + "/sharing", share),
    ("POST", AUDIENCE + "/sharing/requests", request_access),
    ("GET", _DEFAULT, sharing_default),
    ("PUT", _DEFAULT, set_sharing_default),
)


def _shown_sharing(audience: Audience) -> dict[str, Any]:
    levels = {audience.account: bodies.OWNER, **audience.levels}
    return {
        "default_level": audience.default_level,
        "accounts": [
            {"account_id": account, "level": level} for account, level in sorted(levels.items())
        ],
        "requests": [
            {
                "account_id": account,
                "level": each.level,
                "start": each.start,
                "end": each.end,
                "details": each.details,
                "platforms": each.platforms,
                "requested_by": each.requested_by,
                "requested_on": moment(each.requested_ms),
            }
            for account, each in sorted(audience.access_requests.items())
        ],
    }
