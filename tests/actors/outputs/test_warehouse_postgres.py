"""What is different about PostgreSQL: logins, privileges, addresses."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from actors.outputs.contract import Fatal, Retry
from actors.outputs.retry import PROFILES
from actors.outputs.warehouse_postgres import PostgresSettings
from tests.actors.forwarding.support import MemoryOutbox, Simulation
from tests.actors.outputs.warehouse.support import Warehouse, batch, event


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse("warehouse_postgres", tmp_path)


def refused(warehouse: Warehouse, user: str = "nobody") -> dict[str, Any]:
    return {"dsn": warehouse.server.dsn.replace("admin@", f"{user}@")}


async def test_a_refused_login_faults_the_connection_after_15_minutes(
    warehouse: Warehouse,
) -> None:
    shard = MemoryOutbox([batch(1, [event(1)])])
    simulation = Simulation(warehouse.clock)
    forwarder = simulation.start(
        warehouse.open(**refused(warehouse)), [shard], schedule=PROFILES["warehouse"]
    )
    await simulation.run(60 + 14 * 60)
    assert forwarder.state()["connections"]["c1"]["status"] == "active"
    await simulation.run(2 * 60)
    state = forwarder.state()["connections"]["c1"]
    assert state["status"] == "faulted"
    assert state["fault"]["reason_code"] == "login_refused"
    assert "nobody" in state["fault"]["message"]
    await simulation.stop()
    assert len(shard.waiting) == 1  # held
    assert shard.dead == []


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE SCHEMA {s}; CREATE ROLE {s} LOGIN",
        "CREATE ROLE {s} NOLOGIN",
        "CREATE ROLE {s} LOGIN",
    ],
)
async def test_missing_privileges_are_a_refusal(warehouse: Warehouse, statement: str) -> None:
    warehouse.query(statement)
    outcome = await warehouse.load([batch(1, [event(1)])], **refused(warehouse, warehouse.schema))
    assert isinstance(outcome, Retry)
    assert outcome.is_refusal
    warehouse.query("DROP SCHEMA IF EXISTS {s}; DROP ROLE {s}")


async def test_a_server_that_is_not_there_or_has_no_tls_is_no_refusal(
    warehouse: Warehouse,
) -> None:
    for dsn in (
        "postgresql://a@127.0.0.1:1/db",
        warehouse.server.dsn.replace("?sslmode=disable", ""),  # encrypted unless told otherwise
    ):
        outcome = await warehouse.load([batch(1, [event(1)])], dsn=dsn)
        assert isinstance(outcome, Retry)
        assert not outcome.is_refusal


@pytest.mark.parametrize("host", ["10.0.0.1", "169.254.169.254", "[::1]", "8.8.8.8,10.0.0.1"])
async def test_hosts_that_are_not_opened_are_not_connected_to(
    warehouse: Warehouse, host: str
) -> None:
    outcome = await warehouse.load([batch(1, [event(1)])], dsn=f"postgresql://a@{host}/db")
    assert isinstance(outcome, Fatal)
    assert outcome.reason == "egress_refused"


@pytest.mark.parametrize(
    "dsn",
    [
        "",
        "hidden",
        "dbname=hidden",
        "host=/var/run/postgresql password=hidden",
        "postgresql://a:hidden@b/c?service=x",
        "postgresql://a:hidden@b/c?passfile=/etc/passwd",
        "postgresql://a:hidden@b:1,c:2,d:3,e/db?port=1,2",
    ],
)
def test_a_dsn_that_leads_elsewhere_is_refused_and_not_shown(dsn: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PostgresSettings.model_validate({"dsn": dsn})
    assert "hidden" not in str(caught.value)


async def test_a_test_leaves_nothing_behind(warehouse: Warehouse) -> None:
    output = warehouse.open()
    await output.start()
    assert type(await output.test()).__name__ == "Delivered"
    await output.stop()
    assert warehouse.tables() == set()
