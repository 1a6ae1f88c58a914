"""Output `warehouse_postgres`: rows in a PostgreSQL database (spec/connections.md, 7.4)."""

import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from tempfile import NamedTemporaryFile
from typing import Any

import psycopg
from psycopg import AsyncRawCursor, conninfo
from pydantic import Field

from actors.outputs.certificates import Certificates
from actors.outputs.contract import Fatal, Outcome, Retry
from actors.outputs.egress import EgressRefused, EgressRules
from actors.outputs.environment import OutputEnvironment
from actors.outputs.module import OutputModule
from actors.outputs.postgres_connection import PostgresConnection
from actors.outputs.postgres_dsn import DEFAULT_PORT, Dsn
from actors.outputs.warehouse.columns import Column
from actors.outputs.warehouse.names import quoted
from actors.outputs.warehouse.output import WarehouseOutput
from actors.outputs.warehouse.settings import WarehouseConnectionSettings, WarehouseSettings

# A row has to fit into a page; what is not of attributes takes some 2300, with texts moved out.
ROW_BYTES = 8160
OTHER_COLUMNS_BYTES = 2500
CONNECT_TIMEOUT_S = 5
LOCK_TIMEOUT_MS = 30_000
# The server ends a statement itself, and says why; only one that is silent is left to us.
SILENCE_AFTER_TIMEOUT_S = 5.0
# Login refused, no privileges, no such database.
_REFUSALS = re.compile(r"28...|42501|3D000")
# libpq gives no SQLSTATE for what a server says before a session begins.
_LOGIN_REFUSALS = re.compile(
    r"authentication failed|pg_hba\.conf|no password supplied|is not permitted to log in"
    r"|(role|database) .* does not exist|permission denied"
)
# Their texts have values in them.
_DATA_ERRORS = re.compile(r"2[23]...")


@contextmanager
def _authorities(certificates: str | None) -> Iterator[dict[str, str]]:
    """Yield the options for who may have signed the server's certificate; libpq wants a file.

    Raises:
        OSError: there is no room for it.
    """
    if certificates is None:
        yield {}
        return
    with NamedTemporaryFile("w", encoding="ascii", prefix="headwater-", suffix=".pem") as file:
        file.write(certificates)
        file.flush()
        yield {"sslrootcert": file.name}


class PostgresSettings(WarehouseSettings):
    """Settings of the module `warehouse_postgres`.

    `dsn`: where and as whom to log in, with what TLS: encrypted unless `sslmode` says otherwise.
    `ca_certificate`: PEM of who has signed the server's certificate, which then has to be one of
    its host unless `sslmode` says otherwise. `timeout_s`: for one statement.
    """

    dsn: Dsn
    ca_certificate: Certificates | None = None
    timeout_s: float = Field(default=300.0, gt=0, le=3600)


