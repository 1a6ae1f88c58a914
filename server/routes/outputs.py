"""Outputs (spec/platform-api.md, 15; spec/connections.md, 1.2)."""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from pydantic import ValidationError

from actors.model.workspaces import ENVIRONMENTS
from actors.outputs.egress import EgressRules
from actors.outputs.environment import OutputEnvironment
from actors.outputs.module import OutputModule, OutputSettings
from actors.outputs.probe import probe
from actors.outputs.registry import MODULES
from config.compiled_outputs import output_place
from config.merging import Data
from config.outputs import Output
from config.sheets import Sheet
from server import config_objects
from server.bodiless import without_body
from server.config_edits import Check, Place, created, edit, find, is_forced
from server.config_objects import (
    Kind,
    add,
    connections_at,
    editable,
    list_all,
    remove_connections,
    show,
)
from server.config_problems import config_errors, refused
from server.context import edge_of
from server.management import WORKSPACE, audit, enter
from server.openapi.takes import takes
from server.parameters import environment
from server.paths import management_routes
from server.problems import json_answer


async def listed(request: web.Request) -> web.Response:
    """GET .../outputs?limit=&cursor=: all outputs, secrets masked."""
    return await list_all(request, OUTPUT)


async def one(request: web.Request) -> web.Response:
    """GET .../outputs/{id}: one output, secrets masked."""
    return await show(request, OUTPUT)


@takes("Output")
async def create(request: web.Request) -> web.Response:
    """POST .../outputs: make one."""
    place = await add(request, OUTPUT, {}, {}, _trying(request))
    return json_answer(shown(place), 201, {"ETag": place.etag})


@takes("Output")
async def replace(request: web.Request) -> web.Response:
    """PUT .../outputs/{id}: change what is given; a masked secret stays as it is."""
    return await config_objects.replace(request, OUTPUT, _trying(request))


async def delete(request: web.Request) -> web.Response:
    """DELETE .../outputs/{id}?force=: delete one, with its connections if that is forced."""
    caller = enter(request, "connections:configure_outputs")
    force = is_forced(request)

    def change(sheet: Sheet, data: Data) -> str:
        place = editable(request, sheet, OUTPUT)
        used = connections_at(sheet, "output", place.item["id"])
        if used and not force:
            raise refused("VALIDATION_ERROR", "Connections use the output.")
        remove_connections(sheet, data, used)
        del data["outputs"][place.position]
        return place.path

    await edit(caller, "delete", "output", change, allow_dangerous=force)
    return web.Response(status=204)


@without_body
async def try_out(request: web.Request) -> web.Response:
    """POST .../outputs/{id}/test?environment=: send one probe to the receiver, with what holds."""
    caller = enter(request, "connections:configure_outputs")
    sheet = await caller.edge.deployment.configuration.sheet()
    place = find(sheet, "outputs", request.match_info["output"])
    output = sheet.document.outputs_by_id[place.item["id"]]
    tried = environment(request) or "production"
    if not output.is_enabled_in(tried):
        raise refused("VALIDATION_ERROR", f"The output is off in {tried}.")
    module = MODULES[output.module]
    audit(caller, "test", "output")
    settings = module.settings_model.model_validate(output.settings_in(tried))
    surroundings = dataclasses.replace(
        _surroundings(request, output.id),
        place=output_place(output, sheet.document, sheet.served.numbers),
        state=caller.edge.deployment.configuration.output_states,
    )
    return json_answer(msgspec.to_builtins(await probe(module, settings, surroundings)))


def _surroundings(request: web.Request, output: str) -> OutputEnvironment:
    """Return what a probe of an output is opened with, whether it is saved or not."""
    edge = edge_of(request)
    config = edge.config.current
    return OutputEnvironment(
        output=output,
        clock=edge.clock,
        egress=EgressRules(config.egress_allow),
        spool_dir=Path(os.devnull),  # the probe has one of its own
        workspace=config.workspace_slug,
        workspace_number=config.workspace,
        python_dir=config.python_dir,
    )


def _trying(request: web.Request) -> Check:
    """Return what tries settings that are to be saved, where their module wants it so."""

    async def check(sheet: Sheet, data: Data) -> None:
        for item in data["outputs"]:
            for module, settings in _untried(sheet, item):
                result = await probe(module, settings, _surroundings(request, item["id"]))
                if not result.ok:
                    problem = f"could not be used: {result.error}"
                    raise refused("VALIDATION_ERROR", problem, "settings")

    return check


def _untried(sheet: Sheet, item: Data) -> Iterator[tuple[OutputModule, OutputSettings]]:
    """Yield what of an output has to be tried: nothing of one that is wrong in itself."""
    try:
        output = Output.model_validate(item)
        module = MODULES.get(output.module)
        if module is None or not module.is_tried_when_saved:
            return
        former = sheet.document.outputs_by_id.get(output.id)
        for each in filter(output.is_enabled_in, ENVIRONMENTS):
            settings = module.settings_model.model_validate(output.settings_in(each))
            if former is None or former.settings_in(each) != output.settings_in(each):
                yield module, settings
    except ValidationError:  # the desk says what is wrong
        return


def shown(place: Place) -> dict[str, Any]:
    """Return an output as the API shows it."""
    item = {key: value for key, value in place.item.items() if key not in ("id", "number")}
    return created(place) | {"settings": {}} | item


OUTPUT = Kind("outputs", "output", "connections:configure_outputs", ("number",), shown)
_OUTPUTS = WORKSPACE + "/outputs"
_ONE = _OUTPUTS + "/{output}"

ROUTES = management_routes(
    config_errors,
    ("GET", _OUTPUTS, listed),
    ("POST", _OUTPUTS, create),
    ("GET", _ONE, one),
    ("PUT", _ONE, replace),
    ("DELETE", _ONE, delete),
    ("POST", _ONE + "/test", try_out),
)
