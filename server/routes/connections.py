"""Connections of inputs to outputs (spec/platform-api.md, 15; spec/connections.md, 1.3)."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from aiohttp import web

from actors.errors import ShardUnavailable
from config.cookie_sync import COOKIE_SYNC
from config.data_plans import quarantines
from config.merging import Data
from config.outputs import Connection
from config.sheets import Sheet
from server.auditing import audited
from server.bodiless import without_body
from server.config_edits import (
    CREATED,
    Place,
    body_of,
    check_match,
    check_unmanaged,
    created,
    edit,
    find,
    find_slug,
    free_id,
    id_of,
    is_forced,
    moment,
    places,
    settable,
)
from server.config_objects import check_filtering
from server.config_problems import config_errors, refused
from server.management import WORKSPACE, Caller, enter
from server.openapi.takes import takes
from server.paging import paged
from server.paths import management_routes
from server.problems import json_answer

STATUSES = ("draft", "active", "inactive", "faulted")
# What the API calls otherwise than the document.
_NAMES = {"input_id": "input", "output_id": "output", "is_active": "active"}
# The rest of what a connection can have is called alike.
_ALIKE = tuple(
    name for name in Connection.model_fields if name not in ("id", "number", *_NAMES.values())
)
_FIELDS = frozenset({"id", *_NAMES, *_ALIKE})
# What is shown of a connection, and stays what it is or follows from something else.
_READ_ONLY = (
    *CREATED,
    *("input_id", "input", "output_id", "output", "kind", "status", "is_faulted", "fault"),
)
# What is shown of those that the document does not say.
_DEFAULTS: Mapping[str, Any] = {
    "settings": {},
    "filters": {},
    "forwarding_rules": [],
    "sampling": None,
    "min_app_version": None,
    "custom_mappings": [],
}

Told = Mapping[str, Any]  # what a forwarder says of itself


async def listed(request: web.Request) -> web.Response:
    """GET .../output-connections?input=&output=&status=&limit=&cursor=: those that are meant."""
    caller = enter(request, "connections:view")
    query = request.query
    if query.get("status", "active") not in STATUSES:
        raise refused("UNKNOWN_FIELD", f"must be one of {', '.join(STATUSES)}", "status")
    sheet = await caller.edge.deployment.configuration.sheet()
    found = places(sheet, "connections")
    entries = [_shown(each, sheet, told) for each, told in await _with_forwarders(caller, found)]
    wanted = [
        each
        for each in entries
        if query.get("input") in (None, str(each["input_id"]), each["input"])
        and query.get("output") in (None, str(each["output_id"]), each["output"])
        and query.get("status") in (None, each["status"])
    ]
    return paged(request, wanted)


async def one(request: web.Request) -> web.Response:
    """GET .../output-connections/{cid}: one connection."""
    caller = enter(request, "connections:view")
    return await _answer(caller, await caller.edge.deployment.configuration.sheet(), request)


@takes("Connection")
async def create(request: web.Request) -> web.Response:
    """POST .../output-connections: join an input and an output."""
    caller = enter(request, "connections:connect_integration")
    body = await body_of(request, caller)
    _check_fields(body, _FIELDS)
    check_filtering(caller, body, {})
    slug = ""

    def change(sheet: Sheet, data: Data) -> str:
        nonlocal slug
        connections = data.setdefault("connections", [])
        item = _item(body, sheet, data)
        words = (item.get("input", "connection"), item.get("output", ""))
        item.setdefault("id", free_id(data, "connections", *words))
        connections.append(item)
        slug = item["id"]
        return f"connections[{len(connections) - 1}]"

    sheet = await edit(caller, "create", "output_connection", change)
    return await _answer(caller, sheet, request, slug, 201)


@takes("Connection")
async def replace(request: web.Request) -> web.Response:
    """PUT .../output-connections/{cid}: change what is given; the rest may be as it is shown."""
    caller = enter(request, "connections:connect_integration")
    body = await body_of(request, caller)
    _check_fields(body, _FIELDS.union(_READ_ONLY))
    named = _named(request, await caller.edge.deployment.configuration.sheet())
    [(_, told)] = await _with_forwarders(caller, [named])

    def change(sheet: Sheet, data: Data) -> str:
        place = _checked(request, sheet)
        given = settable(body, _shown(place, sheet, told), _READ_ONLY)
        check_filtering(caller, given, place.item)
        data["connections"][place.position].update(_item(given, sheet, data))
        return place.path

    sheet = await edit(caller, "update", "output_connection", change)
    return await _answer(caller, sheet, request)


async def delete(request: web.Request) -> web.Response:
    """DELETE .../output-connections/{cid}?force=: with what waits only if that is forced."""
    caller = enter(request, "connections:connect_integration")

    def change(sheet: Sheet, data: Data) -> str:
        place = _checked(request, sheet)
        del data["connections"][place.position]
        return place.path

    force = is_forced(request)
    await edit(caller, "delete", "output_connection", change, allow_dangerous=force)
    return web.Response(status=204)


@without_body
async def activate(request: web.Request) -> web.Response:
    """POST .../output-connections/{cid}/activation: send from now on, and what was held."""
    return await _set_active(request, is_active=True)


async def deactivate(request: web.Request) -> web.Response:
    """DELETE .../output-connections/{cid}/activation: what waits is held."""
    return await _set_active(request, is_active=False)


@without_body
@audited("resume", "output_connection", "connection", one)
async def resume(request: web.Request) -> web.Response:
    """POST .../output-connections/{cid}/resume: let a faulted connection send again."""
    caller = enter(request, "connections:connect_integration")
    configuration = caller.edge.deployment.configuration
    sheet = await configuration.sheet()
    place = _delivering(request, sheet)
    output = _forwarded_to(sheet, place)
    if output is None or not await configuration.resume(place.number, output):
        raise refused("VALIDATION_ERROR", "The connection is not faulted.")
    return web.Response(status=204)


async def queue(request: web.Request) -> web.Response:
    """GET .../output-connections/{cid}/queue: what waits, and when some of it is sent next."""
    caller = enter(request, "connections:view")
    configuration = caller.edge.deployment.configuration
    sheet = await configuration.sheet()
    place = _delivering(request, sheet)
    [(_, told)] = await _with_forwarders(caller, [place])
    found, state = await configuration.queue(place.number), _state(place, told)
    now_ms = caller.edge.clock.now_ms()
    next_ms = found.next_attempt_ms
    if next_ms is not None:
        next_ms = max(next_ms, told.get("free_ms") or 0, now_ms)
    is_sending = _status(place, told) == "active"
    return json_answer(
        {
            "depth": found.depth,
            "bytes": found.bytes,
            "oldest_age_s": None if found.oldest_ms is None else (now_ms - found.oldest_ms) / 1000,
            "in_flight": state.get("in_flight"),
            "blocked_users": state.get("blocked_users"),
            "next_attempt_on": moment(next_ms) if next_ms is not None and is_sending else None,
        }
    )


@audited("delete", "queue", "connection", queue)
async def purge(request: web.Request) -> web.Response:
    """DELETE .../output-connections/{cid}/queue: delete what waits."""
    caller = enter(request, "connections:connect_integration")
    configuration = caller.edge.deployment.configuration
    sheet = await configuration.sheet()
    place = _delivering(request, sheet)
    await configuration.purge(place.number, _forwarded_to(sheet, place))
    return web.Response(status=204)


_CONNECTIONS = WORKSPACE + "/output-connections"
_ONE = _CONNECTIONS + "/{connection}"

ROUTES = management_routes(
    config_errors,
    ("GET", _CONNECTIONS, listed),
    ("POST", _CONNECTIONS, create),
    ("GET", _ONE, one),
    ("PUT", _ONE, replace),
    ("DELETE", _ONE, delete),
    ("POST", _ONE + "/activation", activate),
    ("DELETE", _ONE + "/activation", deactivate),
    ("POST", _ONE + "/resume", resume),
    ("GET", _ONE + "/queue", queue),
    ("DELETE", _ONE + "/queue", purge),
)


async def _set_active(request: web.Request, *, is_active: bool) -> web.Response:
    caller = enter(request, "connections:connect_integration")

    def change(sheet: Sheet, data: Data) -> str:
        place = _checked(request, sheet)
        data["connections"][place.position]["active"] = is_active
        return place.path

    action = "activate" if is_active else "deactivate"
    await edit(caller, action, "output_connection", change)
    return web.Response(status=204)


def _named(request: web.Request, sheet: Sheet) -> Place:
    return find(sheet, "connections", request.match_info["connection"])


def _delivering(request: web.Request, sheet: Sheet) -> Place:
    """Return a connection of an input, or of a data plan's version to its quarantine output."""
    wanted = request.match_info["connection"]
    for name, version in quarantines(sheet.document.data_plans).items():
        number = sheet.served.numbers.connections[name]
        if wanted in (name, str(number)):
            item = {"id": name, "output": version.quarantine_output, "active": version.is_active}
            return Place("connections", -1, item, number, None)
    return _named(request, sheet)


