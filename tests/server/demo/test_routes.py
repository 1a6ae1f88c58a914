"""The demo shop over HTTP: its page, and what the page reads, in development mode alone."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from actors.clock import ManualClock
from config.errors import ConfigError
from config.load import load_workspace
from config.settings import Settings, load_settings
from server.demo.outgoing import KEPT
from server.demo.settings import check_development, demo_environ, demo_flags
from server.limit_file import LimitFile
from tests.server.conftest import T, World, config_with, serving

VISITOR = "/demo/visitor/kw"
PATHS = ("/demo", "/demo/", "/demo/shop.css", "/demo/shop.js", VISITOR + "?mpid=5")


@pytest.fixture
async def shop(clock: ManualClock, limit_file: LimitFile) -> AsyncIterator[World]:
    async with serving(clock, limit_file, config_with(), is_development=True) as [only]:
        yield only


async def test_nothing_of_it_is_served_outside_development_mode(world: World) -> None:
    for path in PATHS:
        assert (await world.client.get(path)).status == 404
    assert (await world.client.post("/demo/outgoing/ads", json={"mpid": 5})).status == 404


async def test_the_page_and_its_parts_are_served(shop: World) -> None:
    for path, content_type in [
        ("/demo", "text/html"),
        ("/demo/", "text/html"),
        ("/demo/shop.css", "text/css"),
        ("/demo/shop.js", "text/javascript"),
    ]:
        response = await shop.client.get(path)
        assert (response.status, response.content_type) == (200, content_type)
        assert response.headers["Content-Security-Policy"].startswith("default-src 'self'")


@pytest.mark.parametrize("name", ["workspace.yaml", "..%2Froutes.py", "index.htm", "%2e%2e"])
async def test_no_other_file_is(shop: World, name: str) -> None:
    assert (await shop.client.get(f"/demo/{name}")).status == 404


async def test_no_other_site_may_read_it(shop: World) -> None:
    origin = {"Origin": "https://other.example.com"}
    for path in PATHS:
        response = await shop.client.get(path, headers=origin)
        assert response.status == 200
        assert "Access-Control-Allow-Origin" not in response.headers
    assert (await shop.client.options(VISITOR, headers=origin)).status == 405


async def outgoing(shop: World, mpid: int = 5) -> list[dict[str, Any]]:
    response = await shop.client.get(VISITOR, params={"mpid": mpid})
    assert response.status == 200
    messages: list[dict[str, Any]] = (await response.json())["outgoing"]
    return messages


async def send(shop: World, output: str, body: Any) -> None:
    response = await shop.client.post(f"/demo/outgoing/{output}", json=body)
    assert response.status == 204


async def test_a_visitor_sees_his_profile_and_what_went_out_of_him(shop: World) -> None:
    attributes = {"last_viewed": "Cup"}
    shop.deployment.profiles[5, "production"] = {"user_attributes": attributes}
    batch = {"mpid": 5, "events": []}
    change = {"changes": [{"mpid": 5, "action": "add"}, "odd"], "audience": {"name": "A"}}
    await send(shop, "analytics", batch)
    await send(shop, "ads", {"mpid": 6})
    await send(shop, "mailer", change)
    response = await shop.client.get(VISITOR, params={"mpid": 5})
    answer = await response.json()
    assert answer["profile"]["user_attributes"] == attributes
    assert answer["outgoing"] == [
        {"output": "mailer", "received_ms": T, "body": change},
        {"output": "analytics", "received_ms": T, "body": batch},
    ]


async def test_a_visitor_of_whom_nothing_is_known_sees_that(shop: World) -> None:
    response = await shop.client.get(VISITOR, params={"mpid": 9})
    assert await response.json() == {"profile": None, "outgoing": []}


async def test_no_more_than_the_last_messages_are_kept(shop: World) -> None:
    for number in range(KEPT + 1):
        await send(shop, "analytics", {"mpid": 5, "number": number})
    kept = [each["body"]["number"] for each in await outgoing(shop)]
    assert kept == list(range(KEPT, 0, -1))


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("[]", "application/json"),
        ("{", "application/json"),
        ('{"mpid": 5}', "text/plain"),  # what another site could have a browser send
    ],
)
async def test_other_bodies_are_refused(shop: World, body: str, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    response = await shop.client.post("/demo/outgoing/ads", data=body, headers=headers)
    assert response.status == 400
    assert await outgoing(shop) == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/demo/visitor/k1?mpid=5", 403),  # not of a web input
        ("/demo/visitor/unknown?mpid=5", 403),
        (VISITOR, 400),
        (VISITOR + "?mpid=x", 400),
    ],
)
async def test_a_visitor_is_asked_for_by_key_and_mpid(shop: World, path: str, status: int) -> None:
    assert (await shop.client.get(path)).status == status


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_development_mode_is_for_this_machine(host: str) -> None:
    check_development(Settings(development=True, host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "cdp.example.com"])
def test_development_mode_is_not_for_a_network(host: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_development(Settings(development=True, host=host))
    [(path, message)] = caught.value.problems
    assert (path, "loopback" in message) == ("development", True)
    check_development(Settings(host=host))


def test_the_demo_is_its_own_workspace_whatever_else_is_set() -> None:
    environ = {"HEADWATER_HOST": "0.0.0.0", "HEADWATER_WORKSPACE": "mine.yaml"}
    settings = load_settings(demo_flags(8081), environ)
    assert (settings.host, settings.port, settings.edges) == ("127.0.0.1", 8081, 1)
    [document] = settings.workspace
    workspace = load_workspace(document, demo_environ(environ, 8081))
    targets = {str(each.settings["url"]).rpartition("/")[0] for each in workspace.outputs}
    assert targets == {"http://127.0.0.1:8081/demo/outgoing"}
    assert settings.egress_allow == ("127.0.0.1:8081",)
