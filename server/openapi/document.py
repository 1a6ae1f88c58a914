"""Routes -> OpenAPI 3.1.

A handler's docstring begins `METHOD path?query=: what it does`: from there come an operation's
query parameters and its summary. Its body is what `server.openapi.takes` says of it.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from server.openapi.schemas import referenced
from server.openapi.takes import JSON, body_of
from server.paths import Api, Route
from server.version import program_version

_PARAMETER = re.compile(r"\{(\w+)\}")
_HEAD = re.compile(
    r"(?:GET|POST|PUT|PATCH|DELETE)\b[^:]*?"
    r"(?:\?(?P<query>[\w=&.]+(?:(?<=&) [\w=&.]+)*))?(?P<rest>:\s.*)?$"
)
_HAS_BODY = frozenset({"POST", "PUT", "PATCH"})

_SCHEMES: dict[str, dict[str, str]] = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "basic": {"type": "http", "scheme": "basic"},
    "key": {"type": "apiKey", "in": "header", "name": "x-mp-key"},
}
# How each API asks who it is; what is not here asks nobody, or finds a key in the path or body.
_SECURITY: dict[Api, list[dict[str, list[str]]]] = {
    "events": [{"basic": []}],
    "bulk": [{"basic": []}],
    "historical": [{"basic": []}],
    "segment": [{"basic": []}, {}],
    "identity": [{"basic": []}, {"key": []}],
    "dsr": [{"basic": []}],
    "deletion": [{"basic": []}],
    "profile": [{"bearer": []}],
    "platform": [{"bearer": []}],
}
_KEYS_IN_PATHS = frozenset({"key", "api_key", "write_key"})

_INFO = """Served from the routes of the running program. A trailing slash is accepted on every \
path, and a path segment that has a capital letter here matches in any case."""


class Document:
    """The OpenAPI document of some routes; made when it is first asked for."""

    def __init__(self, title: str, routes: Sequence[Route]) -> None:
        self._title = title
        self._routes = routes

    @cached_property
    def text(self) -> bytes:
        """The document as JSON."""
        return msgspec.json.encode(self.data)

    @cached_property
    def data(self) -> dict[str, Any]:
        """The document."""
        paths: dict[str, dict[str, Any]] = {}
        used: set[str] = {"Errors"}
        for route in self._routes:
            for path in (route.path, *(prefix + route.path for prefix in route.prefixes)):
                for method, operation in _operations(route, path, used):
                    paths.setdefault(path, {}).setdefault(method, operation)
        return {
            "openapi": "3.1.0",
            "info": {
                "title": self._title,
                "version": program_version(),
                "description": _INFO,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "paths": paths,
            "components": {"securitySchemes": _SCHEMES, "schemas": referenced(used)},
        }


OPENAPI = web.AppKey("openapi", Document)


def summary_of(handler: Handler) -> str:
    """Return what a handler's docstring says that it does."""
    line = _first_line(handler)
    head = _HEAD.match(line)
    if head is None:
        return line
    return (head["rest"] or line).removeprefix(":").strip()


def _operations(route: Route, path: str, used: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(path)
    ]
    operation: dict[str, Any] = {
        "operationId": _operation_id(route.method, path),
        "tags": [route.api],
        "summary": summary_of(route.handler),
        "parameters": [*parameters, *_query(route.handler)],
        "security": _security(route),
        "responses": _ANSWERS,
    }
    taken = body_of(route.handler) if route.method in _HAS_BODY else None
    if taken is not None:
        schema, media = taken
        used.add(schema)
        operation["requestBody"] = {
            "content": {media: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
        }
    yield route.method.lower(), operation
    if route.method == "GET":
        yield "head", operation | {"operationId": _operation_id("HEAD", path)}
    if route.preflight is not None:
        yield (
            "options",
            {
                "operationId": _operation_id("OPTIONS", path),
                "tags": [route.api],
                "summary": "What a browser asks before it sends a request.",
                "parameters": parameters,
                "security": [],
                "responses": {"204": {"description": "The browser may send it."}},
            },
        )


_ANSWERS = {
    "2XX": {"description": "Done."},
    "3XX": {"description": "Not changed, or to be found elsewhere."},
    "4XX": {
        "description": "Refused; what is wrong, and where.",
        "content": {JSON: {"schema": {"$ref": "#/components/schemas/Errors"}}},
    },
    "503": {"description": "Not possible now; to be tried again."},
}


def _security(route: Route) -> list[dict[str, list[str]]]:
    if _KEYS_IN_PATHS.intersection(_PARAMETER.findall(route.path)) and route.api != "identity":
        return []
    if route.path.startswith("/admin/"):
        return [{"bearer": []}]
    return _SECURITY.get(route.api, [])


def _query(handler: Handler) -> Iterator[dict[str, Any]]:
    head = _HEAD.match(_first_line(handler))
    for name in re.findall(r"(\w+)=", head["query"] or "") if head else ():
        yield {"name": name, "in": "query", "schema": {"type": "string"}}


def _first_line(handler: Handler) -> str:
    paragraph = (handler.__doc__ or "").strip().partition("\n\n")[0]
    return " ".join(paragraph.split())


def _operation_id(method: str, path: str) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", "_", path).strip("_")
    return f"{method.lower()}_{words}"
