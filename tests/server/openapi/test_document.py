"""`/openapi.json`: every path and method of a port, and none more."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from aiohttp import web

from server.admin import ROUTES as ADMIN_ROUTES
from server.app import ROUTES
from server.idempotency import once
from server.openapi.document import OPENAPI, Document, summary_of
from server.openapi.takes import body_of, takes
from server.paths import Route, register
from server.routes import openapi, operations
from server.routes.connections import create
from tests.server.conftest import World

ADMIN = (*operations.ROUTES, *openapi.ROUTES, *ADMIN_ROUTES)


def _served(app: web.Application) -> Iterator[tuple[str, str]]:
    """Yield (method, path) of all that a router has, paths as the document writes them."""
    for route in app.router.routes():
        assert route.resource is not None
        path = route.resource.canonical.removesuffix("{_slash}")
        path = re.sub(r"\{_(\w+)\}", r"\1", path).rstrip("/")
        yield route.method, path


def _described(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for path, operations_of in document["paths"].items():
        for method in operations_of:
            yield method.upper(), path


@pytest.mark.parametrize("routes", [ROUTES, ADMIN], ids=["edge", "admin port"])
def test_the_document_has_every_route_and_method_and_none_more(routes: tuple[Route, ...]) -> None:
    app = web.Application()
    register(app, routes)
    described = list(_described(Document("", routes).data))
    assert set(described) == set(_served(app))
    assert len(described) == len(set(described))


@pytest.mark.parametrize("routes", [ROUTES, ADMIN], ids=["edge", "admin port"])
def test_every_operation_says_what_it_does_and_is_named_once(routes: tuple[Route, ...]) -> None:
    names = []
    for path, operations_of in Document("", routes).data["paths"].items():
        for method, operation in operations_of.items():
            names.append(operation["operationId"])
            assert len(operation["summary"]) > 5, (method, path)
            named = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
            assert named == set(re.findall(r"\{(\w+)\}", path))
    assert len(names) == len(set(names))


def test_schemas_are_well_formed_and_refer_to_nothing_that_is_missing() -> None:
    document = Document("", ROUTES).data
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    referred = set(
        re.findall(r"#/components/schemas/([\w.-]+)", Document("", ROUTES).text.decode())
    )
    assert referred <= set(schemas)
    batch = {"$ref": "#/components/schemas/Batch", "components": {"schemas": schemas}}
    check = jsonschema.Draft202012Validator(batch)
    assert check.is_valid({"events": [{"event_type": "custom_event", "data": {}}], "mpid": "5"})
    assert not check.is_valid({"events": {}})


@pytest.mark.parametrize("routes", [ROUTES, ADMIN], ids=["edge", "admin port"])
def test_every_body_is_said_and_those_that_are_not_read_are_these(
    routes: tuple[Route, ...],
) -> None:
    document = Document("", routes).data
    schemas = document["components"]["schemas"]
    unread: set[str] = set()
    for path, operations_of in document["paths"].items():
        for method, operation in operations_of.items():
            assert ("requestBody" in operation) == (method in ("post", "put", "patch")), path
            for media in operation.get("requestBody", {}).get("content", {}).values():
                name = media["schema"]["$ref"].rpartition("/")[2]
                if name == "Unread":
                    unread.add(path)
                else:
                    assert {"type", "anyOf", "oneOf", "allOf"} & schemas[name].keys(), (path, name)
    of_edge = {"/v1/m", "/segment/v1/m", "/userprofile/v1/{org}/{account}/{workspace}/{mpid}"}
    assert unread == (of_edge if routes is ROUTES else set())


# What reads parameters of a query for a handler, and which.
READERS = {
    r"\b(?:paged|page_of|list_all)\(\s*request\b": {"limit", "cursor"},
    r"\bpage_size\(": {"limit"},
    r"\benvironment\(request\)": {"environment"},
    r"\bis_forced\(": {"force"},
    r"\b_edit\(request\b": {"force"},
    r"\bdata_plan_result\(|\b(?:native_config|_config)\(": {"plan_id", "plan_version"},
    r"\bwriter_of\(request\b|\b_received\(request\)": {"writeKey"},
    r"\bpixel_batch\(": {
        "dt",
        "n",
        "et",
        "ct",
        "attrs_k",
        "attrs_v",
        "ui_t",
        "ui_v",
        "consent_state",
    },
    r"\bpixel_message\(": {"anonymousId", "userId", "event", "name"},
}


@pytest.mark.parametrize("routes", [ROUTES, ADMIN], ids=["edge", "admin port"])
def test_every_query_parameter_that_a_handler_reads_is_named(routes: tuple[Route, ...]) -> None:
    document = Document("", routes).data
    for route in routes:
        source = inspect.getsource(inspect.unwrap(route.handler))
        read = set(re.findall(r'query\.get(?:all)?\(\s*"(\w+)"', source))
        read |= set(re.findall(r'"(\w+)" in request\.query', source))
        for pattern, names in READERS.items():
            read |= names if re.search(pattern, source) else set()
        operation = document["paths"][route.path][route.method.lower()]
        named = {each["name"] for each in operation["parameters"] if each["in"] == "query"}
        assert read <= named, (route.method, route.path, read - named)


async def test_an_edge_serves_its_document_to_everybody(world: World) -> None:
    response = await world.client.get("/openapi.json")
    assert (response.status, response.content_type) == (200, "application/json")
    document = await response.json()
    assert document["openapi"] == "3.1.0"
    assert document["paths"]["/v2/events"]["post"]["security"] == [{"basic": []}]
    assert "/s2s/v2/events" in document["paths"]
    assert world.client.app is not None
    assert document == world.client.app[OPENAPI].data


def test_query_parameters_and_summary_are_those_of_the_docstring() -> None:
    async def handler(_: web.Request) -> web.Response:
        """GET .../things?limit=&cursor=: things, by page."""
        return web.Response()

    [operation] = [
        each["get"]
        for each in Document("", [Route("GET", "/a", handler, "none")]).data["paths"].values()
    ]
    assert [each["name"] for each in operation["parameters"]] == ["limit", "cursor"]
    assert operation["summary"] == summary_of(handler) == "things, by page."


def test_query_parameters_may_go_on_in_the_next_line() -> None:
    async def handler(_: web.Request) -> web.Response:
        """GET .../things?limit=&
        cursor=: things & more, by page."""
        return web.Response()

    document = Document("", [Route("GET", "/a", handler, "none")]).data
    operation = document["paths"]["/a"]["get"]
    assert [each["name"] for each in operation["parameters"]] == ["limit", "cursor"]
    assert operation["summary"] == "things & more, by page."


def test_a_handler_that_is_done_once_still_says_what_it_takes() -> None:
    assert body_of(once(create)) == ("Connection", "application/json")

    @takes("Batch")
    async def handler(_: web.Request) -> web.Response:
        return web.Response()

    assert body_of(handler) == ("Batch", "application/json")
