"""The Pixel Service: worked cases 67 to 69."""

from typing import Any

from aiohttp import ClientResponse
from yarl import URL

from tests.whole.cases import newest, problems
from tests.whole.world import WEB_KEY, T, World

WHO = "ui_t=customerid&ui_v=c9"
GIF_HEADER = b"GIF89a\x01\x00\x01\x00"


async def pixel(
    world: World, query: str, key: str = WEB_KEY, method: str = "GET"
) -> ClientResponse:
    """Ask for a pixel with the query exactly as it is written."""
    url = URL(f"/v1/{key}/Pixel?{query}", encoded=True)
    return await world.client.request(method, url)


async def seen(world: World, query: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Send a pixel of customer c9 and return its batch and the data of its event."""
    response = await pixel(world, f"{query}&{WHO}")
    assert response.status == 200, await response.text()
    batch = await newest(world, "c9")
    [event] = batch["events"]
    return batch, event["data"]


async def test_case_67_an_event_of_an_application(world: World) -> None:
    """spec/events-api.md, worked case 67."""
    response = await pixel(
        world,
        "dt=AppEvent&n=Mail%20Open&et=Navigation&ct=1767225000000&dbg=true"
        "&ui_t=customerid&ui_v=c9&attrs_k=a,b&attrs_v=1,x%2Cy",
    )
    assert (response.status, response.headers["Content-Type"]) == (200, "image/gif")
    assert (await response.read()).startswith(GIF_HEADER)
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Set-Cookie" not in response.headers
    batch = await newest(world, "c9")
    assert (batch["environment"], batch["channel"], batch["input"]) == (
        *("development", "pixel"),
        "web",
    )
    assert batch["user_identities"] == {"customer_id": "c9"}
    assert batch["device_info"]["platform"] == "web"
    [event] = batch["events"]
    assert (event["name"], event["event_type"]) == ("Mail Open", "custom_event")
    assert event["timestamp_unixtime_ms"] == 1_767_225_000_000
    assert event["data"]["custom_event_type"] == "navigation"
    assert event["data"]["custom_attributes"] == {"a": "1", "b": "x,y"}
    [outgoing] = world.outgoing()
    assert outgoing["source_info"]["channel"] == "pixel"
    assert outgoing["timestamp_unixtime_ms"] == T


async def test_case_68_a_view_of_a_screen(world: World) -> None:
    """spec/events-api.md, worked case 68."""
    batch, data = await seen(world, "dt=ScreenView&path=/p&hn=shop.example&ttl=Shop")
    assert (batch["events"][0]["event_type"], data["screen_name"]) == ("screen_view", "/p")
    page = {"hostname": "shop.example", "title": "Shop", "path": "/p"}
    assert data["custom_attributes"] == page
    assert batch["environment"] == "production"
    _, data = await seen(world, "dt=3&hn=shop.example&n=&attrs_k=hostname&attrs_v=own")
    assert (data["screen_name"], data["custom_attributes"]["hostname"]) == ("shop.example", "own")


async def test_case_68_what_is_refused(world: World) -> None:
    """spec/events-api.md, worked case 68, and 17: a query of more than 8 KB."""
    for query, key, method, status in (
        ("dt=Foo", WEB_KEY, "GET", 400),
        ("n=Opened", WEB_KEY, "GET", 400),
        ("dt=AppEvent", WEB_KEY, "GET", 400),
        ("dt=AppEvent&n=Opened", "nope", "GET", 403),
        ("dt=AppEvent&n=Opened", WEB_KEY, "POST", 405),
        ("dt=AppEvent&n=".ljust(8 * 1024 + 1, "x"), WEB_KEY, "GET", 414),
    ):
        response = await pixel(world, query, key, method)
        assert response.status == status, query
        assert await problems(response)
    assert world.log() == []
    longest = await pixel(world, "dt=AppEvent&n=".ljust(8 * 1024, "x"))
    assert longest.status == 200


async def test_the_path_is_taken_in_any_case(world: World) -> None:
    """spec/events-api.md, 17, and 1: a trailing slash is accepted."""
    for path in ("pixel", "PIXEL", "Pixel/"):
        response = await world.client.get(f"/v1/{WEB_KEY}/{path}?dt=AppEvent&n=Opened&{WHO}")
        assert response.status == 200
    assert len(await world.events("c9")) == 3


async def test_case_69_lists(world: World) -> None:
    """spec/events-api.md, worked case 69."""
    placeholder = "attrs_k=${eventAttributes_Keys}&attrs_v=${eventAttributes_Values}"
    _, data = await seen(world, f"dt=AppEvent&n=Opened&ua_k=a,b,c&ua_v=1,2&{placeholder}")
    assert await world.attributes("c9") == {"a": "1", "b": "2"}
    assert not data.get("custom_attributes")
    quoted = placeholder.replace("$", "%24").replace("{", "%7B").replace("}", "%7D")
    _, data = await seen(world, f"dt=AppEvent&n=Opened&{quoted}")
    assert not data.get("custom_attributes")
    _, data = await seen(world, "dt=AppEvent&n=Opened&attrs_k=a,,c&attrs_v=1,2,p+q,4")
    assert data["custom_attributes"] == {"a": "1", "c": "p q"}


async def test_a_pixel_of_nobody(world: World) -> None:
    """spec/events-api.md, 17: without an identity it is unattributed."""
    assert (await pixel(world, "dt=AppEvent&n=Opened")).status == 200
    [outgoing] = world.outgoing()
    assert outgoing["mpid"] is None
    assert outgoing["events"][0]["data"]["custom_event_type"] == "unknown"
