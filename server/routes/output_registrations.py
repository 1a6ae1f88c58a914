"""What modules say of themselves, and leave to use them (spec/platform-api.md, 15).

For outputs whose receivers register what they want (spec/connections.md, 4.2).
"""

from typing import Any, NoReturn
from urllib.parse import urlsplit

from aiohttp import web

from actors.errors import ConfigurationRefused, Problem
from server.auditing import audited
from server.bodiless import without_body
from server.config_edits import find
from server.config_problems import config_errors, refused
from server.management import WORKSPACE, Caller, enter
from server.paths import management_routes
from server.problems import json_answer


@without_body
@audited("update", "output_registration", "output")
async def refresh(request: web.Request) -> web.Response:
    """POST .../registration: ask the module what it wants; 422 lists what is wrong with it."""
    caller = enter(request, "connections:configure_outputs")
    found = await _ask(request, caller, "refresh_registration")
    problems = [problem for each in found for problem in each]
    if problems:
        _refuse(problems)
    [registration, *_] = await _ask(request, caller, "registration")
    return json_answer(registration)


async def start(request: web.Request) -> web.Response:
    """GET .../oauth/start?redirect_uri=: where somebody authorizes the output."""
    caller = enter(request, "connections:configure_outputs")
    redirect_uri = request.query.get("redirect_uri", "")
    if urlsplit(redirect_uri).scheme not in ("http", "https"):
        raise refused("UNKNOWN_FIELD", "must be an http or https URL", "redirect_uri")
    found = await _ask(request, caller, "begin_authorization", redirect_uri)
    url = next((each for each in found if each is not None), None)
    if url is None:
        raise refused("VALIDATION_ERROR", "The module asks for no authorization.")
    return json_answer({"authorization_url": url})


@audited("update", "output_authorization", "output")
async def callback(request: web.Request) -> web.Response:
    """GET .../oauth/callback?code=&state=: what the module sent them back with."""
    caller = enter(request, "connections:configure_outputs")
    code, state = request.query.get("code", ""), request.query.get("state", "")
    problems = await _ask(request, caller, "end_authorization", code, state)
    if None not in problems:  # each environment answers, and one of them sent whoever came back
        _refuse(problems)
    return web.Response(status=204)


def _refuse(problems: list[str]) -> NoReturn:
    distinct = dict.fromkeys(problems)
    raise ConfigurationRefused("VALIDATION_ERROR", [Problem(each) for each in distinct])


async def _ask(request: web.Request, caller: Caller, method: str, *arguments: str) -> list[Any]:
    configuration = caller.edge.deployment.configuration
    place = find(await configuration.sheet(), "outputs", request.match_info["output"])
    found = await configuration.ask_outputs(place.item["id"], method, *arguments)
    if not found:
        raise refused("VALIDATION_ERROR", "The output's module registers nothing.")
    return found


_ONE = WORKSPACE + "/outputs/{output}"

ROUTES = management_routes(
    config_errors,
    ("POST", _ONE + "/registration", refresh),
    ("GET", _ONE + "/oauth/start", start),
    ("GET", _ONE + "/oauth/callback", callback),
)
