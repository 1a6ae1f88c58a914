"""Pixel Service over HTTP (spec/events-api.md, 17)."""

import pytest
from yarl import URL

from tests.server.conftest import T, World, first_error

PATH = "/v1/kw/Pixel"


def address(path_and_query: str) -> URL:
    return URL(path_and_query, encoded=True)


async def test_one_request_is_one_event(world: World) -> None:
    """spec/events-api.md, worked case 67."""
    response = await world.client.get(
        address(
            f"{PATH}?dt=AppEvent&n=Mail%20Open&et=Navigation&ct=1767225000000&dbg=true"
            "&ui_t=customerid&ui_v=c9&attrs_k=a,b&attrs_v=1,x%2Cy"
        ),
        headers={"User-Agent": "Mail/1.0"},
    )
    assert response.status == 200
    assert response.headers["Content-Type"] == "image/gif"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Set-Cookie" not in response.headers
    image = await response.read()
    assert image[:10] == b"GIF89a\x01\x00\x01\x00"  # one by one
    [(batch, context)] = world.deployment.applied
    [event] = batch.events
    assert event.data["event_name"] == "Mail Open"
    assert event.data["custom_event_type"] == "navigation"
    assert event.data["custom_attributes"] == {"a": "1", "b": "x,y"}
    assert event.timestamp_ms == 1_767_225_000_000
    assert batch.environment == "development"
    assert batch.user_identities == {"customer_id": "c9"}
    assert (context.channel, context.ip, context.user_agent, context.received_ms) == (
        "pixel",
        "127.0.0.1",
        "Mail/1.0",
        T,
    )


async def test_a_screen_view_is_named_by_its_path(world: World) -> None:
    """spec/events-api.md, worked case 68."""
    query = "dt=ScreenView&path=/p&hn=shop.example&ttl=Shop"
    assert (await world.client.get(address(f"{PATH}?{query}"))).status == 200
    [event] = world.deployment.applied[0][0].events
    assert event.data["screen_name"] == "/p"
    assert event.data["custom_attributes"] == {
        "hostname": "shop.example",
        "title": "Shop",
        "path": "/p",
    }


@pytest.mark.parametrize("query", ["dt=Foo", "", "dt=AppEvent"])
async def test_a_query_without_type_or_name_gets_400(world: World, query: str) -> None:
    """spec/events-api.md, worked case 68."""
    response = await world.client.get(f"{PATH}?{query}")
    assert response.status == 400
    assert (await first_error(response))["code"] == "BAD_REQUEST"
    assert world.deployment.calls == 0


@pytest.mark.parametrize("key", ["nope", "k1", "k2"])
async def test_another_key_gets_403(world: World, key: str) -> None:
    """spec/events-api.md, worked case 68."""
    assert (await world.client.get(f"/v1/{key}/Pixel?dt=3&n=x")).status == 403


async def test_post_gets_405(world: World) -> None:
    """spec/events-api.md, worked case 68."""
    response = await world.client.post(PATH)
    assert response.status == 405
    assert response.headers["Allow"] == "GET,HEAD,OPTIONS"


async def test_head_stores_nothing(world: World) -> None:
    response = await world.client.head(f"{PATH}?dt=3&n=x")
    assert (response.status, response.headers["Content-Type"]) == (200, "image/gif")
    assert world.deployment.calls == 0


@pytest.mark.parametrize("path", ["/v1/kw/pixel", "/v1/kw/PIXEL/", "/v1/kw/Pixel/"])
async def test_the_paths_case_does_not_matter(world: World, path: str) -> None:
    assert (await world.client.get(f"{path}?dt=3&n=x")).status == 200


@pytest.mark.parametrize(("length", "status"), [(8192, 200), (8193, 414)])
async def test_a_query_of_8_kb_passes_and_one_byte_more_does_not(
    world: World, length: int, status: int
) -> None:
    query = "dt=AppEvent&n=x&pad=".ljust(length, "a")
    response = await world.client.get(address(f"{PATH}?{query}"))
    assert response.status == status


async def test_lists_without_partners_and_placeholders_are_left_out(world: World) -> None:
    """spec/events-api.md, worked case 69."""
    query = "dt=AppEvent&n=x&ua_k=a,b,c&ua_v=1,2&attrs_k=${eventAttributes_Keys}"
    assert (await world.client.get(address(f"{PATH}?{query}"))).status == 200
    batch = world.deployment.applied[0][0]
    assert batch.user_attributes == {"a": "1", "b": "2"}
    assert not batch.events[0].data.get("custom_attributes")
