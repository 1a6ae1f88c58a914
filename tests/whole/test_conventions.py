"""What all endpoints of the Platform API have in common (spec/platform-api.md, 1)."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse

from actors.clock import ManualClock
from server.app import ROUTES
from server.openapi.takes import JSON, body_of
from server.paths import Route
from tests.whole.test_configuration_api import EDITABLE
from tests.whole.world import World, changed, running

CREDENTIALS = [
    *EDITABLE["api_credentials"],
    {
        "client_id": "keeper",
        "client_secret": "keeper-secret",
        "role": "admin",
        "apis": ["platform", "profile", "custom_roles", "data_planning"],
    },
]
SETUP = changed(
    EDITABLE,
    workspace={"limits": {"platform_requests_per_minute": 0}},
    api_credentials=CREDENTIALS,
)
WORKSPACE = "/platform/v2/workspaces/1"
VALUES = {"environment": "production", "mpid": "99"}
CODES = {400: "BAD_REQUEST", 401: "UNAUTHORIZED", 405: "METHOD_NOT_ALLOWED"}
# They look for what the path names before they read a body, and here there is nothing of the name.
NOT_FOUND_FIRST = re.compile(r"/groups/\{group\}$")


@pytest.fixture
async def world(tmp_path: Path, clock: ManualClock) -> AsyncIterator[World]:
    async with running(tmp_path, shards=1, document=SETUP, clock=clock) as only:
        yield only


def platform_routes(*methods: str) -> Iterator[tuple[Route, str, str]]:
    """Yield the routes of the Platform API, each with a path, and the type of what it takes."""
    for route in ROUTES:
        if route.api == "platform" and route.method in methods:
            path = re.sub(r"\{(\w+)\}", lambda found: VALUES.get(found[1], "1"), route.path)
            query = "?accountId=1" if path.startswith("/v1/") else ""
            yield route, path + query, (body_of(route.handler) or ("", JSON))[1]


def is_served(method: str, path: str) -> bool:
    """Tell whether a path that is asked for is one of a method's."""
    patterns = (re.sub(r"\{\w+\}", "[^/]+", route.path) for route, _, _ in platform_routes(method))
    return any(re.fullmatch(each, path.partition("?")[0]) for each in patterns)


async def problem_of(response: ClientResponse, path: str) -> str:
    """Return the code of an answer's first error; its shape is that of the API's version."""
    assert response.headers["Content-Type"] == "application/json; charset=utf-8", path
    answer = await response.json()
    if path.startswith("/v1/"):
        assert (answer["data"], answer["dataType"]) == ([], answer["dataType"])
    return str(answer["errors"][0]["code"])


async def test_a_body_of_another_type_is_refused(world: World) -> None:
    """Case 25: 415."""
    token = await world.token("keeper")
    for route, path, _ in platform_routes("POST", "PUT", "PATCH"):
        headers = {**token, "Content-Type": "text/plain"}
        response = await world.client.request(route.method, path, data=b"{}", headers=headers)
        assert response.status == 415, path
        assert await problem_of(response, path) == "UNSUPPORTED_MEDIA_TYPE"


async def test_a_body_that_is_no_json_is_refused(world: World) -> None:
    """Case 25: `{"name":` is a 400; also where nothing is to be said."""
    token = await world.token("keeper")
    for route, path, media in platform_routes("POST", "PUT", "PATCH"):
        if media != JSON or NOT_FOUND_FIRST.search(route.path):
            continue
        headers = {**token, "Content-Type": media}
        response = await world.client.request(route.method, path, data=b'{"name":', headers=headers)
        assert response.status == 400, path
        assert await problem_of(response, path) in ("BAD_REQUEST", "VALIDATION_ERROR")


async def test_where_nothing_is_to_be_said_unknown_fields_are_refused(world: World) -> None:
    token = await world.token("keeper")
    asked = 0
    for route, path, _ in platform_routes("POST"):
        if body_of(route.handler) == ("Nothing", JSON):
            response = await world.client.post(path, json={"force": True}, headers=token)
            assert response.status == 400, path
            asked += 1
    assert asked >= 10
    empty = await world.client.post(f"{WORKSPACE}/inputs/1/keys", json={}, headers=token)
    assert empty.status == 201


