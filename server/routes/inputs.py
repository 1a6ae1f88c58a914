"""Inputs and their keys (spec/platform-api.md, 15; spec/connections.md, 1.1)."""

from base64 import urlsafe_b64encode
from typing import Any

from aiohttp import web

from actors.clock import Randomness
from config.merging import Data, together
from config.sheets import Sheet
from server import config_objects
from server.bodiless import without_body
from server.config_edits import Place, check_unmanaged, created, edit, is_forced, places
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
from server.management import WORKSPACE, enter
from server.openapi.takes import takes
from server.paths import management_routes
from server.problems import Refused, json_answer

MAX_KEYS = 5
IN_USE = "Connections or audiences use the input."
NO_STORE = {"Cache-Control": "no-store"}
_OWN = ("number", "keys")  # of the document, and not to be sent here


async def listed(request: web.Request) -> web.Response:
    """GET .../inputs?limit=&cursor=: all inputs."""
    return await list_all(request, INPUT)


async def one(request: web.Request) -> web.Response:
    """GET .../inputs/{id}: one input; secrets are null."""
    return await show(request, INPUT)


@takes("Input")
async def create(request: web.Request) -> web.Response:
    """POST .../inputs: make one; the answer alone has the secret of its key."""
    pair = _pair(edge_of(request).randomness)
    place = await add(request, INPUT, {"kind": "feed"}, {"keys": [pair]})
    answer = shown(place)
    answer["keys"][0]["secret"] = pair["secret"]
    return json_answer(answer, 201, {**NO_STORE, "ETag": place.etag})


@takes("Input")
async def replace(request: web.Request) -> web.Response:
    """PUT .../inputs/{id}: change what is given."""
    return await config_objects.replace(request, INPUT)


async def delete(request: web.Request) -> web.Response:
    """DELETE .../inputs/{id}?force=: delete one, with its connections if that is forced.

    Those that are not active go with it, unless something waits for them. What a file owns goes
    with nothing, nor does an audience become one of all inputs.
    """
    caller = enter(request, "connections:configure_inputs")
    force = is_forced(request)

    def change(sheet: Sheet, data: Data) -> str:
        place = editable(request, sheet, INPUT)
        slug = place.item["id"]
        used = connections_at(sheet, "input", slug)
        audiences = [
            each for each in places(sheet, "audiences") if slug in each.item.get("inputs", ())
        ]
        is_used = any(each.item.get("active", True) for each in used)
        if (is_used or any(_is_held(sheet, each) for each in audiences)) and not force:
            raise refused("VALIDATION_ERROR", IN_USE)
        remove_connections(sheet, data, used)
        for each in audiences:
            check_unmanaged(sheet, each)
            left = [other for other in each.item["inputs"] if other != slug]
            if not left and _is_held(sheet, each):
                message = f"Audience '{each.item['id']}' is of this input alone."
                raise refused("VALIDATION_ERROR", message)
            data["audiences"][each.position]["inputs"] = left
        del data["inputs"][place.position]
        return place.path

    async def check(sheet: Sheet, _: Data) -> None:
        if force:
            return
        place = editable(request, sheet, INPUT)
        deployment = caller.edge.deployment
        if await deployment.audiences.desk.readers_of_input(place.number):
            raise refused("VALIDATION_ERROR", IN_USE)
        for each in connections_at(sheet, "input", place.item["id"]):
            if (await deployment.configuration.queue(each.number)).depth:
                raise refused("VALIDATION_ERROR", f"Something waits for connection {each.number}.")

    await edit(caller, "delete", "input", change, allow_dangerous=True, check=check)
    return web.Response(status=204)


@without_body
async def issue_key(request: web.Request) -> web.Response:
    """POST .../inputs/{id}/keys: a new key beside those there are; its secret is shown once."""
    caller = enter(request, "connections:configure_inputs")
    pair = _pair(caller.edge.randomness)

    def change(sheet: Sheet, data: Data) -> str:
        place = editable(request, sheet, INPUT)
        keys = data["inputs"][place.position]["keys"]
        if len(keys) >= MAX_KEYS:
            raise refused("LIMIT_EXCEEDED", f"An input has at most {MAX_KEYS} keys.")
        keys.append(pair)
        return place.path

    await edit(caller, "create", "input_key", change)
    return json_answer(pair, 201, NO_STORE)


async def revoke_key(request: web.Request) -> web.Response:
    """DELETE .../inputs/{id}/keys/{key}: refuse it from now on."""
    caller = enter(request, "connections:configure_inputs")
    wanted = request.match_info["which"]

    def change(sheet: Sheet, data: Data) -> str:
        place = editable(request, sheet, INPUT)
        source = data["inputs"][place.position]
        key = next((each for each in source["keys"] if each["key"] == wanted), None)
        if key is None:
            raise Refused("NOT_FOUND", "There is no such key.")
        others = [each for each in source["keys"] if each is not key]
        is_last = not any(each.get("status", "active") == "active" for each in others)
        if is_last and source.get("status", "active") == "active":
            raise refused("VALIDATION_ERROR", "It is the last key of an active input.")
        if others:
            source["keys"] = others
        else:
            key["status"] = "revoked"
        return place.path

    await edit(caller, "delete", "input_key", change, allow_dangerous=True)
    return web.Response(status=204)


def shown(place: Place) -> dict[str, Any]:
    """Return an input as the API shows it."""
    item = {key: value for key, value in place.item.items() if key not in ("id", *_OWN)}
    keys = [
        {"key": each["key"], "secret": None, "status": each.get("status", "active")}
        for each in place.item["keys"]
    ]
    return created(place) | {"status": "active"} | item | {"keys": keys}


def _is_held(sheet: Sheet, audience: Place) -> bool:
    """Tell whether an audience is as the document has it: the API has taken over the others."""
    came = together(sheet.served.owned, sheet.served.from_files)
    return audience.item["id"] in came.get("audiences", frozenset())


def _pair(randomness: Randomness) -> dict[str, str]:
    """Make a key and a secret (spec/connections.md, 1.1)."""
    secret = urlsafe_b64encode(randomness.bits(48 * 8).to_bytes(48, "big")).decode()
    return {"key": f"us1-{randomness.bits(128):032x}", "secret": secret}


INPUT = Kind("inputs", "input", "connections:configure_inputs", _OWN, shown)
_INPUTS = WORKSPACE + "/inputs"
_ONE = _INPUTS + "/{input}"

ROUTES = management_routes(
    config_errors,
    ("GET", _INPUTS, listed),
    ("POST", _INPUTS, create),
    ("GET", _ONE, one),
    ("PUT", _ONE, replace),
    ("DELETE", _ONE, delete),
    ("POST", _ONE + "/keys", issue_key),
    ("DELETE", _ONE + "/keys/{which}", revoke_key),
)
