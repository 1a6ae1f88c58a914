"""Audiences, version 1: listed and deleted (spec/audiences.md, 14; spec/platform-api.md, 8)."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from actors.audiences.objects import Audience, Subscription
from actors.audiences.rules import RUNNING
from actors.audiences.trees import members_document, milestone
from server.audience_problems import v1_errors
from server.audience_requests import (
    MAY_CHANGE_AUDIENCES,
    MAY_READ_AUDIENCES,
    Use,
    no_audience,
    number_in_path,
    own_use,
    use_of,
    uses_of,
)
from server.audience_showing import counts_for, counts_of
from server.audience_views import listed_audience
from server.context import EDGES
from server.management import enter_v1, write_audit
from server.paging import paged
from server.paths import management_routes
from server.problems import Refused


async def listed(request: web.Request) -> web.Response:
    """GET /v1/audiences?accountId=&limit=&cursor=: all active audiences, a bare array."""
    caller = enter_v1(request, MAY_READ_AUDIENCES)
    names = _names(request)
    uses = [each for each in uses_of(request, caller) if not each.is_shared]
    return paged(request, [body for each in uses for body in await _listed(each, names)])


async def of_workspace(request: web.Request) -> web.Response:
    """GET .../audiences?accountId=&limit=&cursor=: the active ones of one workspace alone."""
    caller = enter_v1(request, MAY_READ_AUDIENCES)
    if request.match_info["workspace"] != str(caller.config.workspace):
        raise Refused("NOT_FOUND", "There is no such workspace.")
    names = {caller.config.workspace: caller.config.workspace_name}
    return paged(request, await _listed(own_use(caller), names))


async def delete(request: web.Request) -> web.Response:
    """DELETE /v1/audiences/{id}?accountId=: delete it with its memberships and connections."""
    caller = enter_v1(request, MAY_CHANGE_AUDIENCES)
    number = number_in_path(request, "audience")
    use = await use_of(request, caller, number)
    shown = await _listed(use, _names(request), is_counted=False)
    if not await use.desk.delete_audience(number):
        raise no_audience()
    before = next((each for each in shown if each["id"] == number), None)
    await write_audit(caller, "delete", "audience", number, before=before)
    return web.Response(status=202)


ROUTES = management_routes(
    v1_errors,
    ("GET", "/v1/audiences", listed),
    ("DELETE", "/v1/audiences/{audience}", delete),
    ("GET", "/v1/workspace/{workspace}/audiences", of_workspace),
)


def _names(request: web.Request) -> dict[int, str]:
    """Return the names of all workspaces, by number."""
    configs = (each.config.current for each in request.app[EDGES].all)
    return {each.workspace: each.workspace_name for each in configs}


async def _listed(
    use: Use, names: Mapping[int, str], *, is_counted: bool = True
) -> list[dict[str, Any]]:
    """Show the active audiences that are over no other workspaces than those that have names.

    `is_counted`: with their sizes, as far as shards tell.
    """
    gateway = use.gateway
    audiences = [
        each
        for each in await use.audiences()
        if each.status in RUNNING and names.keys() >= set(each.workspaces)
    ]
    if not audiences:
        return []
    counts = await counts_for(use, audiences) if is_counted else None
    outputs = await gateway.desk.audience_outputs()
    journeys = {each.number: each for each in await gateway.desk.journeys()}
    subscriptions: dict[int, list[Subscription]] = {}
    for each in await gateway.desk.all_subscriptions():
        if each.receiver is not None:
            continue  # of another workspace, whose affair it is
        subscriptions.setdefault(each.audience, []).append(each)

    def document(audience: Audience) -> Any:
        if audience.journey is None or audience.milestone is None:
            return audience.definition and audience.definition.canonical
        journey = journeys[audience.journey]
        found = milestone(journey, audience.milestone)
        return None if found is None else members_document(journey, found)

    return [
        listed_audience(
            each,
            counts_of(each, counts),
            subscriptions.get(each.number, []),
            outputs,
            names,
            use.owner.clock.now_ms(),
            document(each),
        )
        for each in audiences
    ]
