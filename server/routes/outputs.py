"""Outputs (spec/platform-api.md, 15; spec/connections.md, 1.2)."""

from typing import Any

from aiohttp import web

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
from server.management import ANY_ROLE, MAY_CHANGE_CONNECTIONS, WORKSPACE, enter
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
    )
)
