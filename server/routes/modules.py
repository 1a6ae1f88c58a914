"""What outputs can be made of (spec/platform-api.md, 15)."""

from typing import Any

from aiohttp import web

from actors.outputs.connection_settings import ConnectionSettings
from actors.outputs.module import OutputModule
from actors.outputs.registry import MODULES
from server.management import WORKSPACE, enter
from server.paging import paged
from server.paths import MANAGEMENT_PREFLIGHT, Route
from server.problems import Refused, json_answer


async def listed(request: web.Request) -> web.Response:
    """GET .../modules?limit=&cursor=: all modules, by name."""
    enter(request, "user:core")
    return paged(request, [_shown(MODULES[name]) for name in sorted(MODULES)], "module")


async def one(request: web.Request) -> web.Response:
    """GET .../modules/{module}: one module."""
    enter(request, "user:core")
    module = MODULES.get(request.match_info["module"])
    if module is None:
        raise Refused("NOT_FOUND", "There is no such module.")
    return json_answer(_shown(module))


ROUTES = (
    Route("GET", WORKSPACE + "/modules", listed, "platform", preflight=MANAGEMENT_PREFLIGHT),
    Route("GET", WORKSPACE + "/modules/{module}", one, "platform", preflight=MANAGEMENT_PREFLIGHT),
)


def _shown(module: OutputModule) -> dict[str, Any]:
    """Return a module as the API shows it; where it takes all, or says so later, that is null."""
    takes = module.always_takes
    return {
        "module": module.module,
        "kinds": sorted(module.kinds),
        "accepts_unbound": module.accepts_unbound,
        "supported_platforms": _listed(takes.platforms),
        "supported_event_types": _listed(takes.event_types),
        "settings": module.settings_model.model_json_schema(),
        "connection_settings": (
            module.connection_settings_model or ConnectionSettings
        ).model_json_schema(),
    }


def _listed(names: frozenset[str] | None) -> list[str] | None:
    return None if names is None else sorted(names)