class PostgresSession:
    """A transaction."""

    def __init__(self, connection: PostgresConnection) -> None:
        self._connection = connection

    async def lock(self, schema: str) -> None:
        """Take the lock of the schema's loads."""
        await self.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"headwater {schema}"
        )

    async def execute(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Execute one statement."""
        cursor = await self._connection.execute(statement.encode(), parameters or None)
        return [] if cursor.description is None else await cursor.fetchall()

    async def insert(
        self, table: str, columns: Sequence[Column], rows: Iterable[Sequence[Any]]
    ) -> None:
        """Insert rows by COPY."""
        names = ", ".join(quoted(each.name) for each in columns)
        async with (
            self._connection.cursor() as cursor,
            cursor.copy(f"COPY {table} ({names}) FROM STDIN".encode()) as copy,
        ):
            for row in rows:
                await copy.write_row(row)


class PostgresEngine:
    """A database, logged in to once for each transaction."""

    has_indexes = True
    max_attribute_bytes: int | None = ROW_BYTES - OTHER_COLUMNS_BYTES

    def __init__(self, settings: PostgresSettings, egress: EgressRules) -> None:
        self._dsn = settings.dsn
        self._ca_certificate = settings.ca_certificate
        self._timeout_ms = round(settings.timeout_s * 1000)
        self._egress = egress

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgresSession]:
        """Log in, and out again at the end."""
        async with await self._connect() as connection, connection.transaction():
            yield PostgresSession(connection)

    async def maintain(self, tables: Sequence[str]) -> None:
        """Vacuum and analyze."""
        async with await self._connect() as connection:
            await connection.set_autocommit(True)
            for table in tables:
                await connection.execute(f"VACUUM (ANALYZE) {table}".encode())

    async def _connect(self) -> PostgresConnection:
        options = conninfo.conninfo_to_dict(self._dsn.get_secret_value())
        hosts = str(options["host"]).split(",")
        ports = str(options.get("port") or DEFAULT_PORT).split(",")
        ports = ports * len(hosts) if len(ports) == 1 else ports
        targets = [
            (host, port, address)
            for host, port in zip(hosts, ports, strict=True)
            for address in await self._egress.addresses(host, int(port or DEFAULT_PORT))
        ]
        # The name stays for certificates; where it leads is settled here.
        options["host"] = ",".join(host for host, _, _ in targets)
        options["port"] = ",".join(port or DEFAULT_PORT for _, port, _ in targets)
        options["hostaddr"] = ",".join(address for _, _, address in targets)
        has_authorities = self._ca_certificate is not None or "sslrootcert" in options
        defaults: dict[str, Any] = {
            "sslmode": "verify-full" if has_authorities else "require",
            "connect_timeout": CONNECT_TIMEOUT_S,
            "tcp_user_timeout": self._timeout_ms,
            "application_name": "headwater",
        }
        with _authorities(self._ca_certificate) as authorities:
            connection = await PostgresConnection.connect(
                conninfo.make_conninfo(**defaults | options | authorities),
                autocommit=True,
                cursor_factory=AsyncRawCursor,
            )
        connection.silence_s = self._timeout_ms / 1000 + SILENCE_AFTER_TIMEOUT_S
        try:
            for name, value in (
                ("statement_timeout", self._timeout_ms),
                ("lock_timeout", min(LOCK_TIMEOUT_MS, self._timeout_ms)),
                ("idle_in_transaction_session_timeout", self._timeout_ms),
            ):
                await connection.execute(f"SET {name} = {value}".encode())
        except BaseException:
            await connection.close()
            raise
        return connection

    def outcome_of(self, error: Exception) -> Outcome | None:
        """Say what an error means; that the login is refused may be put right."""
        if isinstance(error, EgressRefused):
            return Fatal("egress_refused", str(error))
        if isinstance(error, OSError):
            return Retry(f"{type(error).__name__}: {error}")
        if not isinstance(error, psycopg.Error):
            return None
        state = error.sqlstate or ""
        text = error.diag.message_primary or str(error)
        if _DATA_ERRORS.fullmatch(state):
            return Retry(f"{state} {type(error).__name__}")
        is_refusal = bool(_REFUSALS.fullmatch(state) if state else _LOGIN_REFUSALS.search(text))
        return Retry(f"{state} {text}".strip(), is_refusal=is_refusal)


def open_output(settings: PostgresSettings, environment: OutputEnvironment) -> WarehouseOutput:
    """Open the output."""
    return WarehouseOutput(settings, environment, PostgresEngine(settings, environment.egress))


MODULE = OutputModule(
    module="warehouse_postgres",
    kinds=frozenset({"data_warehouse", "audience"}),
    accepts_unbound=True,
    accepts_attribute_feed=True,
    settings_model=PostgresSettings,
    send_as_batch_default=True,
    gets_aliases=True,
    retry_profile="warehouse",
    open=open_output,
    connection_settings_model=WarehouseConnectionSettings,
    gets_audience_ids=True,
)
