"""Calculated attributes of a workspace (spec/calculated-attributes.md, 6)."""

import logging

from aiohttp import web

from actors.calculated.definition import Attribute, Definition
from actors.calculated.detection import NUMERIC_FUNCTIONS
from actors.calculated.objects import AttributeFields, CalculatedAttribute
from actors.calculated.reading import canonical, read_definition
from actors.errors import ShardUnavailable
from config.roles import Task
from server.audience_requests import json_body, number_in_path
from server.auditing import audited
from server.bodiless import without_body
from server.calculated_bodies import read_fields, read_preview
from server.calculated_problems import calculated_errors
from server.calculated_views import shown_activation, shown_attribute, shown_calculation
from server.management import Caller, enter, write_audit
from server.openapi.takes import takes
from server.paging import paged
from server.paths import management_routes
from server.problems import Refused, json_answer

logger = logging.getLogger("headwater.http")

MAY_CHANGE: Task = "calculated_attributes:*"
NO_NUMBER = 0  # of a previewed definition that no attribute has: no seed is for it

_RESOURCE = "calculated_attribute"


async def listed(request: web.Request) -> web.Response:
    """GET .../calculatedattributes?name=&limit=&cursor=: all, by id; HEAD asks if there are any."""
    caller = enter(request, "calculated_attributes:view")
    name = request.query.get("name")
    found = [
        shown_attribute(attribute, uses)
        for attribute, uses in await caller.edge.deployment.calculated.desk.calculated_attributes()
        if name is None or attribute.name == name
    ]
    if request.method == "HEAD":
        return web.Response(status=204 if found else 404)
    return paged(request, found)


@takes("CalculatedAttribute")
async def create(request: web.Request) -> web.Response:
    """POST .../calculatedattributes: add a draft; the body is its id."""
    caller = enter(request, MAY_CHANGE)
    fields = read_fields(await json_body(request, caller))
    desk = caller.edge.deployment.calculated.desk
    number = await desk.create_calculated(fields, caller.credential.client_id)
    shown = shown_attribute(*await _attribute(number, caller))
    await write_audit(caller, "create", _RESOURCE, number, after=shown)
    return json_answer(number, 201, headers=await _warning(caller, fields))


async def one(request: web.Request) -> web.Response:
    """GET .../{id}: one attribute."""
    caller = enter(request, "calculated_attributes:view")
    return json_answer(
        shown_attribute(*await _attribute(number_in_path(request, _RESOURCE), caller))
    )


@audited("update", _RESOURCE, _RESOURCE, one)
@takes("CalculatedAttribute")
async def change(request: web.Request) -> web.Response:
    """PUT .../{id}: change the fields that are given."""
    caller = enter(request, MAY_CHANGE)
    number = number_in_path(request, _RESOURCE)
    fields = read_fields(await json_body(request, caller))
    desk = caller.edge.deployment.calculated.desk
    done = _done(await desk.change_calculated(number, fields, caller.credential.client_id))
    done.headers.update(await _warning(caller, fields))
    return done


@audited("delete", _RESOURCE, _RESOURCE, one)
async def delete(request: web.Request) -> web.Response:
    """DELETE .../{id}: delete it with its values and seeds."""
    caller = enter(request, MAY_CHANGE)
    desk = caller.edge.deployment.calculated.desk
    return _done(await desk.delete_calculated(number_in_path(request, _RESOURCE)))


@without_body
@audited("activate", _RESOURCE, _RESOURCE, one)
async def activate(request: web.Request) -> web.Response:
    """POST .../{id}/activation: have the draft calculated from now on."""
    caller = enter(request, MAY_CHANGE)
    desk = caller.edge.deployment.calculated.desk
    number = number_in_path(request, _RESOURCE)
    return _done(await desk.activate_calculated(number, caller.credential.client_id))


@audited("deactivate", _RESOURCE, _RESOURCE, one)
async def deactivate(request: web.Request) -> web.Response:
    """DELETE .../{id}/activation: make it a draft again."""
    caller = enter(request, MAY_CHANGE)
    desk = caller.edge.deployment.calculated.desk
    number = number_in_path(request, _RESOURCE)
    return _done(await desk.deactivate_calculated(number, caller.credential.client_id))


