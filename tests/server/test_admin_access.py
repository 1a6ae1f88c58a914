"""Who may ask what of the admin port (spec/observability.md, 6 and 7).

A new endpoint needs a row here, as in `tests/whole/access.py` for edges.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from actors.clock import ManualClock
from server import tokens
from server.admin import ROUTES
from server.routes import openapi, operations
from tests.server.admin_ports import OTHER, Start, admin_ports, bearer_of
from tests.server.conftest import config_with, credential

TOKEN = "of-the-metrics"
ALLOWED = "allowed"  # neither 401 nor 403: nothing is sent with what changes something
EVERYBODY: dict[str, Any] = dict.fromkeys(
    ("nobody", "metrics token", "viewer", "app", "guest", "administrator"), ALLOWED
)
ADMINISTRATORS: dict[str, Any] = {
    **dict.fromkeys(("nobody", "no token", "Basic", "metrics token", "expired", "forged"), 401),
    **dict.fromkeys(("another workspace's token", "deleted"), 401),
    **dict.fromkeys(("viewer", "app", "reader", "guest"), 403),
    **dict.fromkeys(("administrator", "another workspace's administrator"), ALLOWED),
}
METRICS: dict[str, Any] = {
    **dict.fromkeys(("nobody", "no token", "Basic", "administrator"), 401),
    "metrics token": ALLOWED,
}
EXPECTED = {
    ("GET", "/healthz"): EVERYBODY,
    ("GET", "/readyz"): EVERYBODY,
    ("GET", "/startupz"): EVERYBODY,
    ("GET", "/version"): EVERYBODY,
    ("GET", "/openapi.json"): EVERYBODY,
    ("GET", "/status"): EVERYBODY,
    ("GET", "/metrics"): METRICS,
    ("GET", "/admin/status"): ADMINISTRATORS,
    ("GET", "/admin/slots"): ADMINISTRATORS,
    ("POST", "/admin/slots"): ADMINISTRATORS,
    ("PUT", "/admin/loglevel"): ADMINISTRATORS,
}


@pytest.fixture
async def start(clock: ManualClock, tmp_path: Path) -> AsyncIterator[Start]:
    async with admin_ports(clock, tmp_path) as made:
        yield made


def headers_of(caller: str, clock: ManualClock) -> dict[str, str]:
    match caller:
        case "nobody":
            return {}
        case "no token":
            return {"Authorization": "Bearer x"}
        case "Basic":
            return {"Authorization": f"Basic {TOKEN}"}
        case "metrics token":
            return {"Authorization": f"Bearer {TOKEN}"}
        case "expired":
            return bearer_of("ops", ManualClock(clock.now_ms() - (tokens.LIFETIME_S + 120) * 1000))
        case "forged":
            head, _, _ = bearer_of("ops", clock)["Authorization"].rpartition(".")
            return {"Authorization": f"{head}.{'A' * 43}"}
        case "another workspace's token":  # names a client of one, and was issued for another
            return bearer_of("boss", clock, replace(OTHER, workspace=3))
        case "deleted":
            former = {"former": credential("former", platform="admin")}
            return bearer_of("former", clock, config_with(credentials=former))
        case "guest":
            return bearer_of("guest", clock, OTHER)
        case "another workspace's administrator":
            return bearer_of("boss", clock, OTHER)
        case "administrator":
            return bearer_of("ops", clock)
    return bearer_of(caller, clock)


def test_every_endpoint_has_a_row_and_every_row_an_endpoint() -> None:
    routes = {(each.method, each.path) for each in (*operations.ROUTES, *openapi.ROUTES, *ROUTES)}
    assert routes == set(EXPECTED)


@pytest.mark.parametrize(("method", "path"), sorted(EXPECTED))
async def test_callers_are_answered_as_the_table_says(
    start: Start, clock: ManualClock, method: str, path: str
) -> None:
    client = await start(TOKEN)
    found = {}
    for caller in EXPECTED[method, path]:
        body = None if method == "GET" else b"{}"
        answer = await client.request(method, path, data=body, headers=headers_of(caller, clock))
        found[caller] = answer.status if answer.status in (401, 403) else ALLOWED
    assert found == EXPECTED[method, path]


async def test_without_a_token_of_metrics_everybody_reads_them(start: Start) -> None:
    assert (await (await start()).get("/metrics")).status == 200
