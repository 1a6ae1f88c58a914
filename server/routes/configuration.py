"""The configuration of a workspace: export, apply, revisions (spec/connections.md, 10)."""

import asyncio
from typing import Any

from aiohttp import web

from actors.errors import ConfigurationRefused, Problem
from config.data_plans import quarantines
from config.errors import ConfigError
from config.exporting import as_yaml, exported, read_sent
from config.merging import together
from config.numbers import ObjectNumbers
from config.roles import Task
from config.sheets import Applied, Entry
from server.auditing import audited
from server.bodies import read_body
from server.bodiless import without_body
from server.config_edits import flag, moment, wanted_versions
from server.config_problems import config_errors
from server.management import WORKSPACE, audit, body_limit, enter
from server.openapi.takes import takes
from server.paging import paged
from server.parameters import int64
from server.paths import management_routes
from server.problems import Refused, json_answer

MAX_BYTES = 4 * 1024 * 1024
YAML_TYPES = frozenset({"text/yaml", "text/x-yaml", "application/yaml", "application/x-yaml"})
# What a document may change; data plans, and credentials that may do more, need more
# (`config.powers`).
APPLYING: tuple[Task, ...] = (
    "api_credentials:*",
    "audiences:*",
    "calculated_attributes:*",
    "connections:*",
    "data_filter:*",
    "identity_settings:*",
    "privacy:*",
    "user_activity:view",
    "user_management:*",
    "workspaces:*",
)


@audited("export", "config")
async def export(request: web.Request) -> web.Response:
    """GET .../config: what holds, as YAML, with placeholders in the place of secrets."""
    caller = enter(request, "connections:view")
    sheet = await caller.edge.deployment.configuration.sheet()
    came = together(sheet.served.owned, sheet.served.from_files)
    data = exported(sheet.document, sheet.data, came)
    text = await asyncio.to_thread(as_yaml, data)
    headers = _tagged(sheet.served.revision)
    return web.Response(text=text, content_type="text/yaml", charset="utf-8", headers=headers)


@takes("WorkspaceDocument", "text/yaml", MAX_BYTES)
async def apply(request: web.Request) -> web.Response:
    """PUT .../config?dry_run=&prune=&allow_dangerous=: lay a document over what holds."""
    caller = enter(request, *APPLYING)
    if request.content_type not in YAML_TYPES:
        raise Refused("UNSUPPORTED_MEDIA_TYPE", "The body must be text/yaml.")
    prune = flag(request, "prune")
    is_dry, allow_dangerous = flag(request, "dry_run"), flag(request, "allow_dangerous")
    body = await read_body(request, body_limit(request, caller))
    try:
        data = await asyncio.to_thread(read_sent, body.decode())
    except (ConfigError, RecursionError) as error:
        raise _unreadable(error) from None
    configuration, power = caller.edge.deployment.configuration, caller.credential.tasks
    versions = wanted_versions(request)
    if is_dry:
        return _answer(await configuration.plan(data, power, versions, prune=prune))
    done = await configuration.apply(
        data, caller.author, power, versions, prune=prune, allow_dangerous=allow_dangerous
    )
    audit(caller, "update", "config")
    return _answer(done)


async def ids(request: web.Request) -> web.Response:
    """GET .../config/ids: the integer id of every object, by section and id."""
    caller = enter(request, "connections:view")
    sheet = await caller.edge.deployment.configuration.sheet()
    document, numbers = sheet.document, sheet.served.numbers
    found = {
        "account": {document.account.id: numbers.accounts[document.account.id]},
        "workspace": {document.workspace.id: numbers.workspaces[document.workspace.id]},
    }
    for section in ObjectNumbers.__struct_fields__:
        known: dict[str, int] = getattr(numbers, section)
        found[section] = {each.id: known[each.id] for each in getattr(document, section)}
    connections = found["connections"]
    connections |= {name: numbers.connections[name] for name in quarantines(document.data_plans)}
    return json_answer(found)


async def revisions(request: web.Request) -> web.Response:
    """GET .../config/revisions?limit=&cursor=: the last hundred, newest first."""
    caller = enter(request, "connections:view")
    found = await caller.edge.deployment.configuration.revisions()
    return paged(request, [_entry(each) for each in found], "revision")


async def revision(request: web.Request) -> web.Response:
    """GET .../config/revisions/{n}: one of them, with what it changed."""
    caller = enter(request, "connections:view")
    found = await caller.edge.deployment.configuration.revision(_number(request))
    if found is None:
        raise _no_revision()
    return json_answer(_entry(found))


@without_body
async def roll_back(request: web.Request) -> web.Response:
    """POST .../config/revisions/{n}/rollback?allow_dangerous=: let it hold again."""
    caller = enter(request, *APPLYING)
    done = await caller.edge.deployment.configuration.roll_back(
        _number(request),
        caller.author,
        caller.credential.tasks,
        wanted_versions(request),
        allow_dangerous=flag(request, "allow_dangerous"),
    )
    if done is None:
        raise _no_revision()
    audit(caller, "rollback", "config")
    return _answer(done)


_CONFIG = WORKSPACE + "/config"
_REVISION = _CONFIG + "/revisions/{revision}"

ROUTES = management_routes(
    config_errors,
    ("GET", _CONFIG, export),
    ("PUT", _CONFIG, apply),
    ("GET", _CONFIG + "/ids", ids),
    ("GET", _CONFIG + "/revisions", revisions),
    ("GET", _REVISION, revision),
    ("POST", _REVISION + "/rollback", roll_back),
)


def _tagged(revision: int) -> dict[str, str]:
    return {"ETag": f'"{revision}"'}


def _answer(done: Applied) -> web.Response:
    return json_answer(_applied(done), headers=_tagged(done.revision))


def _applied(done: Applied) -> dict[str, Any]:
    return {
        "revision": done.revision,
        "changes": [
            {
                "action": each.action,
                "section": each.section,
                "id": each.name,
                "fields": list(each.fields),
                "danger": each.danger,
                "line": each.line(),
            }
            for each in done.differences
        ],
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "revision": entry.number,
        "applied_on": moment(entry.applied_ms),
        "applied_by": entry.actor,
        "origin": entry.origin,
        "changes": list(entry.summary),
    }


def _number(request: web.Request) -> int:
    number = int64(request.match_info["revision"], "revision")
    if number < 1:
        raise _no_revision()
    return number


def _no_revision() -> Refused:
    return Refused("NOT_FOUND", "There is no such revision.")


def _unreadable(error: ConfigError | RecursionError) -> ConfigurationRefused:
    if isinstance(error, RecursionError):
        return ConfigurationRefused("VALIDATION_ERROR", [Problem("is nested too deeply")])
    problems = [Problem(message, path or None) for path, message in error.problems]
    return ConfigurationRefused("VALIDATION_ERROR", problems)
