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
from config.merging import Data
from config.sheets import Sheet
from server import config_objects
from server.config_edits import Place, created, edit, find, is_forced
from server.config_objects import Kind, add, editable, list_all, show
from server.config_problems import config_errors, refused
from server.idempotency import once
from server.management import MAY_CHANGE_CONNECTIONS, WORKSPACE, audit, enter
from server.openapi.takes import takes
from server.parameters import environment
from server.paths import management_routes
from server.problems import json_answer


async def listed(request: web.Request) -> web.Response:
    """GET .../outputs: all outputs, secrets masked."""
    return await list_all(request, OUTPUT)


async def one(request: web.Request) -> web.Response:
    """GET .../outputs/{id}: one output, secrets masked."""
    return await show(request, OUTPUT)


@takes("Output")
async def create(request: web.Request) -> web.Response:
    """POST .../outputs: make one."""
    place = await add(request, OUTPUT, {}, {})
    return json_answer(shown(place), 201, {"ETag": place.etag})


@takes("Output")
async def replace(request: web.Request) -> web.Response:
    """PUT .../outputs/{id}: change what is given; a masked secret stays as it is."""
    return await config_objects.replace(request, OUTPUT)


async def delete(request: web.Request) -> web.Response:
    """DELETE .../outputs/{id}?force=: delete one, with its connections if that is forced."""
    caller = enter(request, MAY_CHANGE_CONNECTIONS)
    force = is_forced(request)

    def change(sheet: Sheet, data: Data) -> str:
        place = editable(request, sheet, OUTPUT)
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
            python_dir=caller.config.python_dir,
        ),
    )
    return json_answer(msgspec.to_builtins(result))


def shown(place: Place) -> dict[str, Any]:
    """Return an output as the API shows it."""
    item = {key: value for key, value in place.item.items() if key not in ("id", "number")}
    return created(place) | {"settings": {}} | item


OUTPUT = Kind("outputs", "output", ("number",), shown)
_OUTPUTS = WORKSPACE + "/outputs"
_ONE = _OUTPUTS + "/{output}"

ROUTES = management_routes(
    config_errors,
    ("GET", _OUTPUTS, listed),
    ("POST", _OUTPUTS, once(create)),
    ("GET", _ONE, one),
    ("PUT", _ONE, replace),
    ("DELETE", _ONE, delete),
    ("POST", _ONE + "/test", try_out),
)
