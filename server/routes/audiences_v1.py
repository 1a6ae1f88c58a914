"""Audiences, version 1: listed and deleted (spec/audiences.md, 14; spec/platform-api.md, 8)."""

from typing import Any

from aiohttp import web

from actors.audiences.calls import Counts
from actors.audiences.objects import Audience, Subscription
from actors.audiences.rules import RUNNING
from actors.audiences.trees import members_document, milestone
from server.audience_problems import v1_errors
from server.audience_requests import MAY_CHANGE_AUDIENCES, no_audience, number_in_path
from server.audience_views import listed_audience
from server.management import ANY_ROLE, Caller, enter_v1, write_audit
from server.paths import MANAGEMENT_PREFLIGHT, Route
from server.problems import Refused, json_answer


async def listed(request: web.Request) -> web.Response:
    """GET /v1/audiences?accountId=: all active audiences, a bare array."""
    caller = enter_v1(request, ANY_ROLE)
    return json_answer(await _listed(caller, is_single=False))


async def of_workspace(request: web.Request) -> web.Response:
    """GET /v1/workspace/{id}/audiences?accountId=: the active ones of one workspace alone."""
    caller = enter_v1(request, ANY_ROLE)
    if request.match_info["workspace"] != str(caller.config.workspace):
        raise Refused("NOT_FOUND", "There is no such workspace.")
    return json_answer(await _listed(caller, is_single=True))


async def delete(request: web.Request) -> web.Response:
    """DELETE /v1/audiences/{id}?accountId=: delete it with its memberships and connections."""
    caller = enter_v1(request, MAY_CHANGE_AUDIENCES)
    number = number_in_path(request, "audience")
    shown = await _listed(caller, is_single=False)
    if not await caller.edge.deployment.audiences.desk.delete_audience(number):
        raise no_audience()
    before = next((each for each in shown if each["id"] == number), None)
    await write_audit(caller, "delete", "audience", number, before=before)
    return web.Response(status=202)


ROUTES = (
    Route(
        "GET",
        "/v1/audiences",
        listed,
        "platform",
        preflight=MANAGEMENT_PREFLIGHT,
        errors=v1_errors,
    ),
    Route(
        "DELETE",
        "/v1/audiences/{audience}",
        delete,
        "platform",
        preflight=MANAGEMENT_PREFLIGHT,
        errors=v1_errors,
    ),
    Route(
        "GET",
        "/v1/workspace/{workspace}/audiences",
        of_workspace,
        "platform",
        preflight=MANAGEMENT_PREFLIGHT,
        errors=v1_errors,
    ),
)


async def _listed(caller: Caller, *, is_single: bool) -> list[dict[str, Any]]:
    gateway = caller.edge.deployment.audiences
    counts: dict[int, Counts] = await gateway.counts()
    outputs = await gateway.desk.audience_outputs()
    journeys = {each.number: each for each in await gateway.desk.journeys()}
    subscriptions: dict[int, list[Subscription]] = {}
    for each in await gateway.desk.all_subscriptions():
        if each.receiver is not None:
            continue  # of another account, whose affair it is
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
            counts.get(each.number),
            subscriptions.get(each.number, []),
            outputs,
            caller.config.workspace_name,
            caller.edge.clock.now_ms(),
            document(each),
        )
        for each in await gateway.desk.audiences()
        if each.status in RUNNING and (len(each.workspaces) == 1 or not is_single)
    ]
