"""Group identity (spec/identity.md, 13; conventions of spec/platform-api.md, 1)."""

from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from actors.groups.definitions import KeptDefinition
from config.roles import Task
from server.auditing import audited
from server.bodies import json_object, read_body
from server.bodiless import without_body
from server.group_definitions import read_definition, shown_definition
from server.management import Caller, enter
from server.openapi.takes import takes
from server.paging import paged
from server.parameters import environment, int64, missing, page_size
from server.paths import MANAGEMENT_PREFLIGHT, Route
from server.problems import Refused, json_answer

MAX_PAGE = 1000
# Groups give attributes to their members.
MAY_READ: Task = "calculated_attributes:view"
MAY_CHANGE: Task = "calculated_attributes:*"


@audited("create", "group_definition")
@takes("GroupDefinition")
async def create(request: web.Request) -> web.Response:
    """POST .../groups: add a definition."""
    caller = enter(request, MAY_CHANGE)
    definition = read_definition(await _body(request, caller))
    made = await caller.edge.deployment.groups.create(definition)
    return json_answer(shown_definition(made), 201)


async def listed(request: web.Request) -> web.Response:
    """GET .../groups?limit=&cursor=: all definitions, by id."""
    caller = enter(request, MAY_READ)
    definitions = await caller.edge.deployment.groups.definitions()
    return paged(request, [shown_definition(each) for each in definitions])


async def one(request: web.Request) -> web.Response:
    """GET .../groups/{id}: one definition."""
    caller = enter(request, MAY_READ)
    return json_answer(shown_definition(await _definition(request, caller)))


@audited("update", "group_definition", "group", one)
@takes("ChangedGroupDefinition")
async def replace(request: web.Request) -> web.Response:
    """PUT .../groups/{id}: replace a definition; its groups follow at the next run."""
    caller = enter(request, MAY_CHANGE)
    former = await _definition(request, caller)
    definition = read_definition(await _body(request, caller), former)
    made = await caller.edge.deployment.groups.replace(definition)
    if made is None:
        raise _no_definition()
    return json_answer(shown_definition(made))


@audited("delete", "group_definition", "group", one)
async def delete(request: web.Request) -> web.Response:
    """DELETE .../groups/{id}: delete a definition and its attributes."""
    caller = enter(request, MAY_CHANGE)
    if not await caller.edge.deployment.groups.delete(request.match_info["group"]):
        raise _no_definition()
    return web.Response(status=204)


@without_body
@audited("update", "group_definition", "group")
async def run(request: web.Request) -> web.Response:
    """POST .../groups/{id}/run: have its groups recomputed now."""
    caller = enter(request, MAY_CHANGE)
    run_id = await caller.edge.deployment.groups.run(request.match_info["group"])
    if run_id is None:
        raise _no_definition()
    return json_answer({"run_id": run_id}, 202)


async def members(request: web.Request) -> web.Response:
    """GET .../members?group_id=&environment=&limit=&cursor=: the users of a group, by MPID."""
    caller = enter(request, MAY_READ)
    definition = await _definition(request, caller)
    group_id = request.query.get("group_id")
    if not group_id:
        raise missing("group_id")
    page = None
    if group_id.startswith(definition.definition.id + ":"):
        page = await caller.edge.deployment.groups.members(
            group_id,
            environment(request) or "production",
            page_size(request, MAX_PAGE, MAX_PAGE),
            request.query.get("cursor"),
        )
    if page is None:
        raise Refused("NOT_FOUND", "There is no such group.")
    return json_answer(page)


@audited("read", "user", "mpid")
async def of_user(request: web.Request) -> web.Response:
    """GET .../users/{mpid}/groups?environment=: the groups of one user."""
    caller = enter(request, MAY_READ, "user_activity:view")
    mpid = int64(request.match_info["mpid"], "mpid")
    found = await caller.edge.deployment.groups.groups_of(mpid, environment(request))
    if found is None:
        raise Refused("NOT_FOUND", "There is no such user in this workspace.")
    return json_answer(found)


_WORKSPACE = "/workspaces/{workspace}"
_GROUPS = _WORKSPACE + "/groups"
_ONE = _GROUPS + "/{group}"


_ENDPOINTS: tuple[tuple[str, str, Handler], ...] = (
    ("POST", _GROUPS, create),
    ("GET", _GROUPS, listed),
    ("GET", _ONE, one),
    ("PUT", _ONE, replace),
    ("DELETE", _ONE, delete),
    ("POST", _ONE + "/run", run),
    ("GET", _ONE + "/members", members),
    ("GET", _WORKSPACE + "/users/{mpid}/groups", of_user),
)
ROUTES = tuple(
    Route(
        method,
        base + path,
        handler,
        "platform",
        preflight=MANAGEMENT_PREFLIGHT,
    )
    for base in ("/platform", "/platform/experimental")
    for method, path, handler in _ENDPOINTS
)


async def _body(request: web.Request, caller: Caller) -> dict[str, Any]:
    return json_object(await read_body(request, caller.config.max_body_bytes))


async def _definition(request: web.Request, caller: Caller) -> KeptDefinition:
    """Return the definition that the path names."""
    wanted = request.match_info["group"]
    for each in await caller.edge.deployment.groups.definitions():
        if each.definition.id == wanted:
            return each
    raise _no_definition()


def _no_definition() -> Refused:
    return Refused("NOT_FOUND", "There is no such group definition.")
