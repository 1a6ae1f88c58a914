"""Profile API and client audience endpoint (spec/profiles.md, 7)."""

from functools import partial
from typing import Any, cast
from uuid import UUID

from aiohttp import web

from actors.model.workspaces import ENVIRONMENTS, Environment
from actors.profiles.view import PROFILE_FIELDS
from server.auth import active_key, bearer
from server.bodies import json_object, read_body, read_bytes
from server.client_proof import SIGNATURE, is_proven
from server.context import Edge, edge_of
from server.edge_config import EdgeConfig
from server.identity_names import idsync_type
from server.openapi.takes import takes
from server.parameters import int64, invalid, missing
from server.paths import CLIENT_PREFLIGHT, MANAGEMENT_PREFLIGHT, Route
from server.problems import Refused, json_answer
from server.rates import admit, used_headers


@takes("Unread")
async def by_mpid(request: web.Request) -> web.Response:
    """GET or POST .../{mpid}?fields=...: one profile; a body is not read."""
    edge = edge_of(request)
    config = edge.config.current
    used = _enter(request, edge, config)
    mpid = int64(request.match_info["mpid"], "mpid")
    fields = _fields(request)
    profile = await edge.deployment.profile(mpid, None, fields)
    return _answer(profile, used)


@takes("ResolvedIdentity")
async def resolve(request: web.Request) -> web.Response:
    """POST /userprofile/v1/resolve/...: the profile that holds an immutable identity."""
    edge = edge_of(request)
    config = edge.config.current
    used = _enter(request, edge, config)
    fields = _fields(request)
    body = json_object(await read_body(request, config.max_body_bytes))
    environment = _environment_type(body)
    found = await edge.deployment.find(environment, *_identity(body, config))
    profile = await edge.deployment.profile(found[0], environment, fields) if found else None
    return _answer(profile, used)


async def resolve_is_post(request: web.Request) -> web.Response:
    """Refuse GET, which the pattern of `by_mpid` would match with `resolve` for an organization."""
    raise web.HTTPMethodNotAllowed(request.method, {"POST"})


async def client_audiences(request: web.Request) -> web.Response:
    """GET /v1/{key}/audience?mpid=...: ids of the audiences that a user of an app is in."""
    edge = edge_of(request)
    config = edge.config.current
    key = active_key(request.match_info["key"], config)
    read = partial(read_bytes, request, config.max_body_bytes)
    if SIGNATURE in request.headers and not await is_proven(
        request, edge, key, config, CLIENT_PREFIXES, read
    ):
        raise Refused("FORBIDDEN", "The signature is not that of the request.")
    if not config.has_client_audience_api:
        raise Refused("FORBIDDEN", "The workspace does not serve audiences to clients.")
    mpid = int64(request.query.get("mpid", ""), "mpid")
    profile = await edge.deployment.profile(mpid, None, ("audience_memberships",))
    memberships = profile["audience_memberships"] if profile else ()
    body = {
        "dt": "cam",
        "ct": edge.clock.now_ms(),
        "id": str(UUID(int=edge.randomness.bits(128), version=4)),
        "audience_memberships": [
            {"audience_id": membership["audience_id"]} for membership in memberships
        ],
    }
    return json_answer(body)


CLIENT_PREFIXES = ("/nativeevents",)

_BY_MPID = "/userprofile/v1/{org}/{account}/{workspace}/{mpid}"
_RESOLVE = "/userprofile/v1/resolve/{org}/{account}/{workspace}"

ROUTES = (
    Route("POST", _RESOLVE, resolve, "profile", preflight=MANAGEMENT_PREFLIGHT),
    Route("GET", _RESOLVE, resolve_is_post, "profile"),
    Route("GET", _BY_MPID, by_mpid, "profile", preflight=MANAGEMENT_PREFLIGHT),
    Route("POST", _BY_MPID, by_mpid, "profile"),
    Route(
        "GET",
        "/v1/{key}/audience",
        client_audiences,
        "profile",
        prefixes=CLIENT_PREFIXES,
        preflight=CLIENT_PREFLIGHT,
    ),
)


def _enter(request: web.Request, edge: Edge, config: EdgeConfig) -> int | None:
    """Check token, scope and rate; return the percentage of the rate that is used."""
    bearer(request, "profile", config, edge.clock)
    asked = tuple(int64(request.match_info[name], name) for name in ("org", "account", "workspace"))
    if asked != (config.organization, config.account, config.workspace):
        raise Refused("FORBIDDEN", "The workspace is outside the credential's scope.")
    return admit(edge, config.profile_limits, 1)


def _fields(request: web.Request) -> tuple[str, ...]:
    asked = request.query.get("fields", "")
    if not asked.strip():
        raise missing("fields")
    fields = tuple(dict.fromkeys(name.strip() for name in asked.split(",")))
    if not set(fields).issubset(PROFILE_FIELDS):
        raise invalid("fields", f"must be of {', '.join(sorted(PROFILE_FIELDS))}")
    return fields


def _environment_type(body: dict[str, Any]) -> Environment:
    name = body.get("environment_type")
    if not name:
        raise missing("environment_type")
    if name not in ENVIRONMENTS:
        raise invalid("environment_type", "must be production or development")
    return cast(Environment, name)


def _identity(body: dict[str, Any], config: EdgeConfig) -> tuple[str, str]:
    identity = body.get("identity")
    if not isinstance(identity, dict):
        raise missing("identity")
    for name in ("type", "value"):
        if not identity.get(name):
            raise missing(f"identity.{name}")
        if not isinstance(identity[name], str) or not identity[name].strip():
            raise invalid(f"identity.{name}", "must be a string that is not blank")
    key = idsync_type(identity["type"])
    if key is None or key not in config.immutable_ids:
        raise invalid("identity.type", "must be an immutable identity type of the workspace")
    return key, identity["value"]


def _answer(profile: dict[str, Any] | None, used: int | None) -> web.Response:
    if profile is None:
        raise Refused("NOT_FOUND", "There is no such profile in this workspace.")
    return json_answer(profile, headers=used_headers(used))
