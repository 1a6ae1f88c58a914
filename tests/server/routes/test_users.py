"""User activity API over HTTP (spec/profiles.md, 8)."""

import logging
from typing import Any

import pytest

from actors.profiles.timeline import TimelineQuery
from tests.server.conftest import T, World, first_error

BASE = "/platform/v2/workspaces/3/users"
ANN = {
    "mpid": 4411441144114411,
    "customer_id": "c-1",
    "email": "ann@example.com",
    "last_seen_ms": T,
}


@pytest.fixture
def known(world: World) -> World:
    """Put one user into the deployment."""
    world.deployment.rows.append(ANN)
    world.deployment.users[4411441144114411] = {"user_details": {"mpid": 4411441144114411}}
    return world


async def get(world: World, path: str, client_id: str = "ops") -> Any:
    return await world.client.get(BASE + path, headers=await world.token(client_id))


async def test_search_is_exact(known: World) -> None:
    """spec/profiles.md, worked case 26."""
    assert await (await get(known, "/search?q=ann@example.co")).json() == []
    response = await get(known, "/search?q=ann@example.com")
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert await response.json() == [ANN]


@pytest.mark.parametrize("path", ["/search?q=x", "/4411441144114411", "/4411441144114411/events"])
@pytest.mark.parametrize("client_id", ["app", "viewer", "reader"])
async def test_only_administrators_read_users(known: World, path: str, client_id: str) -> None:
    """spec/profiles.md, worked case 26."""
    response = await get(known, path, client_id)
    assert response.status == 403
    assert (await first_error(response))["code"] == "FORBIDDEN"


@pytest.mark.parametrize("path", ["/search?q=x", "/4411441144114411", "/4411441144114411/events"])
async def test_without_a_token_nothing_is_read(known: World, path: str) -> None:
    assert (await known.client.get(BASE + path)).status == 401


@pytest.mark.parametrize(
    ("workspace", "status"), [("3", 200), ("w1", 200), ("4", 404), ("03", 404)]
)
async def test_a_workspace_is_found_by_its_number_or_its_id(
    known: World, workspace: str, status: int
) -> None:
    """spec/platform-api.md, 1; the id is what its document calls it."""
    path = f"/platform/v2/workspaces/{workspace}/users/4411441144114411"
    response = await known.client.get(path, headers=await known.token())
    assert response.status == status


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("q=x", ("x", None, None)),
        ("q=x&field=customer_id", ("x", "customerid", None)),
        ("q=x&field=other_id_2&environment=development", ("x", "other2", "development")),
        ("q=x&field=android_id", ("x", "android_uuid", None)),
        (
            "q=x&field=mp_deviceid&environment=production",
            (*("x", "device_application_stamp"), "production"),
        ),
        ("q=4411441144114411&field=mpid", ("4411441144114411", "mpid", None)),
    ],
)
async def test_a_search_may_be_narrowed(
    known: World, query: str, asked: tuple[str | None, ...]
) -> None:
    assert (await get(known, f"/search?{query}")).status == 200
    assert known.deployment.searched == [asked]


@pytest.mark.parametrize(
    "query", ["", "q=", "q=%20", "q=x&field=passport", "q=x&environment=staging"]
)
async def test_a_search_needs_its_parameters(known: World, query: str) -> None:
    assert (await get(known, f"/search?{query}")).status == 400


async def test_a_user_is_read_by_mpid(known: World) -> None:
    assert await (await get(known, "/4411441144114411")).json() == {
        "user_details": {"mpid": 4411441144114411}
    }
    assert (await get(known, "/12")).status == 404
    assert (await get(known, "/abc")).status == 400


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("", TimelineQuery()),
        (
            "?from=1767225600000&to=2026-01-02T00:00:00Z&limit=1000&cursor=abc",
            TimelineQuery(start_ms=T, end_ms=T + 86_400_000, limit=1000, cursor="abc"),
        ),
        ("?from=2026-01-01", TimelineQuery(start_ms=T)),
        (
            "?input=web&input=2&type=custom_event&type=screen_view&event_name=A&device=d1",
            TimelineQuery(
                inputs=("web", "ios"),
                types=("custom_event", "screen_view"),
                event_names=("A",),
                devices=("d1",),
            ),
        ),
    ],
)
async def test_a_timeline_is_filtered(known: World, query: str, asked: TimelineQuery) -> None:
    response = await get(known, f"/4411441144114411/events{query}")
    assert response.status == 200
    assert (await response.json())["next_cursor"] is None
    assert known.deployment.queries == [asked]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "from=soon", "to=x"])
async def test_a_timeline_refuses_wrong_filters(known: World, query: str) -> None:
    assert (await get(known, f"/4411441144114411/events?{query}")).status == 400


async def test_an_unknown_user_has_no_timeline(known: World) -> None:
    assert (await get(known, "/12/events")).status == 404


async def test_each_access_is_audited_without_what_was_asked_for(
    known: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await get(known, "/search?q=ann@example.com")
    await get(known, "/4411441144114411")
    audits = [record.__dict__ for record in caplog.records if record.name == "headwater.audit"]
    assert [(each["actor"], each["action"]) for each in audits if each["action"] != "login"] == [
        ("ops", "read"),
        ("ops", "read"),
    ]
    everything = "".join(str(record.__dict__) for record in caplog.records)
    assert "ann@example.com" not in everything
    assert "4411441144114411" not in everything
