"""What requests about audiences begin with."""

from typing import Any

from aiohttp import web

from actors.audiences.objects import Audience
from server.bodies import json_object, read_body
from server.edge_config import Role
from server.management import Caller
from server.parameters import is_int64
from server.problems import Refused

MAY_CHANGE_AUDIENCES: frozenset[Role] = frozenset({"admin", "user"})


async def json_body(request: web.Request, caller: Caller) -> dict[str, Any]:
    """Read a body that has to be a JSON object."""
    if request.content_type != "application/json":
        raise Refused("UNSUPPORTED_MEDIA_TYPE", "The body must be application/json.")
    return json_object(await read_body(request, caller.config.max_body_bytes))


def number_in_path(request: web.Request, name: str) -> int:
    """Return a number of the path; nothing has a number that is none (404)."""
    text = request.match_info[name]
    if not is_int64(text):
        raise Refused("NOT_FOUND", f"There is no such {name}.")
    return int(text)


def visible(caller: Caller, audience: Audience) -> bool:
    """Tell whether an audience is one of the workspace that the path names."""
    return caller.config.workspace in audience.workspaces


def no_audience() -> Refused:
    """Make the error of an audience that is not there."""
    return Refused("NOT_FOUND", "There is no such audience.")
