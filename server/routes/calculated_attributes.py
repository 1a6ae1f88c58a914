"""Calculated attributes of a workspace (spec/calculated-attributes.md, 6)."""

import logging
from typing import Any

from aiohttp import web

from actors.calculated.definition import Attribute, Definition
from actors.calculated.detection import NUMERIC_FUNCTIONS
from actors.calculated.objects import AttributeFields, CalculatedAttribute
from actors.calculated.reading import canonical, read_definition
from actors.calculated.validation import Bounds, check_definition, date_ms
from actors.errors import CalculatedRefused, ShardUnavailable
from config.roles import Task
from server.audience_requests import json_body, number_in_path
from server.auditing import audited
from server.bodiless import without_body
from server.calculated_problems import calculated_errors
from server.calculated_views import (
    READ_BACK,
    shown_activation,
    shown_attribute,
    shown_calculation,
)
from server.management import Caller, enter, write_audit
from server.openapi.takes import takes
from server.paging import paged
from server.parameters import INT64_END
from server.paths import management_routes
from server.problems import Refused, json_answer

logger = logging.getLogger("headwater.http")

MAY_CHANGE: Task = "calculated_attributes:*"
MAX_PREVIEWED = 100
NO_NUMBER = 0  # of a previewed definition that no attribute has: no seed is for it

_RESOURCE = "calculated_attribute"
_FIELDS = frozenset({"name", "description", "draft_definition"})


async def listed(request: web.Request) -> web.Response:
    """GET .../calculatedattributes?name=: all, by id; a HEAD asks whether there are any."""
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
    fields = _fields(await json_body(request, caller))
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
    fields = _fields(await json_body(request, caller))
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


async def preview(request: web.Request) -> web.Response:
    """POST .../preview: what a definition gives for some users; nothing is kept."""
    caller = enter(request, "calculated_attributes:view")
    body = await json_body(request, caller)
    _check_known(body, frozenset({"definition", "mpids", "as_of"}))
    definition, mpids, as_of = body.get("definition"), body.get("mpids"), body.get("as_of")
    if not isinstance(definition, dict):
        raise CalculatedRefused("VALIDATION_ERROR", ["Field 'definition' is required."])
    if not isinstance(mpids, list) or not all(_is_mpid(each) for each in mpids):
        raise CalculatedRefused("VALIDATION_ERROR", ["Field 'mpids' must be an array of MPIDs."])
    if not 1 <= len(mpids) <= MAX_PREVIEWED:
        message = f"Field 'mpids' must have 1 to {MAX_PREVIEWED} MPIDs."
        raise CalculatedRefused("VALIDATION_ERROR", [message])
    as_of_ms = caller.edge.clock.now_ms() if as_of is None else date_ms(as_of)
    if as_of_ms is None:
        message = "Field 'as_of' must be an ISO date or timestamp."
        raise CalculatedRefused("VALIDATION_ERROR", [message])
    bounds = Bounds(None, caller.config.has_extended_windows)
    messages = check_definition(definition, bounds, as_of_ms)
    if messages:
        raise CalculatedRefused("VALIDATION_ERROR", messages)
    attribute = await _previewed(read_definition(canonical(definition)), caller)
    values = await caller.edge.deployment.calculated.preview(attribute, None, mpids, as_of_ms)
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


def _fields(body: dict[str, Any]) -> AttributeFields:
    _check_known(body, _FIELDS | READ_BACK)
    return AttributeFields(
        name=body.get("name"),
        description=body.get("description"),
        draft_definition=body.get("draft_definition"),
    )


def _check_known(body: dict[str, Any], names: frozenset[str]) -> None:
    """Check that a body has no others (spec/platform-api.md, 1). Raises CalculatedRefused."""
    unknown = [f"Field '{name}' is not known." for name in body if name not in names]
    if unknown:
        raise CalculatedRefused("VALIDATION_ERROR", unknown)


def _is_mpid(value: Any) -> bool:
    return type(value) is int and -INT64_END <= value < INT64_END


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
