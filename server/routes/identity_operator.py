"""Identities for operators: look up, tell why, take back (spec/identity.md, 12).

The settings come from the workspace document and are changed only there.
"""

import asyncio
from typing import Any

from aiohttp import web

from actors.identity.calls import IdentityProblem
from actors.identity.state import IdentityRecord
from actors.model.workspaces import ENVIRONMENTS, Environment
from config.errors import ConfigError
from config.identity import parse_identity
from server.auditing import audited
from server.bodies import json_object, read_body
from server.bodiless import without_body
from server.identity_names import idsync_type
from server.identity_problems import IdentityRefused
from server.identity_requests import CALL_KINDS, identity_call
from server.identity_view import alias_view, history_view, record_view
from server.management import (
    Caller,
    enter_scope,
)
from server.openapi.takes import takes
from server.parameters import int64, invalid, missing
from server.paths import MANAGEMENT_PREFLIGHT, Route
from server.problems import Refused, json_answer


@audited("read", "identity_record", "mpid")
async def record(request: web.Request) -> web.Response:
    """GET .../mpids/{mpid}: the identities by which a user is found."""
    caller = enter_scope(request, "user_activity:view")
    mpid = int64(request.match_info["mpid"], "mpid")
    found = await _record(caller, _environment(request), mpid)
    return json_answer(record_view(mpid, found, caller.config.identity.settings.login_ids))


@audited("read", "identity_history", "mpid")
async def history(request: web.Request) -> web.Response:
    """GET .../mpids/{mpid}/history: what calls and batches did to it, newest first."""
    caller = enter_scope(request, "user_activity:view")
    mpid, environment = int64(request.match_info["mpid"], "mpid"), _environment(request)
    await _record(caller, environment, mpid)
    entries = await caller.edge.deployment.identity_history(environment, mpid)
    return json_answer(history_view(mpid, entries))


@without_body
@audited("update", "identity_record", "mpid")
async def undo(request: web.Request) -> web.Response:
    """POST .../mpids/{mpid}/undo: take back what was done to it last, with all that belongs to it.

    409 if there is nothing to take back, or if something has been built upon it.
    """
    caller = enter_scope(request, "identity_settings:*", "user_activity:view")
    mpid, environment = int64(request.match_info["mpid"], "mpid"), _environment(request)
    await _record(caller, environment, mpid)
    answer = await caller.edge.deployment.undo(environment, mpid)
    if isinstance(answer, IdentityProblem):
        raise Refused("CONFLICT", answer.message)
    changed = [{"identity_type": name, "mpid": str(whose)} for name, whose in answer.changed]
    return json_answer({"changed": changed})


@audited("read", "identities")
async def lookup(request: web.Request) -> web.Response:
    """GET .../lookup?type=&value=: who holds an identity, newest link first."""
    caller = enter_scope(request, "user_activity:view")
    name, value = request.query.get("type"), request.query.get("value", "").strip()
    if name is None:
        raise missing("type")
    identity_type = idsync_type(name)
    if identity_type is None:
        raise invalid("type", "must be an identity type")
    if not value:
        raise missing("value")
    mpids = await caller.edge.deployment.lookup(_environment(request), identity_type, value)
    return json_answer({"mpids": [str(mpid) for mpid in mpids]})


@audited("read", "identities")
@takes("ExplainedCall")
async def explain(request: web.Request) -> web.Response:
    """POST .../explain: why a call would be answered as it would be; nothing is changed.

    The body is that of an identity call, with `call`: identify, login, logout or search.
    """
    caller = enter_scope(request, "user_activity:view")
    body = await _object(request, caller)
    kind = next((each for each in CALL_KINDS if each == body.get("call")), None)
    if kind is None:
        raise invalid("call", f"must be one of {', '.join(CALL_KINDS)}")
    body["environment"] = _environment(request)
    try:
        now_ms = caller.edge.clock.now_ms()
        given = identity_call(kind, body, "", is_read_only=True, now_ms=now_ms)
    except IdentityRefused as error:
        raise Refused("BAD_REQUEST", error.problem.message) from None
    return json_answer(await caller.edge.deployment.explain(given.call))


async def settings(request: web.Request) -> web.Response:
    """GET .../config: the settings in force."""
    caller = enter_scope(request, "identity_settings:view")
    return json_answer(caller.config.identity.settings.model_dump(mode="json"))


@audited("update", "identity_settings", "scope", settings)
@takes("IdentitySettings")
async def replace_settings(request: web.Request) -> web.Response:
    """PUT .../config: check settings as a whole (spec/connections.md, 10).

    Answered with those in force if they are the same. Others are refused: with 400 if they break a
    rule, else with 409, because the workspace document is where they are changed.
    """
    caller = enter_scope(request, "identity_settings:*")
    body = await _object(request, caller)
    try:
        wanted = parse_identity(body)
    except ConfigError as error:
        raise Refused("BAD_REQUEST", "; ".join(error.lines())) from None
    in_force = caller.config.identity.settings
    if wanted != in_force:
        raise Refused("CONFLICT", "Managed by configuration file.")
    return json_answer(in_force.model_dump(mode="json"))


@audited("read", "aliases")
async def aliases(request: web.Request) -> web.Response:
    """GET .../aliases?mpid=: aliases of both environments that name a user, oldest first."""
    caller = enter_scope(request, "user_activity:view")
    text = request.query.get("mpid")
    if text is None:
        raise missing("mpid")
    mpid = int64(text, "mpid")
    deployment = caller.edge.deployment
    found = await asyncio.gather(*(deployment.aliases_of(each, mpid) for each in ENVIRONMENTS))
    return json_answer([alias_view(each) for some in found for each in some])


_SCOPE = "/platform/identity/{scope}"
_POOL = _SCOPE + "/{environment}"


def _route(method: str, path: str, handler: Any) -> Route:
    return Route(method, path, handler, "platform", preflight=MANAGEMENT_PREFLIGHT)


ROUTES = (
    _route("GET", _SCOPE + "/config", settings),
    _route("PUT", _SCOPE + "/config", replace_settings),
    _route("GET", _SCOPE + "/aliases", aliases),
    _route("GET", _POOL + "/lookup", lookup),
    _route("POST", _POOL + "/explain", explain),
    _route("GET", _POOL + "/mpids/{mpid}", record),
    _route("GET", _POOL + "/mpids/{mpid}/history", history),
    _route("POST", _POOL + "/mpids/{mpid}/undo", undo),
)


def _environment(request: web.Request) -> Environment:
    name = request.match_info["environment"]
    found = next((each for each in ENVIRONMENTS if each == name), None)
    if found is None:
        raise Refused("NOT_FOUND", "There is no such environment.")
    return found


async def _object(request: web.Request, caller: Caller) -> dict[str, Any]:
    return json_object(await read_body(request, caller.config.max_body_bytes))


async def _record(caller: Caller, environment: Environment, mpid: int) -> IdentityRecord:
    found = await caller.edge.deployment.identity_record(environment, mpid)
    if found is None:
        raise Refused("NOT_FOUND", "There is no such user in this scope and environment.")
    return found
