"""The workspace itself (spec/platform-api.md, 5)."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from config.merging import Data
from config.roles import Task
from config.sheets import Sheet
from server.config_edits import (
    MANAGED,
    body_of,
    check_match,
    edit,
    etag_of,
    moment,
    settable,
)
from server.config_problems import config_errors, refused
from server.management import WORKSPACE, enter
from server.openapi.takes import takes
from server.paths import management_routes
from server.problems import json_answer
from server.read_back import differing

# Each with the task that changing it needs: what people are told of their data is privacy's.
FIELDS: Mapping[str, Task] = {
    "name": "workspaces:*",
    "regulations": "privacy:*",
    "privacy": "privacy:*",
    "retention": "privacy:*",
    "limits": "workspaces:*",
}


_READ_ONLY = frozenset({"id", "slug", "created_on", "dsr_key"})


async def one(request: web.Request) -> web.Response:
    """GET .../workspaces/{id}: the workspace."""
    caller = enter(request, "user:core")
    return _answer(await caller.edge.deployment.configuration.sheet())


@takes("Workspace")
async def replace(request: web.Request) -> web.Response:
    """PUT .../workspaces/{id}: change what is given; the rest may be as it is shown.

    What a body leaves out of a regulation, of privacy, of retention or of limits stays too. A
    purpose of GDPR cannot be removed.
    """
    caller = enter(request)
    if caller.credential.tasks.isdisjoint(FIELDS.values()):
        caller.require("workspaces:*")
    body = await body_of(request, caller)
    for name in body.keys() - FIELDS.keys() - _READ_ONLY:
        raise refused("UNKNOWN_FIELD", "unknown key", name)

    def change(sheet: Sheet, data: Data) -> str:
        shown = _shown(sheet)
        given = settable(body, shown, _READ_ONLY)
        caller.require(*(FIELDS[name] for name in differing(given, shown, FIELDS)))
        is_owned = "workspace" in sheet.served.owned.get("workspace", frozenset())
        if is_owned and not sheet.document.workspace.config.allow_api_edits:
            raise refused("MANAGED", MANAGED)
        check_match(request, _etag(sheet))
        _lay_over(data["workspace"], given)
        return "workspace"

    return _answer(await edit(caller, "update", "workspace", change))


ROUTES = management_routes(config_errors, ("GET", WORKSPACE, one), ("PUT", WORKSPACE, replace))


def _answer(sheet: Sheet) -> web.Response:
    return json_answer(_shown(sheet), headers={"ETag": _etag(sheet)})


def _etag(sheet: Sheet) -> str:
    return etag_of(sheet.stamps.get("workspace"))


def _lay_over(kept: Data, given: Mapping[str, Any]) -> None:
    """Change what is given, member by member; a list is given as a whole."""
    for name, value in given.items():
        former = kept.get(name)
        if isinstance(former, dict) and isinstance(value, dict):
            _lay_over(former, value)
        else:
            kept[name] = value


def _shown(sheet: Sheet) -> dict[str, Any]:
    workspace, stamp = sheet.document.workspace, sheet.stamps.get("workspace")
    dsr = workspace.dsr_credentials
    return {
        "id": sheet.served.info.number,
        "slug": workspace.id,
        "name": workspace.name,
        "created_on": None if stamp is None else moment(stamp.created_ms),
        "regulations": workspace.regulations.model_dump(mode="json"),
        "privacy": workspace.privacy.model_dump(mode="json"),
        "retention": workspace.retention.model_dump(mode="json"),
        "limits": workspace.limits.model_dump(mode="json"),
        "dsr_key": None if dsr is None else dsr.key,
    }
