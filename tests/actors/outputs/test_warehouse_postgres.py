"""What is different about PostgreSQL: logins, privileges, addresses."""

import asyncio
import os
import ssl
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import ValidationError

from actors.outputs import warehouse_postgres
from actors.outputs.contract import Fatal, Retry
from actors.outputs.egress import EgressRules
from actors.outputs.postgres_dsn import ALLOWED_OPTIONS
from actors.outputs.retry import PROFILES
from actors.outputs.warehouse_postgres import PostgresEngine, PostgresSettings
from actors.privacy.signing import self_signed
from tests.actors.forwarding.support import MemoryOutbox, Simulation
from tests.actors.outputs.warehouse.support import Warehouse, batch, event
from tests.signing import pair


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


@asynccontextmanager
async def silent_after(statements: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve logins and some statements, and nothing after; yield the DSN."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(4))
        await reader.readexactly(size - 4)
        if tls is not None:  # it has asked for it
            writer.write(b"S")
            try:
                await writer.start_tls(tls)
            except (ssl.SSLError, ConnectionError):  # the certificate does not please
                return
            size = int.from_bytes(await reader.readexactly(4))
            await reader.readexactly(size - 4)
        writer.write(_message(b"R", bytes(4)) + _message(b"Z", b"I"))
        left = statements
        while kind := await reader.read(1):
            size = int.from_bytes(await reader.readexactly(4))
            query = await reader.readexactly(size - 4)
            if kind == b"Q" and left:
                left -= 1
                status = b"T" if query.startswith(b"BEGIN") else b"I"
                writer.write(_message(b"C", b"SET\0") + _message(b"Z", status))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"postgresql://u@127.0.0.1:{port}/d?sslmode=disable"


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4) + body


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param(0, id="after the login"),
        pytest.param(3, id="when the transaction begins"),
        pytest.param(4, id="at the first statement of a load"),
    ],
)
async def test_a_server_that_goes_silent_is_given_up_and_tried_again(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, statements: int
) -> None:
    """Its kernel goes on acknowledging, so that nothing else ends the wait."""
    monkeypatch.setattr(warehouse_postgres, "SILENCE_AFTER_TIMEOUT_S", 0.0)
    async with silent_after(statements) as dsn, asyncio.timeout(5):
        outcome = await warehouse.load([batch(1, [event(1)])], dsn=dsn, timeout_s=0.1)
    assert outcome == Retry("TimeoutError: no answer for 0.1 s")


async def test_a_server_that_is_silent_when_a_transaction_ends_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a commit it is not known what became; of a rollback, what led to it is told."""
    monkeypatch.setattr(warehouse_postgres, "SILENCE_AFTER_TIMEOUT_S", 0.0)
    async with silent_after(4) as dsn, asyncio.timeout(5):
        settings = PostgresSettings.model_validate({"dsn": dsn, "timeout_s": 0.1})
        engine = PostgresEngine(settings, EgressRules(["127.0.0.1"]))
        with pytest.raises(TimeoutError, match="no answer"):
            async with engine.transaction():
                pass
        with pytest.raises(KeyError):
            async with engine.transaction():
                raise KeyError


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
        "postgresql://a:hidden@b:65536/db",
        "postgresql://a:hidden@b:1,c:0/db",
        "host=a,b port=1,x password=hidden",
        "postgresql://a:hidden@b/c?sslkeylogfile=/tmp/secrets",
        "postgresql://a:hidden@b/c?sslrootcert=/etc/passwd",
        "postgresql://a:hidden@b/c?sslcert=/etc/passwd",
        "postgresql://a:hidden@b/c?sslkey=/etc/passwd",
    ],
)
def test_a_dsn_that_leads_elsewhere_is_refused_and_not_shown(dsn: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PostgresSettings.model_validate({"dsn": dsn})
    assert "hidden" not in str(caught.value)


def test_every_option_that_is_not_known_to_be_harmless_is_refused() -> None:
    """Those of the libpq that is installed; a later one may have others."""
    known = {each.keyword.decode() for each in psycopg.pq.Conninfo.get_defaults()}
    assert known >= {"sslkeylogfile", "passfile", "service", "oauth_issuer"}
    assert known > ALLOWED_OPTIONS
    for name in known - ALLOWED_OPTIONS:
        with pytest.raises(ValidationError, match=f"must not have {name}"):
            PostgresSettings.model_validate({"dsn": f"host=h {name}=1"})


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://a:b@h,i:5433/c?sslmode=verify-full&sslrootcert=system&connect_timeout=3",
        "postgresql://a@h:65535/c?target_session_attrs=read-write&options=-csearch_path%3Dcdp",
    ],
)
def test_what_says_how_to_log_in_is_allowed(dsn: str) -> None:
    assert PostgresSettings.model_validate({"dsn": dsn}).dsn.get_secret_value() == dsn


@pytest.mark.parametrize(
    ("signed_by", "name", "options", "excerpt"),
    [
        pytest.param("itself", "127.0.0.1", "", "no answer for 0.1 s", id="the right one"),
        pytest.param("others", "127.0.0.1", "", "certificate verify failed", id="another"),
        pytest.param("itself", "example.com", "", "does not match host", id="for another host"),
        pytest.param("itself", "example.com", "?sslmode=verify-ca", "no answer", id="for any host"),
        pytest.param("nobody", "127.0.0.1", "", "no answer for 0.1 s", id="not asked for"),
    ],
)
async def test_the_servers_certificate_is_checked_against_the_one_that_is_set(
    warehouse: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    signed_by: str,
    name: str,
    options: str,
    excerpt: str,
) -> None:
    monkeypatch.setattr(warehouse_postgres, "SILENCE_AFTER_TIMEOUT_S", 0.0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    own = self_signed(name, time.time_ns() // 1_000_000)
    authorities = {"itself": own, "others": pair()}
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    chain = tmp_path / "chain"
    chain.write_bytes(own.key + own.certificate)
    tls.load_cert_chain(chain)
    trusted = authorities.get(signed_by)
    more = {} if trusted is None else {"ca_certificate": trusted.certificate.decode()}
    async with silent_after(0, tls) as dsn, asyncio.timeout(5):
        dsn = dsn.replace("?sslmode=disable", options)
        outcome = await warehouse.load([batch(1, [event(1)])], dsn=dsn, timeout_s=0.1, **more)
    assert isinstance(outcome, Retry)
    assert excerpt in outcome.excerpt
    assert not [each for each in os.listdir(tmp_path) if each.endswith(".pem")]


async def test_a_test_leaves_nothing_behind(warehouse: Warehouse) -> None:
    output = warehouse.open()
    await output.start()
    assert type(await output.test()).__name__ == "Delivered"
    await output.stop()
    assert warehouse.tables() == set()
