"""Connections and sharing of audiences (spec/audiences.md, 12 and 14)."""

from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from actors.audiences.objects import Audience, Subscription
from server import audience_connection_bodies as bodies
from server.audience_problems import shown_problems, v2_errors
from server.audience_requests import (
    MAY_CHANGE_AUDIENCES,
    json_body,
    no_audience,
    number_in_path,
)
from server.audience_views import shown_subscription
from server.management import ANY_ROLE, audit, enter, enter_account
from server.paths import MANAGEMENT_PREFLIGHT, Route
from server.problems import Refused, json_answer
from server.routes.audiences import AUDIENCE


async def listed(request: web.Request) -> web.Response:
    """GET .../audiences/{id}/subscriptions: all of them, by id."""
    caller = enter(request, ANY_ROLE)
    desk = caller.edge.deployment.audiences.desk
    found = await desk.subscriptions(number_in_path(request, "audience"))
    if found is None:
        raise no_audience()
    return json_answer([shown_subscription(each) for each in found])


async def create(request: web.Request) -> web.Response:
    """POST .../audiences/{id}/subscriptions: connect it to an output."""
    caller = enter(request, MAY_CHANGE_AUDIENCES)
    fields = bodies.read_subscription(await json_body(request, caller), is_new=True)
    audit(caller, "create", "audience_subscription")
    desk = caller.edge.deployment.audiences.desk
    number = number_in_path(request, "audience")
    made = await desk.create_subscription(number, fields, caller.credential.client_id)
    if made is None:
        raise no_audience()
    return json_answer(shown_subscription(made), 201)


async def one(request: web.Request) -> web.Response:
    """GET .../audiences/{id}/subscriptions/{subId}: one of them."""
    caller = enter(request, ANY_ROLE)
    desk = caller.edge.deployment.audiences.desk
    found = await desk.subscriptions(number_in_path(request, "audience"))
    number = number_in_path(request, "subscription")
    for each in found or ():
        if each.number == number:
            return json_answer(shown_subscription(each))
    raise _no_subscription()


async def replace(request: web.Request) -> web.Response:
    """PUT .../audiences/{id}/subscriptions/{subId}: change the fields that are given."""
    caller = enter(request, MAY_CHANGE_AUDIENCES)
    fields = bodies.read_subscription(await json_body(request, caller), is_new=False)
    audit(caller, "replace", "audience_subscription")
    desk = caller.edge.deployment.audiences.desk
    audience, number = _numbers(request)
    made = await desk.replace_subscription(audience, number, fields)
    if made is None:
        raise _no_subscription()
    return json_answer(shown_subscription(made))


async def delete(request: web.Request) -> web.Response:
    """DELETE .../audiences/{id}/subscriptions/{subId}: disconnect."""
    caller = enter(request, MAY_CHANGE_AUDIENCES)
    audit(caller, "delete", "audience_subscription")
    desk = caller.edge.deployment.audiences.desk
    if not await desk.delete_subscription(*_numbers(request)):
        raise _no_subscription()
    return web.Response(status=204)


async def resume(request: web.Request) -> web.Response:
    """POST .../audiences/{id}/subscriptions/{subId}/resume: send what was held."""
    caller = enter(request, MAY_CHANGE_AUDIENCES)
    audit(caller, "resume", "audience_subscription")
    desk = caller.edge.deployment.audiences.desk
    if not await desk.resume_subscription(*_numbers(request)):
        raise _no_subscription()
    return web.Response(status=204)


