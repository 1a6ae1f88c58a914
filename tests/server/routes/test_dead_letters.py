"""Dead letters over HTTP (spec/platform-api.md, 15)."""

import json
from itertools import count
from typing import Any
from unittest.mock import patch

import pytest
from aiohttp import ClientPayloadError

from actors.errors import ShardUnavailable
from tests.server.conftest import World

BASE = "/platform/v2/workspaces/3/output-connections/5/dlq"


def letter(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "delivery_id": f"dl_{number}",
        "reason": "fatal_response",
        "http_status": 400,
        "mpid": 4411,
        "created_on": f"2026-01-01T00:00:{number:02}.000Z",
    } | changes


@pytest.fixture
def known(world: World) -> World:
    """Put four dead letters into the deployment."""
    world.deployment.letters[5] = [
        letter(0),
        letter(1, reason="queue_full", http_status=None),
        letter(2, http_status=404),
        letter(3, mpid=12),
    ]
    return world


async def listed(world: World, query: str = "") -> tuple[list[str], str | None]:
    response = await world.client.get(BASE + query, headers=await world.token("viewer"))
    assert response.status == 200
    body = await response.json()
    return [item["delivery_id"] for item in body["items"]], body["next_cursor"]


async def replay(world: World, body: Any, client_id: str = "app") -> Any:
    headers = await world.token(client_id)
    return await world.client.post(f"{BASE}/replay", json=body, headers=headers)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["dl_0", "dl_1", "dl_2", "dl_3"]),
        ("?reason=queue_full", ["dl_1"]),
        ("?http_status=400", ["dl_0", "dl_3"]),
        ("?mpid=4411&http_status=404", ["dl_2"]),
        ("?from=2026-01-01T00:00:01Z&to=1767225603000", ["dl_1", "dl_2"]),
        ("?reason=none", []),
    ],
)
async def test_dead_letters_are_listed_by_filters(
    known: World, query: str, found: list[str]
) -> None:
    assert await listed(known, query) == (found, None)


async def test_pages_follow_each_other(known: World) -> None:
    assert await listed(known, "?limit=3") == (["dl_0", "dl_1", "dl_2"], "3")
    assert await listed(known, "?limit=3&cursor=3") == (["dl_3"], None)
    assert await listed(known, "?limit=2&http_status=400") == (["dl_0", "dl_3"], None)
    response = await known.client.get(f"{BASE}?limit=1", headers=await known.token())
    assert response.headers["Link"] == f'<{BASE}?limit=1&cursor=1>; rel="next"'


@pytest.mark.parametrize("query", ["?limit=0", "?limit=1001", "?mpid=x", "?http_status=x"])
async def test_wrong_parameters_get_400(known: World, query: str) -> None:
    response = await known.client.get(BASE + query, headers=await known.token())
    assert response.status == 400


async def test_one_dead_letter_is_read(known: World) -> None:
    headers = await known.token("viewer")
    response = await known.client.get(f"{BASE}/dl_2", headers=headers)
    assert await response.json() == letter(2, http_status=404)
    assert (await known.client.get(f"{BASE}/dl_9", headers=headers)).status == 404


@pytest.mark.parametrize(
    ("body", "replayed"),
    [
        pytest.param({"ids": ["dl_1"]}, 1, id="one"),
        pytest.param({"ids": ["dl_9"]}, 0, id="unknown"),
        pytest.param({"ids": []}, 0, id="none"),
        pytest.param({"all": True}, 4, id="all"),
        pytest.param({"filter": {"http_status": 400}}, 2, id="by filter"),
        pytest.param({"filter": {"from": "2026-01-01T00:00:02Z", "mpid": "12"}}, 1, id="two"),
    ],
)
async def test_dead_letters_are_replayed(known: World, body: Any, replayed: int) -> None:
    """spec/platform-api.md, worked case 31."""
    response = await replay(known, body)
    assert response.status == 202
    assert await response.json() == {"replayed": replayed}
    assert len(known.deployment.letters[5]) == 4 - replayed


@pytest.mark.parametrize(
    ("body", "sizes"),
    [
        pytest.param({"all": True}, [1000, 1000, 500], id="all"),
        pytest.param({"filter": {"http_status": 400}}, [1000, 1000, 500], id="by filter"),
        pytest.param({"ids": [f"dl_{n}" for n in range(2500)]}, [1000, 1000, 500], id="by ids"),
    ],
)
async def test_many_are_replayed_a_page_at_a_time(
    known: World, body: Any, sizes: list[int]
) -> None:
    """One transaction of all would hold up everything else of their shard."""
    known.deployment.letters[5] = [letter(n % 60, delivery_id=f"dl_{n}") for n in range(2500)]
    response = await replay(known, body)
    assert await response.json() == {"replayed": 2500}
    assert [len(ids) for ids in known.deployment.replayed] == sizes
    assert [each for ids in known.deployment.replayed for each in ids] == [
        f"dl_{n}" for n in range(2500)
    ]


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"all": False},
        {"all": True, "ids": []},
        {"ids": "dl_1"},
        {"ids": [1]},
        {"filter": {}},
        {"filter": {"reasons": "x"}},
        {"filter": {"mpid": 1.5}},
        {"unknown": 1},
    ],
)
async def test_a_replay_says_exactly_what(known: World, body: Any) -> None:
    """spec/platform-api.md, 1: unknown members are refused in v2."""
    assert (await replay(known, body)).status == 400
    assert len(known.deployment.letters[5]) == 4