def _forwarded_to(sheet: Sheet, place: Place) -> str | None:
    """Return the id of a connection's output; `None`: pages are told of it, nothing is sent."""
    output = sheet.document.outputs_by_id[place.item["output"]]
    return None if output.kind == COOKIE_SYNC else output.id


def _checked(request: web.Request, sheet: Sheet) -> Place:
    place = _named(request, sheet)
    check_unmanaged(sheet, place)
    check_match(request, place.etag)
    return place


def _check_fields(body: dict[str, Any], known: Collection[str]) -> None:
    for name in body:
        if name not in known:
            raise refused("UNKNOWN_FIELD", "unknown key", name)


def _item(body: dict[str, Any], sheet: Sheet, data: Data) -> dict[str, Any]:
    """Return what a body says, as the document does."""
    item = {_NAMES.get(name, name): value for name, value in body.items()}
    for name in ("input", "output"):
        if name in item:
            item[name] = id_of(data, sheet, f"{name}s", item[name])
    return item


async def _answer(
    caller: Caller, sheet: Sheet, request: web.Request, slug: str | None = None, status: int = 200
) -> web.Response:
    place = _named(request, sheet) if slug is None else find_slug(sheet, "connections", slug)
    [(_, told)] = await _with_forwarders(caller, [place])
    return json_answer(_shown(place, sheet, told), status, {"ETag": place.etag})


