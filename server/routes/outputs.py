"""Outputs (spec/platform-api.md, 15; spec/connections.md, 1.2)."""

import os
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from actors.outputs.contract import OutputEnvironment
from actors.outputs.egress import EgressRules
from actors.outputs.probe import probe
from actors.outputs.registry import MODULES
from config.desk import Sheet
from config.merging import Data
from server.config_edits import (
    Place,
    body_of,
    check_match,
    check_unmanaged,
    created,
    edit,
    find,
    free_id,
    is_forced,
    places,
)
from server.config_problems import config_errors, refused
from server.idempotency import once
from server.management import ANY_ROLE, MAY_CHANGE_CONNECTIONS, WORKSPACE, audit, enter
from server.openapi.takes import takes
from server.parameters import environment
from server.paths import MANAGEMENT_PREFLIGHT, Route
from server.problems import json_answer


async def listed(request: web.Request) -> web.Response:
    """GET .../outputs: all outputs, secrets masked."""
    caller = enter(request, ANY_ROLE)
    sheet = await caller.edge.deployment.configuration.sheet()
    return json_answer([shown(each) for each in places(sheet, "outputs")])


async def one(request: web.Request) -> web.Response:
    """GET .../outputs/{id}: one output, secrets masked."""
    caller = enter(request, ANY_ROLE)
    sheet = await caller.edge.deployment.configuration.sheet()
    place = find(sheet, "outputs", request.match_info["output"])
    return json_answer(shown(place), headers={"ETag": place.etag})


@takes("Output")
async def create(request: web.Request) -> web.Response:
    """POST .../outputs: make one."""
    caller = enter(request, MAY_CHANGE_CONNECTIONS)
    body = await body_of(request, caller)
    _check_fields(body)

    def change(sheet: Sheet, data: Data) -> str:
        outputs = data.setdefault("outputs", [])
        outputs.append({"id": free_id(data, "outputs", body.get("name", "output")), **body})
        body["id"] = outputs[-1]["id"]
        return f"outputs[{len(outputs) - 1}]"

    sheet = await edit(caller, "create", "output", change)
    place = find(sheet, "outputs", body["id"])
    return json_answer(shown(place), 201, {"ETag": place.etag})


@takes("Output")
async def replace(request: web.Request) -> web.Response:
    """PUT .../outputs/{id}: change what is given; a masked secret stays as it is."""
    caller = enter(request, MAY_CHANGE_CONNECTIONS)
    body = await body_of(request, caller)
    _check_fields(body)
    name = request.match_info["output"]

    def change(sheet: Sheet, data: Data) -> str:
        place = _checked(request, sheet, name)
        if body.get("id", place.item["id"]) != place.item["id"]:
            raise refused("VALIDATION_ERROR", "cannot be changed", "id")
        data["outputs"][place.position].update(body)
        return place.path

    sheet = await edit(caller, "update", "output", change)
    place = find(sheet, "outputs", name)
    return json_answer(shown(place), headers={"ETag": place.etag})


async def delete(request: web.Request) -> web.Response:
    """DELETE .../outputs/{id}?force=: delete one, with its connections if that is forced."""
    caller = enter(request, MAY_CHANGE_CONNECTIONS)
    name, force = request.match_info["output"], is_forced(request)

    def change(sheet: Sheet, data: Data) -> str:
        place = _checked(request, sheet, name)
        used = [each for each in data.get("connections", []) if each["output"] == place.item["id"]]
        if used and not force:
            raise refused("VALIDATION_ERROR", "Connections use the output.")
        data["connections"] = [each for each in data.get("connections", []) if each not in used]
        del data["outputs"][place.position]
        return place.path

    await edit(caller, "delete", "output", change, allow_dangerous=force)
    return web.Response(status=204)


async def try_out(request: web.Request) -> web.Response:
    """POST .../outputs/{id}/test?environment=: send one probe to the receiver, with what holds."""
    caller = enter(request, MAY_CHANGE_CONNECTIONS)
    sheet = await caller.edge.deployment.configuration.sheet()
    place = find(sheet, "outputs", request.match_info["output"])
    output = sheet.document.outputs_by_id[place.item["id"]]
    tried = environment(request) or "production"
    if not output.is_enabled_in(tried):
        raise refused("VALIDATION_ERROR", f"The output is off in {tried}.")
    module = MODULES[output.module]
    audit(caller, "test", "output")
    result = await probe(
        module,
        module.settings_model.model_validate(output.settings_in(tried)),
        OutputEnvironment(
            output=output.id,
            clock=caller.edge.clock,
            egress=EgressRules(caller.config.egress_allow),
            spool_dir=Path(os.devnull),  # the probe has one of its own
            workspace=caller.config.workspace_slug,
            workspace_number=caller.config.workspace,
        ),
    )
    return json_answer(msgspec.to_builtins(result))


def shown(place: Place) -> dict[str, Any]:
    """Return an output as the API shows it."""
    item = {key: value for key, value in place.item.items() if key not in ("id", "number")}
    return created(place) | {"settings": {}} | item


def _checked(request: web.Request, sheet: Sheet, name: str) -> Place:
    place = find(sheet, "outputs", name)
    check_unmanaged(sheet, place)
    check_match(request, place)
    return place


def _check_fields(body: dict[str, Any]) -> None:
    if "number" in body:
        raise refused("UNKNOWN_FIELD", "cannot be set here", "number")


_OUTPUTS = WORKSPACE + "/outputs"
_ONE = _OUTPUTS + "/{output}"

ROUTES = tuple(
    Route(method, path, handler, "platform", preflight=MANAGEMENT_PREFLIGHT, errors=config_errors)
    for method, path, handler in (
        ("GET", _OUTPUTS, listed),
        ("POST", _OUTPUTS, once(create)),
        ("GET", _ONE, one),
        ("PUT", _ONE, replace),
        ("DELETE", _ONE, delete),
        ("POST", _ONE + "/test", try_out),
    )
)
