"""Journeys and their milestones (spec/audiences.md, 13 and 14)."""

from aiohttp import web

from actors.audiences.objects import Journey
from server import audience_connection_bodies as bodies
from server.audience_problems import v2_errors
from server.audience_requests import (
    MAY_CHANGE_AUDIENCES,
    MAY_READ_AUDIENCES,
    json_body,
    number_in_path,
)
from server.audience_views import shown_journey, shown_milestone
from server.auditing import audited
from server.management import Caller, enter
from server.openapi.takes import takes
from server.paging import paged
from server.paths import management_routes
from server.problems import Refused, json_answer


async def listed(request: web.Request) -> web.Response:
    """GET .../journeys?limit=&cursor=: all of them, by id."""
    caller = enter(request, MAY_READ_AUDIENCES)
    found = await caller.edge.deployment.audiences.desk.journeys()
    return paged(request, [shown_journey(each) for each in found])


@audited("create", "journey")
@takes("NewJourney")
async def create(request: web.Request) -> web.Response:
    """POST .../journeys: add one without milestones."""
    caller = enter(request, MAY_CHANGE_AUDIENCES)
    fields = bodies.read_journey(await json_body(request, caller))
    desk = caller.edge.deployment.audiences.desk
    made = await desk.create_journey(fields, caller.credential.client_id)
    return json_answer(shown_journey(made), 201)


async def one(request: web.Request) -> web.Response:
    """GET .../journeys/{id}: one of them, with its milestones."""
    caller = enter(request, MAY_READ_AUDIENCES)
    return json_answer(shown_journey(await _journey(request, caller)))


@audited("update", "journey", "journey", one)
@takes("ChangedJourney")
async def replace(request: web.Request) -> web.Response:
    """PUT .../journeys/{id}: change its name or inputs; the rest may be as it is shown."""
    caller = enter(request, MAY_CHANGE_AUDIENCES)
    body = await json_body(request, caller)
    fields = bodies.read_journey(body, shown_journey(await _journey(request, caller)))
    desk = caller.edge.deployment.audiences.desk
    number = number_in_path(request, "journey")
    made = await desk.replace_journey(number, fields, caller.credential.client_id)
    if made is None:
        raise _no_journey()
    return json_answer(shown_journey(made))


@audited("delete", "journey", "journey", one)
async def delete(request: web.Request) -> web.Response:
    """DELETE .../journeys/{id}: delete one that has no milestones."""
    caller = enter(request, MAY_CHANGE_AUDIENCES)
    desk = caller.edge.deployment.audiences.desk
    if not await desk.delete_journey(number_in_path(request, "journey")):
        raise _no_journey()
    return web.Response(status=204)


@audited("update", "journey", "journey", one)
@takes("NewMilestone")
async def create_milestone(request: web.Request) -> web.Response:
    """POST .../journeys/{id}/milestones: add one, with its audience."""
    caller = enter(request, MAY_CHANGE_AUDIENCES)
    fields = bodies.read_milestone(await json_body(request, caller), is_new=True)
    desk = caller.edge.deployment.audiences.desk
    number = number_in_path(request, "journey")
    made = await desk.create_milestone(number, fields, caller.credential.client_id)
    if made is None:
        raise _no_journey()
    journey = await _journey(request, caller)
    return json_answer(shown_milestone(journey, made.number), 201)


@audited("update", "journey", "journey", one)
@takes("ChangedMilestone")
async def replace_milestone(request: web.Request) -> web.Response:
    """PUT .../journeys/{id}/milestones/{mid}: change its name, criteria or place."""
    caller = enter(request, MAY_CHANGE_AUDIENCES)
    fields = bodies.read_milestone(await json_body(request, caller), is_new=False)
    desk = caller.edge.deployment.audiences.desk
    journey, number = _numbers(request)
    made = await desk.replace_milestone(journey, number, fields, caller.credential.client_id)
    if made is None:
        raise _no_milestone()
    return json_answer(shown_milestone(await _journey(request, caller), made.number))


@audited("update", "journey", "journey", one)
async def delete_milestone(request: web.Request) -> web.Response:
    """DELETE .../journeys/{id}/milestones/{mid}: delete a leaf with its audience."""
    caller = enter(request, MAY_CHANGE_AUDIENCES)
    desk = caller.edge.deployment.audiences.desk
    if not await desk.delete_milestone(*_numbers(request), caller.credential.client_id):
        raise _no_milestone()
    return web.Response(status=204)


_JOURNEYS = "/platform/v2/workspaces/{workspace}/journeys"
_JOURNEY = _JOURNEYS + "/{journey}"
_MILESTONE = _JOURNEY + "/milestones/{milestone}"
ROUTES = management_routes(
    v2_errors,
    ("GET", _JOURNEYS, listed),
    ("POST", _JOURNEYS, create),
    ("GET", _JOURNEY, one),
    ("PUT", _JOURNEY, replace),
    ("DELETE", _JOURNEY, delete),
    ("POST", _JOURNEY + "/milestones", create_milestone),
    ("PUT", _MILESTONE, replace_milestone),
    ("DELETE", _MILESTONE, delete_milestone),
)


async def _journey(request: web.Request, caller: Caller) -> Journey:
    desk = caller.edge.deployment.audiences.desk
    found = await desk.journey(number_in_path(request, "journey"))
    if found is None:
        raise _no_journey()
    return found


def _numbers(request: web.Request) -> tuple[int, int]:
    return number_in_path(request, "journey"), number_in_path(request, "milestone")


def _no_journey() -> Refused:
    return Refused("NOT_FOUND", "There is no such journey.")


def _no_milestone() -> Refused:
    return Refused("NOT_FOUND", "There is no such milestone.")