async def test_methods_that_a_path_has_not_are_said_not_to_be_allowed(world: World) -> None:
    """Case 25: 405 with `Allow`."""
    token = await world.token("keeper")
    methods: dict[str, set[str]] = {}
    for route, path, _ in platform_routes("GET", "POST", "PUT", "PATCH", "DELETE"):
        methods.setdefault(path, set()).add(route.method)
    for path, known in methods.items():
        for method in {"POST", "PUT", "PATCH", "DELETE"} - known:
            if is_served(method, path):  # by the pattern of another path
                continue
            response = await world.client.request(method, path, headers=token)
            assert response.status == 405, (method, path)
            assert known <= {each.strip() for each in response.headers["Allow"].split(",")}
            assert await problem_of(response, path) == "METHOD_NOT_ALLOWED"


async def test_nobody_is_told_anything_without_a_token(world: World) -> None:
    """Case 3."""
    for route, path, _ in platform_routes("GET", "POST", "PUT", "PATCH", "DELETE"):
        response = await world.client.request(route.method, path)
        assert response.status == 401, path
        if route.method != "HEAD":
            assert await problem_of(response, path) == "UNAUTHORIZED"


async def test_every_origin_may_ask(world: World) -> None:
    """Case 27."""
    for path in {path for _, path, _ in platform_routes("GET", "POST")}:
        response = await world.client.options(path, headers={"Origin": "https://x.example"})
        assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (204, "*")
        allowed = response.headers["Access-Control-Allow-Headers"]
        assert {"Authorization", "Content-Type"} <= {each.strip() for each in allowed.split(",")}
        assert "PUT" in response.headers["Access-Control-Allow-Methods"]


async def test_lists_come_page_by_page(world: World) -> None:
    """A list has a `limit`, and a link to what follows; its shape is the same."""
    token = await world.token("keeper")
    lists = 0
    for _, path, _ in platform_routes("GET"):
        whole = await world.client.get(path, headers=token)
        if whole.status != 200 or whole.content_type != JSON:
            continue
        items = listed(await whole.json(), path)
        if items is None:
            continue
        lists += 1
        mark = "&" if "?" in path else "?"
        refused = await world.client.get(f"{path}{mark}limit=1001", headers=token)
        assert refused.status == 400, path
        found, following = [], f"{path}{mark}limit=1"
        while following:
            page = await world.client.get(following, headers=token)
            found += listed(await page.json(), path) or []
            following = next_page(page)
        assert found == items, path
    assert lists >= 15


def next_page(page: ClientResponse) -> str:
    """Return the path of the page after one, empty if it is the last."""
    found = re.fullmatch(r'<([^>]+)>; rel="next"', page.headers.get("Link", ""))
    return found[1] if found else ""


def listed(answer: Any, path: str) -> list[Any] | None:
    """Return the items of a list; `None` of anything else."""
    if path.startswith("/v1/users"):
        answer = answer["data"]
    return answer if isinstance(answer, list) else None


async def test_an_account_has_to_be_named_in_version_1(world: World) -> None:
    """Case 2: 401 without `accountId`, 404 with another's."""
    token = await world.token("keeper")
    for route, path, _ in platform_routes("GET"):
        if route.path.startswith("/v1/"):
            bare = path.partition("?")[0]
            assert (await world.client.get(bare, headers=token)).status == 401, path
            other = await world.client.get(f"{bare}?accountId=2", headers=token)
            assert (other.status, await problem_of(other, path)) == (404, "NOT_FOUND")


async def test_an_account_id_is_nothing_in_version_2(world: World) -> None:
    """Case 18: it is ignored."""
    token = await world.token("keeper")
    response = await world.client.get(f"{WORKSPACE}/inputs?accountId=77", headers=token)
    assert response.status == 200


async def test_the_scheme_of_a_token_is_written_in_any_case(world: World) -> None:
    token = (await world.token())["Authorization"].partition(" ")[2]
    for scheme in ("bearer", "BEARER"):
        headers = {"Authorization": f"{scheme} {token}"}
        assert (await world.client.get(WORKSPACE, headers=headers)).status == 200


async def test_one_request_counts_once(tmp_path: Path, clock: ManualClock) -> None:
    """Also one whose object is read before and after it is changed, for the audit log."""
    document = changed(SETUP, workspace={"limits": {"platform_requests_per_minute": 100}})
    async with running(tmp_path, shards=1, document=document, clock=clock) as world:
        token = await world.token("keeper")
        path = f"{WORKSPACE}/output-connections/1/queue"
        response = await world.client.delete(path, headers=token)
        assert response.headers["X-mp-rate-limit-percentage-used"] == "1"
        headers = {**token, "Idempotency-Key": "k"}
        response = await world.client.post(f"{WORKSPACE}/inputs/1/keys", headers=headers)
        assert response.headers["X-mp-rate-limit-percentage-used"] == "2"
