"""The admin port (spec/observability.md, 6 and 7)."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.clock import ManualClock
from tests.server.admin_ports import OTHER, Start, admin_ports, bearer_of


@pytest.fixture
async def start(clock: ManualClock, tmp_path: Path) -> AsyncIterator[Start]:
    async with admin_ports(clock, tmp_path) as made:
        yield made


async def test_metrics_are_served_as_text(start: Start) -> None:
    response = await (await start()).get("/metrics")
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    line = (
        'headwater_http_requests_total{api="events",code="202",instance="edge-1",'
        'method="POST",role="edge"} 1.0'
    )
    assert line in (await response.text()).splitlines()


async def test_open_metrics_on_request(start: Start) -> None:
    headers = {"Accept": "application/openmetrics-text; version=1.0.0"}
    response = await (await start()).get("/metrics", headers=headers)
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    assert (await response.text()).endswith("# EOF\n")


@pytest.mark.parametrize(
    ("header", "status"),
    [(None, 401), ("Bearer wrong", 401), ("Basic right", 401), ("Bearer right", 200)],
)
async def test_metrics_can_ask_for_a_token(start: Start, header: str | None, status: int) -> None:
    headers = {} if header is None else {"Authorization": header}
    response = await (await start("right")).get("/metrics", headers=headers)
    assert response.status == status


@pytest.mark.parametrize(
    ("client_id", "status"),
    [(None, 401), ("ops", 200), ("app", 403), ("viewer", 403), ("reader", 403)],
)
async def test_the_status_is_for_administrators(
    start: Start, clock: ManualClock, client_id: str | None, status: int
) -> None:
    headers = {} if client_id is None else bearer_of(client_id, clock)
    response = await (await start()).get("/admin/status", headers=headers)
    assert response.status == status


@pytest.mark.parametrize(("client_id", "status"), [("boss", 200), ("guest", 403)])
async def test_administrators_of_every_workspace_may_read_it(
    start: Start, clock: ManualClock, client_id: str, status: int
) -> None:
    client = await start()
    headers = bearer_of(client_id, clock, OTHER)
    assert (await client.get("/admin/status", headers=headers)).status == status


async def test_a_token_holds_for_the_workspace_of_its_client_only(
    start: Start, clock: ManualClock
) -> None:
    """It names a client of one workspace and was issued for another."""
    wrong = msgspec.structs.replace(OTHER, workspace=3)
    client, headers = await start(), bearer_of("boss", clock, wrong)
    assert (await client.get("/admin/status", headers=headers)).status == 401


@pytest.mark.parametrize(
    ("path", "status"),
    [("/healthz", 200), ("/readyz", 503), ("/startupz", 503), ("/version", 200), ("/other", 404)],
)
async def test_health_is_served_here_too(start: Start, path: str, status: int) -> None:
    assert (await (await start("right")).get(path)).status == status


@pytest.mark.parametrize("path", ["/metrics", "/status", "/admin/status", "/admin/slots"])
async def test_what_needs_the_actors_waits_for_them(
    start: Start, clock: ManualClock, path: str
) -> None:
    client = await start(has_started=False)
    answer = await client.get(path, headers=bearer_of("ops", clock))
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert "starting" in await answer.text()
    assert (await client.get("/healthz")).status == 200


async def test_every_answer_has_the_id_of_its_request(start: Start) -> None:
    """spec/observability.md, worked case 24."""
    client = await start()
    for path in ("/healthz", "/metrics", "/admin/status", "/nowhere"):
        answer = await client.get(path, headers={"X-Request-Id": "abc-1"})
        assert answer.headers["X-Request-Id"] == "abc-1"
        made = set()
        for given in ("a" * 200, "jane@example.com"):
            answer = await client.get(path, headers={"X-Request-Id": given})
            made.add(answer.headers["X-Request-Id"])
        assert len(made - {"a" * 200, "jane@example.com"}) == 2


async def test_one_access_line_per_request_names_the_route(
    start: Start, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """spec/observability.md, 8; probes and Prometheus ask too often for more than debug."""
    caplog.set_level(logging.DEBUG, "headwater.access")
    client = await start()
    await client.get("/healthz")
    await client.get("/metrics")
    headers = bearer_of("ops", clock) | {"X-Request-Id": "abc-1"}
    await client.get("/admin/status?secret=1", headers=headers)
    await client.get("/nowhere/jane@example.com")
    lines = [record.__dict__ for record in caplog.records if record.name == "headwater.access"]
    assert [
        (line["levelname"], line["method"], line["path"], line["status"]) for line in lines
    ] == [
        ("DEBUG", "GET", "/healthz", 200),
        ("DEBUG", "GET", "/metrics", 200),
        ("INFO", "GET", "/admin/status", 200),
        ("INFO", "GET", "", 404),
    ]
    assert lines[2]["request_id"] == "abc-1"


async def test_the_status_page_is_for_everybody(start: Start) -> None:
    client = await start()
    page = await client.get("/status")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "<td>ingestion</td>" in await page.text()
    shown = await client.get("/status", headers={"Accept": "application/json"})
    assert (await shown.json())["latency_ms"] == {"events": 10.0}


async def test_a_log_level_holds_for_its_time(start: Start, clock: ManualClock) -> None:
    client, changed = await start(), logging.getLogger("headwater.test_levels")
    wanted = {"logger": changed.name, "level": "debug", "ttl_s": 1}
    response = await client.put("/admin/loglevel", json=wanted, headers=bearer_of("ops", clock))
    assert (response.status, await response.json()) == (200, wanted)
    assert changed.level == logging.DEBUG
    async with asyncio.timeout(20):
        while changed.level != logging.NOTSET:  # noqa: ASYNC110  # a logger has no event
            await asyncio.sleep(0.01)


async def test_the_last_level_of_a_logger_holds(start: Start, clock: ManualClock) -> None:
    client, changed = await start(), logging.getLogger("headwater.test_last")
    for level in ("debug", "error"):
        await client.put(
            "/admin/loglevel",
            json={"logger": changed.name, "level": level},
            headers=bearer_of("ops", clock),
        )
    assert changed.level == logging.ERROR


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"logger": "aiohttp", "level": "debug"}, "logger: "),
        ({"logger": "headwater", "level": "trace"}, "level: "),
        ({"logger": "headwater", "level": "debug", "ttl_s": 0}, "ttl_s: "),
        ({"logger": "headwater", "level": "debug", "tls": 5}, "unknown field `tls`"),
        ({"level": "debug"}, "missing required field `logger`"),
    ],
)
async def test_a_wrong_log_level_is_explained(
    start: Start, clock: ManualClock, body: dict[str, Any], message: str
) -> None:
    response = await (await start()).put(
        "/admin/loglevel", json=body, headers=bearer_of("ops", clock)
    )
    assert response.status == 400
    assert message in (await response.json())["errors"][0]["message"]


async def test_only_administrators_set_log_levels(start: Start, clock: ManualClock) -> None:
    client, body = await start(), {"logger": "headwater", "level": "debug"}
    assert (await client.put("/admin/loglevel", json=body)).status == 401
    for client_id in ("app", "viewer"):
        response = await client.put(
            "/admin/loglevel", json=body, headers=bearer_of(client_id, clock)
        )
        assert response.status in (401, 403)


async def test_administrators_see_which_shard_has_which_slots(
    start: Start, clock: ManualClock
) -> None:
    client = await start()
    answer = await client.get("/admin/slots", headers=bearer_of("boss", clock, OTHER))
    assert (answer.status, await answer.json()) == (
        200,
        {
            "epoch": 0,
            "shards": [32768, 32768],
            "runs": [
                {"first": 0, "last": 32767, "shard": 0},
                {"first": 32768, "last": 65535, "shard": 1},
            ],
            "moving": None,
        },
    )
    wanted = {"first": 0, "last": 9, "to": 2}
    answer = await client.post("/admin/slots", json=wanted, headers=bearer_of("boss", clock, OTHER))
    assert answer.status == 400
    assert "there are shards 0 to 1" in await answer.text()


async def test_only_administrators_may_move_slots(start: Start, clock: ManualClock) -> None:
    client = await start()
    wanted = {"first": 0, "last": 9, "to": 1}
    assert (await client.get("/admin/slots")).status == 401
    assert (await client.post("/admin/slots", json=wanted)).status == 401
    guest = bearer_of("guest", clock, OTHER)
    assert (await client.get("/admin/slots", headers=guest)).status == 403
    assert (await client.post("/admin/slots", json=wanted, headers=guest)).status == 403


@pytest.mark.parametrize("path", ["/status", "/metrics", "/admin/status", "/healthz", "/nowhere"])
async def test_no_page_may_be_framed_or_load_anything(start: Start, path: str) -> None:
    """README, Security: a page of somebody else's in the browser of an operator."""
    headers = (await (await start()).get(path)).headers
    policy = dict(
        part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";")
    )
    assert policy == {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Server"] == "Headwater"
    assert "Access-Control-Allow-Origin" not in headers