async def _with_forwarders(caller: Caller, found: Sequence[Place]) -> list[tuple[Place, Told]]:
    """Return connections with what their forwarders tell; of one that is silent, nothing."""
    configuration = caller.edge.deployment.configuration

    async def ask(output: str) -> Told:
        try:
            return await configuration.forwarder_status(output)
        except (ShardUnavailable, RuntimeError):
            return {}

    outputs = list(dict.fromkeys(each.item["output"] for each in found))
    told = dict(zip(outputs, await asyncio.gather(*map(ask, outputs)), strict=True))
    return [(each, told[each.item["output"]]) for each in found]


def _state(place: Place, told: Told) -> Mapping[str, Any]:
    """Return what a forwarder says of one of its connections."""
    states: Mapping[str, Mapping[str, Any]] = told.get("connections", {})
    return states.get(place.item["id"], {})


def _status(place: Place, told: Told) -> str:
    if not place.item.get("active", True):
        return "draft" if place.stamp is not None and place.stamp.is_draft else "inactive"
    return "faulted" if _state(place, told).get("status") == "faulted" else "active"


def _shown(place: Place, sheet: Sheet, told: Told) -> dict[str, Any]:
    item, numbers = place.item, sheet.served.numbers
    output = sheet.document.outputs_by_id[item["output"]]
    status = _status(place, told)
    return {
        **created(place),
        "input_id": numbers.inputs.get(item.get("input", "")),
        "input": item.get("input"),
        "output_id": numbers.outputs[item["output"]],
        "output": item["output"],
        "kind": output.kind,
        "is_active": item.get("active", True),
        "status": status,
        "is_faulted": status == "faulted",
        "fault": _state(place, told).get("fault") if status == "faulted" else None,
        **_DEFAULTS,
        **{name: item[name] for name in _ALIKE if name in item},
    }