async def test_a_replay_is_json(known: World) -> None:
    response = await known.client.post(
        f"{BASE}/replay", data=b'{"all":true}', headers=await known.token()
    )
    assert response.status == 415


@pytest.mark.parametrize(("client_id", "status"), [("viewer", 403), ("reader", 403), ("ops", 202)])
async def test_only_some_may_replay(known: World, client_id: str, status: int) -> None:
    assert (await replay(known, {"all": True}, client_id)).status == status


@pytest.mark.parametrize(("connection", "status"), [("5", 200), ("backend-hook", 200), ("6", 404)])
async def test_a_connection_is_named_by_number_or_id(
    known: World, connection: str, status: int
) -> None:
    path = f"/platform/v2/workspaces/3/output-connections/{connection}/dlq"
    response = await known.client.get(path, headers=await known.token())
    assert response.status == status


async def test_a_browser_may_ask(known: World) -> None:
    """spec/platform-api.md, worked case 27."""
    response = await known.client.options(BASE, headers={"Origin": "https://x.example"})
    assert response.status == 204
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type"


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("", []),
        ("?reason=queue_full", ["dl_0", "dl_2", "dl_3"]),
        ("?mpid=4411&http_status=400", ["dl_1", "dl_2", "dl_3"]),
    ],
)
async def test_dead_letters_are_purged_by_filters(
    known: World, query: str, kept: list[str]
) -> None:
    response = await known.client.delete(BASE + query, headers=await known.token("app"))
    assert response.status == 200
    assert await response.json() == {"purged": 4 - len(kept)}
    assert (await listed(known))[0] == kept


async def test_a_filter_that_is_none_purges_nothing(known: World) -> None:
    response = await known.client.delete(BASE + "?raeson=x", headers=await known.token("app"))
    assert response.status == 400
    assert len((await listed(known))[0]) == 4


async def test_one_dead_letter_is_deleted(known: World) -> None:
    headers = await known.token("app")
    statuses = [
        (await known.client.delete(f"{BASE}/dl_1", headers=headers)).status for _ in range(2)
    ]
    assert statuses == [204, 404]
    assert (await listed(known))[0] == ["dl_0", "dl_2", "dl_3"]


@pytest.mark.parametrize("path", ["", "/dl_1"])
async def test_who_may_only_look_deletes_nothing(known: World, path: str) -> None:
    response = await known.client.delete(BASE + path, headers=await known.token("viewer"))
    assert response.status == 403
    assert len((await listed(known))[0]) == 4


async def test_an_export_has_the_payloads_a_line_for_each(known: World) -> None:
    known.deployment.letters[5] = [letter(number % 60) for number in range(70)]
    response = await known.client.get(
        BASE + "/export?http_status=400", headers=await known.token("viewer")
    )
    assert response.content_type == "application/x-ndjson"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Server"] == "Headwater"
    assert response.headers["X-Request-Id"]
    lines = [json.loads(line) for line in (await response.text()).splitlines()]
    assert [each["delivery_id"] for each in lines] == [f"dl_{n % 60}" for n in range(70)]
    assert all(each["payload"] == {"events": []} for each in lines)


async def test_an_export_that_fails_on_the_way_is_broken_off(known: World) -> None:
    """Nobody takes a part for all, or the answer to an error for a line of it."""
    known.deployment.letters[5] = [letter(number % 60) for number in range(700)]
    read, calls = known.deployment.dead_letters, count()

    async def failing(*arguments: Any, **more: Any) -> Any:
        if next(calls) == 1:
            raise ShardUnavailable("the shard does not answer")
        return await read(*arguments, **more)

    with patch.object(known.deployment, "dead_letters", failing):
        response = await known.client.get(
            BASE + "/export?http_status=400", headers=await known.token("viewer")
        )
        assert response.status == 200
        with pytest.raises(ClientPayloadError):
            await response.read()


async def test_an_export_of_nothing_is_empty(known: World) -> None:
    response = await known.client.get(
        BASE + "/export?reason=none", headers=await known.token("viewer")
    )
    assert (response.status, await response.text()) == (200, "")
