"""What the web SDK asks for beside its events and identity calls (spec/clients.md, 4)."""

import asyncio
from hashlib import sha256
from typing import Any

import orjson
from aiohttp import web

from actors.model.workspaces import Environment
from server.auth import web_key
from server.bodies import json_object, read_body
from server.browsers import host_of
from server.client_configs import web_config
from server.context import Edge, count_body, edge_of
from server.edge_config import EdgeConfig, KeyInfo
from server.openapi.takes import takes
from server.paths import CLIENT_PREFLIGHT, Route
from server.problems import Refused, client_error_answer, json_answer

CACHED = {"Cache-Control": "max-age=300"}
SCRIPT_CACHED = {"Cache-Control": "max-age=3600"}

# The page's own configuration is read first: the SDK replaces the object that holds it.
_HEAD = b"(function(){window.__mp=(window.mParticle&&window.mParticle.config)||{};})();\n"
_TAIL = b"""
;(function(){var page=window.__mp;delete window.__mp;var server=%b;
for(var name in server){page[name]=server[name];}
window.mParticle.init(%b,page);})();
"""


async def config(request: web.Request) -> web.Response:
    """GET /JS/v2/{key}/config?env=&plan_id=&plan_version=: what a page's SDK works by."""
    try:
        _, current, key = _enter(request)
    except Refused:
        return json_answer({}, 401)
    return json_answer(_config(request, current, key), headers=CACHED)


async def loader(request: web.Request) -> web.Response:
    """GET .../mparticle.js?env=&plan_id=&plan_version=: the SDK itself, set up for this server."""
    try:
        _, current, key = _enter(request)
    except Refused:
        return _script(b"// The key is not an active key of a web input.\n", 401)
    file = current.web_sdk_file
    if file is None:
        return _script(b"// The web SDK is not served here: set web_sdk_file.\n", 404)
    sdk = await asyncio.to_thread(file.read_bytes)
    server = {
        **_config(request, current, key),
        **_urls(host_of(request)),
        "requestConfig": False,
    }
    body = _HEAD + sdk + _TAIL % (orjson.dumps(server), orjson.dumps(key.key))
    tag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = SCRIPT_CACHED | {"ETag": tag}
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers=headers)
    return _script(body, 200, headers)


@takes("ForwardedEvents")
async def forwarding(request: web.Request) -> web.Response:
    """POST /v1/JS/{key}/Forwarding and v2: what kits of a page have forwarded; it is counted."""
    edge, current, key = _enter(request)
    count_body(request, current, key.input)
    body = json_object(await read_body(request, current.max_body_bytes))
    entries = body.get("data", [body])
    for each in entries if isinstance(entries, list) else ():
        module = each.get("mid") if isinstance(each, dict) else None
        edge.metrics.count_forwarded_by_client(current.workspace_slug, key.input_id, module)
    return web.Response(status=202)


ROUTES = (
    Route(
        "GET",
        "/JS/v2/{key}/config",
        config,
        "client",
        prefixes=("/tags",),
        preflight=CLIENT_PREFLIGHT,
    ),
    Route("GET", "/JS/v2/{key}/mparticle.js", loader, "client", ("/tags",), CLIENT_PREFLIGHT),
    *(
        Route(
            "POST",
            f"/{version}/JS/{{key}}/Forwarding",
            forwarding,
            "client",
            prefixes=("/webevents",),
            preflight=CLIENT_PREFLIGHT,
            errors=client_error_answer,
        )
        for version in ("v1", "v2")
    ),
)


def _enter(request: web.Request) -> tuple[Edge, EdgeConfig, KeyInfo]:
    """Find the key in the path. Raises Refused."""
    edge = edge_of(request)
    current = edge.config.current
    return edge, current, web_key(request.match_info["key"], current)


def _config(request: web.Request, current: EdgeConfig, key: KeyInfo) -> dict[str, Any]:
    query = request.query
    environment: Environment = "development" if query.get("env") == "1" else "production"
    return web_config(current, key, environment, query)


def _urls(host: str) -> dict[str, str]:
    """Return where the SDK finds each API; hosts without their scheme."""
    return {
        "v1SecureServiceUrl": f"{host}/v1/JS/",
        "v2SecureServiceUrl": f"{host}/v2/JS/",
        "v3SecureServiceUrl": f"{host}/v3/JS/",
        "configUrl": f"{host}/JS/v2/",
        "identityUrl": f"{host}/v1/",
        "aliasUrl": f"{host}/v1/identity/",
        "userAudienceUrl": f"{host}/v1/",
    }


def _script(body: bytes, status: int, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status,
        body=body,
        headers=headers,
        content_type="text/javascript",
        charset="utf-8",
    )
