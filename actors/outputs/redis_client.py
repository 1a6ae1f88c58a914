"""Connections to Redis that go through the egress rules, and what its errors mean."""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from typing import Any

from redis import exceptions
from redis.asyncio import Connection, ConnectionPool, Redis
from redis.asyncio.retry import Retry as Retries
from redis.backoff import NoBackoff

from actors.outputs import retry
from actors.outputs.contract import Fatal, Outcome, Retry
from actors.outputs.egress import EgressRefused, EgressRules

CONNECT_TIMEOUT_S = 5.0

# Full, starting, being replaced, or not the one that may be written to: it may work later.
_FOR_NOW = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
)
# Of answers without a class: a snapshot failed, replicas are away, a script runs.
_CODES_FOR_NOW = ("MISCONF", "NOREPLICAS", "BUSY")


class _Connection(Connection):
    """A connection to an address that is allowed; the name stays for certificates."""

    def __init__(self, *, egress: EgressRules, tls: ssl.SSLContext | None, **options: Any) -> None:
        super().__init__(**options)
        self._egress = egress
        self._tls = tls
        self._connected: socket.socket | None = None

    async def _connect(self) -> None:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            self._connected = await self._egress.connect(self.host, self.port)
        try:
            await super()._connect()  # type: ignore[no-untyped-call]
        except BaseException:
            self._connected.close()
            raise

    def _connection_arguments(self) -> Mapping[str, Any]:
        named = {} if self._tls is None else {"ssl": self._tls, "server_hostname": self.host}
        return {"sock": self._connected, **named}


def open_client(
    host: str,
    port: int,
    egress: EgressRules,
    *,
    tls: ssl.SSLContext | None,
    timeout_s: float,
    **options: Any,
) -> Redis:
    """Return a client; it connects when it is used. It repeats nothing: its user does.

    Args:
        host, port: of the server.
        egress: where it may be.
        tls: how it proves who it is, `None`: the connection is plain.
        timeout_s: for an answer.
        options: `db`, `username`, `password`.
    """
    pool = ConnectionPool(
        connection_class=_Connection,
        host=host,
        port=port,
        egress=egress,
        tls=tls,
        socket_timeout=timeout_s,
        protocol=2,
        retry=Retries(NoBackoff(), 0),
        **options,
    )
    return Redis.from_pool(pool)


def outcome_of(error: Exception) -> Outcome:
    """Say what an error means for what was sent.

    A refused login counts as a 401, a missing right as a 403: as elsewhere, many of them stop a
    connection (spec/connections.md, 1.3).
    """
    cause = error.__cause__ or error.__context__
    text = type(error).__name__  # what else it says may hold what was sent
    match error:
        case _ if isinstance(cause, EgressRefused):
            return Fatal("egress_refused", str(cause))
        case _ if isinstance(cause, ssl.SSLError):
            return Fatal("fatal_response", retry.TLS_ALERT)
        case exceptions.AuthenticationError():
            return Fatal("fatal_response", text, 401)
        case exceptions.NoPermissionError() | exceptions.AuthorizationError():
            return Fatal("fatal_response", text, 403)
        case _ if isinstance(error, _FOR_NOW) or str(error).startswith(_CODES_FOR_NOW):
            return Retry(f"{retry.NETWORK_ALERT}: {text}")
        case _:
            return Fatal("fatal_response", text)
