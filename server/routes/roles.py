"""Custom roles (spec/platform-api.md, 3; spec/privacy.md, 10.3)."""

from typing import Any

from aiohttp import web

from actors.store.access import Manifest
from config.access import shown_roles
from config.roles import TASKS
from server.bodies import json_object, read_body
from server.config_edits import moment, wanted_versions
from server.config_problems import config_errors, refused
from server.management import audit, enter_organization
from server.openapi.takes import takes
from server.paging import paged
from server.paths import management_routes
from server.problems import Refused, json_answer

# What a manifest that was read has besides its roles; sent back, it says nothing.
_READ_ONLY = frozenset({"version", "last_modified_on", "last_modified_by"})


async def tasks(request: web.Request) -> web.Response:
    """GET .../tasks?limit=&cursor=: what a role can allow."""
    enter_organization(request, changes=False)
    listed = [
        {"task_id": name, "display_name": title, "description": text}
        for name, (title, text) in TASKS.items()
    ]
    return paged(request, listed, "task_id")


async def manifest(request: web.Request) -> web.Response:
    """GET .../roles: all custom roles."""
    caller = enter_organization(request, changes=False)
    return _answer(await caller.edge.deployment.configuration.roles())


@takes("Roles")
async def replace(request: web.Request) -> web.Response:
    """PUT .../roles: replace all custom roles; one that is not sent is deleted."""
    caller = enter_organization(request, changes=True)
    text = await read_body(request, caller.config.max_body_bytes)
    try:
        body = json_object(text)
    except Refused:
        raise Refused("BAD_REQUEST", "Invalid JSON") from None
    for name in body.keys() - _READ_ONLY - {"roles"}:
        raise refused("UNKNOWN_FIELD", "unknown key", name)
    configuration = caller.edge.deployment.configuration
    made = await configuration.put_roles(body.get("roles"), caller.author, wanted_versions(request))
    audit(caller, "update", "roles")
    return _answer(made)


_BASE = "/platform/v2/organizations/{org}/accounts/{account}"

ROUTES = management_routes(
    config_errors,
    ("GET", _BASE + "/tasks", tasks),
    ("GET", _BASE + "/roles", manifest),
    ("PUT", _BASE + "/roles", replace),
)


def _answer(found: Manifest) -> web.Response:
    shown: dict[str, Any] = {
        "roles": shown_roles(found.roles),
        "last_modified_on": None if found.modified_ms is None else moment(found.modified_ms),
        "last_modified_by": found.modified_by,
        "version": found.version,
    }
    return json_answer(shown, headers={"ETag": f'"{found.version}"'})