async def activation(request: web.Request) -> web.Response:
    """GET .../{id}/activation: whether it is active, and since when."""
    caller = enter(request, "calculated_attributes:view")
    attribute, _ = await _attribute(number_in_path(request, _RESOURCE), caller)
    return json_answer(shown_activation(attribute))


@audited("update", _RESOURCE, _RESOURCE, one)
async def delete_draft(request: web.Request) -> web.Response:
    """DELETE .../{id}/draft: discard what is not in force yet."""
    caller = enter(request, MAY_CHANGE)
    desk = caller.edge.deployment.calculated.desk
    number = number_in_path(request, _RESOURCE)
    return _done(await desk.delete_calculated_draft(number, caller.credential.client_id))


async def calculation(request: web.Request) -> web.Response:
    """GET .../{id}/calculation: how far its initialization is."""
    caller = enter(request, "calculated_attributes:view")
    number = number_in_path(request, _RESOURCE)
    found = await caller.edge.deployment.calculated.desk.calculation(number)
    if found is None:
        raise _no_attribute()
    return json_answer(shown_calculation(*found))


@takes("CalculatedPreview")
async def preview(request: web.Request) -> web.Response:
    """POST .../preview: what a definition gives for some users; nothing is kept."""
    caller = enter(request, "calculated_attributes:view")
    body, now_ms = await json_body(request, caller), caller.edge.clock.now_ms()
    asked = read_preview(body, caller.config.has_extended_windows, now_ms)
    attribute = await _previewed(asked.definition, caller)
    mpids = asked.mpids
    values = await caller.edge.deployment.calculated.preview(attribute, None, mpids, asked.as_of_ms)
    return json_answer(
        [{"mpid": mpid, "value": value} for mpid, value in zip(mpids, values, strict=True)]
    )


_ALL = "/platform/v2/workspaces/{workspace}/calculatedattributes"
_ONE = _ALL + "/{calculated_attribute}"

ROUTES = management_routes(
    calculated_errors,
    ("GET", _ALL, listed),  # and HEAD
    ("POST", _ALL, create),
    ("POST", _ALL + "/preview", preview),
    ("GET", _ONE, one),
    ("PUT", _ONE, change),
    ("DELETE", _ONE, delete),
    ("POST", _ONE + "/activation", activate),
    ("DELETE", _ONE + "/activation", deactivate),
    ("GET", _ONE + "/activation", activation),
    ("DELETE", _ONE + "/draft", delete_draft),
    ("GET", _ONE + "/calculation", calculation),
)


async def _previewed(definition: Definition, caller: Caller) -> Attribute:
    """Return the attribute that has a definition, draft or active: seeds of it are included."""
    for each, _ in await caller.edge.deployment.calculated.desk.calculated_attributes():
        for known in (each.active, each.draft):
            if known is not None and read_definition(known) == definition:
                return Attribute(each.number, each.name, each.revision, definition)
    return Attribute(NO_NUMBER, "", 0, definition)


async def _warning(caller: Caller, fields: AttributeFields) -> dict[str, str]:
    """Return a header where a function of numbers has an attribute of something else (6.2)."""
    if not isinstance(fields.draft_definition, dict):
        return {}
    definition = read_definition(canonical(fields.draft_definition))
    if definition.function not in NUMERIC_FUNCTIONS:
        return {}
    try:
        is_numeric = await caller.edge.deployment.calculated.are_numbers(definition)
    except ShardUnavailable:  # what was asked for is done
        logger.info("the type of an attribute is not known", extra={"event": "type_unknown"})
        return {}
    return {} if is_numeric else {"X-Warning": "attribute type"}


async def _attribute(number: int, caller: Caller) -> tuple[CalculatedAttribute, int]:
    found = await caller.edge.deployment.calculated.desk.calculated_attribute(number)
    if found is None:
        raise _no_attribute()
    return found


def _done(is_found: bool) -> web.Response:
    if not is_found:
        raise _no_attribute()
    return web.Response(status=204)


def _no_attribute() -> Refused:
    return Refused("NOT_FOUND", "There is no such calculated attribute.")
