"""What an output's connections do not forward (spec/platform-api.md, 15; spec/rules.md, 7)."""

from copy import deepcopy
from typing import Any

from aiohttp import web

from config.filter_edits import all_off, drop_hidden_mappings
from config.merging import Data
from config.sheets import Sheet
from server.config_edits import Place, body_of, check_match, check_unmanaged, edit, find
from server.config_objects import editable
from server.config_problems import config_errors, refused
from server.management import WORKSPACE, Caller, enter
from server.openapi.takes import takes
from server.paths import management_routes
from server.problems import json_answer
from server.routes.outputs import OUTPUT


async def one(request: web.Request) -> web.Response:
    """GET .../outputs/{id}/filter: what no connection of the output forwards."""
    caller = enter(request, "data_filter:view")
    place = _named(request, await caller.edge.deployment.configuration.sheet())
    return json_answer(place.item.get("filters", {}), headers={"ETag": place.etag})


@takes("FilterChange")
async def replace(request: web.Request) -> web.Response:
    """PUT .../outputs/{id}/filter: replace it; `{"all": true}` switches everything on.

    `{"all": false}` switches everything off that is known. Custom mappings of events that are off
    then are deleted.
    """
    caller = enter(request, "data_filter:*")
    body = await body_of(request, caller)
    if body.keys() == {"all"}:
        body = await _all(request, caller, body["all"])

    def change(sheet: Sheet, data: Data) -> str:
        place = editable(request, sheet, OUTPUT)
        _set(data, place, body)
        return f"{place.path}.filters"

    sheet = await edit(caller, "update", "output_filter", change)
    place = _named(request, sheet)
    return json_answer(place.item["filters"], headers={"ETag": place.etag})


@takes("FilterTargets")
async def copy(request: web.Request) -> web.Response:
    """POST .../outputs/{id}/filter/copy: give other outputs the filter that this one has."""
    caller = enter(request, "data_filter:*")
    body = await body_of(request, caller)
    targets = read_targets(body)

    def change(sheet: Sheet, data: Data) -> str:
        own = _named(request, sheet)
        check_match(request, own.etag)
        for name in targets:
            place = find(sheet, "outputs", name)
            check_unmanaged(sheet, place)
            _set(data, place, own.item.get("filters", {}))
        return "outputs"

    await edit(caller, "update", "output_filter", change)
    return web.Response(status=204)


def read_targets(body: dict[str, Any]) -> list[str]:
    """Return the numbers and ids of outputs that a body lists. Raises ConfigurationRefused."""
    targets = body.get("to")
    if not isinstance(targets, list) or not targets or body.keys() != {"to"}:
        raise refused("UNKNOWN_FIELD", "must be a list of output ids, and the only field", "to")
    for index, name in enumerate(targets):
        if isinstance(name, bool) or not isinstance(name, int | str):
            raise refused("UNKNOWN_FIELD", "must be the id of an output", f"to[{index}]")
    return [str(name) for name in targets]


_FILTER = WORKSPACE + "/outputs/{output}/filter"

ROUTES = management_routes(
    config_errors,
    ("GET", _FILTER, one),
    ("PUT", _FILTER, replace),
    ("POST", _FILTER + "/copy", copy),
)


def _named(request: web.Request, sheet: Sheet) -> Place:
    return find(sheet, "outputs", request.match_info["output"])


def _set(data: Data, place: Place, filters: dict[str, Any]) -> None:
    data["outputs"][place.position]["filters"] = deepcopy(filters)
    drop_hidden_mappings(data, place.item["id"])


async def _all(request: web.Request, caller: Caller, is_on: object) -> dict[str, Any]:
    """Return the filter that lets everything pass, or nothing that is known."""
    if not isinstance(is_on, bool):
        raise refused("UNKNOWN_FIELD", "must be true or false", "all")
    if is_on:
        return {}
    deployment = caller.edge.deployment
    place = _named(request, await deployment.configuration.sheet())
    points = await deployment.data_points(place.item["id"])
    former = place.item.get("filters", {}).get("screens", {})
    screens = {each.name for each in points if each.type == "ScreenView"}
    return all_off(screens | {*former.get("disabled", ()), *former.get("enabled", ())})