async def connect(request: web.Request) -> web.Response:
    """POST .../outputs/{outputId}/connect-audiences: many audiences, each by itself."""
    caller = enter(request, MAY_CHANGE_AUDIENCES)
    output = number_in_path(request, "output")
    audiences, fields = bodies.read_bulk(await json_body(request, caller), output)
    audit(caller, "create", "audience_subscription")
    desk = caller.edge.deployment.audiences.desk
    if output not in await desk.audience_outputs():
        raise Refused("NOT_FOUND", "There is no such output that takes audiences.")
    results = await desk.connect_audiences(audiences, fields, caller.credential.client_id)
    rows: list[dict[str, Any]] = []
    for audience, result in zip(audiences, results, strict=True):
        if isinstance(result, Subscription):
            rows.append({"audience_id": audience, "subscription_id": result.number})
        else:
            rows.append({"audience_id": audience, "errors": shown_problems(result)})
    return json_answer(rows)


async def sharing(request: web.Request) -> web.Response:
    """GET .../audiences/{id}/sharing: who may use it."""
    caller = enter(request, ANY_ROLE)
    desk = caller.edge.deployment.audiences.desk
    found = await desk.audience(number_in_path(request, "audience"))
    if found is None:
        raise no_audience()
    return json_answer(_shown_sharing(found))


async def share(request: web.Request) -> web.Response:
    """PUT .../audiences/{id}/sharing: set who may use it."""
    caller = enter(request, MAY_CHANGE_AUDIENCES)
    default, levels = bodies.read_sharing(await json_body(request, caller))
    audit(caller, "replace", "audience_sharing")
    desk = caller.edge.deployment.audiences.desk
    made = await desk.share_audience(number_in_path(request, "audience"), default, levels)
    if made is None:
        raise no_audience()
    return json_answer(_shown_sharing(made))


async def sharing_default(request: web.Request) -> web.Response:
    """GET /platform/v2/accounts/{id}/audience-sharing: the level of new audiences."""
    caller = enter_account(request, ANY_ROLE)
    level, withheld = await caller.edge.deployment.audiences.desk.sharing_default()
    return json_answer({"default_level": level, "withheld_identities": withheld})


async def set_sharing_default(request: web.Request) -> web.Response:
    """PUT /platform/v2/accounts/{id}/audience-sharing: set the level of new audiences."""
    caller = enter_account(request, MAY_CHANGE_AUDIENCES)
    level = bodies.read_sharing_default(await json_body(request, caller))
    audit(caller, "replace", "audience_sharing_default")
    desk = caller.edge.deployment.audiences.desk
    await desk.set_sharing_default(level)
    return await sharing_default(request)


_SUBSCRIPTIONS = AUDIENCE + "/subscriptions"
_ONE = _SUBSCRIPTIONS + "/{subscription}"
_CONNECT = "/platform/v2/workspaces/{workspace}/outputs/{output}/connect-audiences"
_DEFAULT = "/platform/v2/accounts/{account}/audience-sharing"
_ENDPOINTS: tuple[tuple[str, str, Handler], ...] = (
    ("GET", _SUBSCRIPTIONS, listed),
    ("POST", _SUBSCRIPTIONS, create),
    ("GET", _ONE, one),
    ("PUT", _ONE, replace),
    ("DELETE", _ONE, delete),
    ("POST", _ONE + "/resume", resume),
    ("POST", _CONNECT, connect),
    ("GET", AUDIENCE + "/sharing", sharing),
    ("PUT", AUDIENCE + "/sharing", share),
    ("GET", _DEFAULT, sharing_default),
    ("PUT", _DEFAULT, set_sharing_default),
)
ROUTES = tuple(
    Route(method, path, handler, "platform", preflight=MANAGEMENT_PREFLIGHT, errors=v2_errors)
    for method, path, handler in _ENDPOINTS
)


def _numbers(request: web.Request) -> tuple[int, int]:
    return number_in_path(request, "audience"), number_in_path(request, "subscription")


def _shown_sharing(audience: Audience) -> dict[str, Any]:
    levels = {audience.account: "owner", **audience.levels}
    return {
        "default_level": audience.default_level,
        "accounts": [
            {"account_id": account, "level": level} for account, level in sorted(levels.items())
        ],
    }


def _no_subscription() -> Refused:
    return Refused("NOT_FOUND", "There is no such subscription.")
