"""Connections of audiences (spec/audiences.md, 12.2 and 14)."""

import logging
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from actors.audiences.objects import Subscription
from actors.errors import AudienceRefused, ShardUnavailable
from server import audience_connection_bodies as bodies
from server.audience_problems import shown_problems, v2_errors
from server.audience_requests import (
    MAY_CHANGE_AUDIENCES,
    MAY_READ_AUDIENCES,
    Use,
    enter_use,
    json_body,
    no_audience,
    number_in_path,
    uses_by_audience,
)
from server.audience_views import shown_subscription
from server.auditing import audited
from server.bodiless import without_body
from server.management import enter, write_audit
from server.openapi.takes import takes
from server.paging import paged
from server.paths import management_routes
from server.problems import Refused, json_answer
from server.routes.audiences import AUDIENCE

logger = logging.getLogger("headwater.http")


async def listed(request: web.Request) -> web.Response:
    """GET .../audiences/{id}/subscriptions?limit=&cursor=: all of them, by id."""
    use = await enter_use(request, MAY_READ_AUDIENCES)
    found = await use.desk.subscriptions(number_in_path(request, "audience"), use.receiver)
    if found is None:
        raise no_audience()
    return paged(request, await _shown(use, found))


@audited("create", "audience_subscription")
@takes("NewSubscription")
async def create(request: web.Request) -> web.Response:
    """POST .../audiences/{id}/subscriptions: connect it to an output."""
    use = await enter_use(request, MAY_CHANGE_AUDIENCES)
    fields = bodies.read_subscription(await json_body(request, use.caller), is_new=True)
    number, actor = number_in_path(request, "audience"), use.caller.credential.client_id
    made = await use.desk.create_subscription(number, fields, actor, use.receiver)
    if made is None:
        raise no_audience()
    [shown] = await _shown(use, [made])
    return json_answer(shown, 201)


async def one(request: web.Request) -> web.Response:
    """GET .../audiences/{id}/subscriptions/{subId}: one of them."""
    use = await enter_use(request, MAY_READ_AUDIENCES)
    found = await use.desk.subscriptions(number_in_path(request, "audience"), use.receiver)
    number = number_in_path(request, "subscription")
    for each in found or ():
        if each.number == number:
            [shown] = await _shown(use, [each])
            return json_answer(shown)
    raise _no_subscription()


@audited("update", "audience_subscription", "subscription", one)
@takes("ChangedSubscription")
async def replace(request: web.Request) -> web.Response:
    """PUT .../audiences/{id}/subscriptions/{subId}: change the fields that are given."""
    use = await enter_use(request, MAY_CHANGE_AUDIENCES)
    fields = bodies.read_subscription(await json_body(request, use.caller), is_new=False)
    audience, number = _numbers(request)
    made = await use.desk.replace_subscription(audience, number, fields, use.receiver)
    if made is None:
        raise _no_subscription()
    [shown] = await _shown(use, [made])
    return json_answer(shown)


@audited("delete", "audience_subscription", "subscription", one)
async def delete(request: web.Request) -> web.Response:
    """DELETE .../audiences/{id}/subscriptions/{subId}: disconnect."""
    use = await enter_use(request, MAY_CHANGE_AUDIENCES)
    if not await use.desk.delete_subscription(*_numbers(request), use.receiver):
        raise _no_subscription()
    return web.Response(status=204)


@without_body
@audited("resume", "audience_subscription", "subscription", one)
async def resume(request: web.Request) -> web.Response:
    """POST .../audiences/{id}/subscriptions/{subId}/resume: send what was held."""
    use = await enter_use(request, MAY_CHANGE_AUDIENCES)
    if not await use.desk.resume_subscription(*_numbers(request), use.receiver):
        raise _no_subscription()
    return web.Response(status=204)


@takes("BulkConnection")
async def connect(request: web.Request) -> web.Response:
    """POST .../outputs/{outputId}/connect-audiences: many audiences, each by itself."""
    caller = enter(request, MAY_CHANGE_AUDIENCES)
    output = number_in_path(request, "output")
    audiences, fields = bodies.read_bulk(await json_body(request, caller), output)
    desk = caller.edge.deployment.audiences.desk
    if output not in await desk.audience_outputs():
        raise Refused("NOT_FOUND", "There is no such output that takes audiences.")
    results: dict[int, Subscription | AudienceRefused] = {}
    for use, numbers in await uses_by_audience(request, caller, audiences):
        made_here = await use.desk.connect_audiences(numbers, fields, use.actor, use.receiver)
        results |= zip(numbers, made_here, strict=True)
    rows: list[dict[str, Any]] = []
    for audience in audiences:
        result = results[audience]
        if isinstance(result, Subscription):
            rows.append({"audience_id": audience, "subscription_id": result.number})
            made = shown_subscription(result)
            await write_audit(caller, "create", "audience_subscription", result.number, after=made)
        else:
            rows.append({"audience_id": audience, "errors": shown_problems(result)})
    return json_answer(rows)


_SUBSCRIPTIONS = AUDIENCE + "/subscriptions"
_ONE = _SUBSCRIPTIONS + "/{subscription}"
_CONNECT = "/platform/v2/workspaces/{workspace}/outputs/{output}/connect-audiences"
ROUTES = management_routes(
    v2_errors,
    ("GET", _SUBSCRIPTIONS, listed),
    ("POST", _SUBSCRIPTIONS, create),
    ("GET", _ONE, one),
    ("PUT", _ONE, replace),
    ("DELETE", _ONE, delete),
    ("POST", _ONE + "/resume", resume),
    ("POST", _CONNECT, connect),
)


async def _shown(use: Use, subscriptions: Sequence[Subscription]) -> list[dict[str, Any]]:
    """Show subscriptions, and of the active ones whether their first load is done."""
    loaded: frozenset[int] | None = None
    if any(each.is_active for each in subscriptions):
        try:
            loaded = await use.desk.loaded_subscriptions()
        except ShardUnavailable:  # they can be read and changed nevertheless
            logger.info("first loads are not known", extra={"event": "loads_unknown"})
    return [
        shown_subscription(
            each,
            is_loaded=each.number in loaded if loaded is not None and each.is_active else None,
        )
        for each in subscriptions
    ]


def _numbers(request: web.Request) -> tuple[int, int]:
    return number_in_path(request, "audience"), number_in_path(request, "subscription")


def _no_subscription() -> Refused:
    return Refused("NOT_FOUND", "There is no such subscription.")
