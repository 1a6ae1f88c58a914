"""The connections to Kafka's brokers: each one goes through the egress rules.

The brokers that a cluster names may be anywhere, so that its first servers alone cannot be checked;
and aiokafka tells nobody why it could not connect. Its one place that makes connections is replaced
here by one which knows on whose behalf it does, by a context variable that the tasks of a producer
inherit.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import aiokafka.client
from aiokafka.conn import AIOKafkaConnection, create_conn

from actors.outputs.egress import EgressRules

CONNECT_TIMEOUT_S = 5.0  # spec/connections.md, 3.2


class Gate:
    """Where one output's connections may go, and what became of the last one to each broker."""

    def __init__(self, rules: EgressRules) -> None:
        self.rules = rules
        self.failures: dict[tuple[str, int], Exception] = {}

    @contextmanager
    def used(self) -> Iterator[None]:
        """Have what is connected within, and by tasks that are begun within, go through here."""
        token = _GATE.set(self)
        try:
            yield
        finally:
            _GATE.reset(token)


_GATE: ContextVar[Gate | None] = ContextVar("kafka_gate", default=None)


class _Loop:
    """The running event loop, whose connections go through the egress rules."""

    def __init__(self, loop: asyncio.AbstractEventLoop, rules: EgressRules) -> None:
        self._loop = loop
        self._rules = rules

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_connection(
        self, factory: Callable[[], Any], host: str, port: int, *, ssl: ssl.SSLContext | None
    ) -> Any:
        """Connect as the loop does, to an address that is allowed."""
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            connected = await self._rules.connect(host, port)
        try:
            return await self._loop.create_connection(
                factory, sock=connected, ssl=ssl, server_hostname=host if ssl else None
            )
        except BaseException:
            connected.close()
            raise


async def _create_connection(host: str, port: int, **options: Any) -> Any:
    gate = _GATE.get()
    if gate is None:  # somebody else's client
        return await create_conn(host, port, **options)
    connection = AIOKafkaConnection(host, port, **options)
    connection._loop = _Loop(connection._loop, gate.rules)
    try:
        await connection.connect()
    except Exception as error:
        gate.failures[host, port] = error
        raise
    gate.failures.pop((host, port), None)
    return connection


# It reports every attempt to connect, ten in a second; the forwarder reports each failed delivery.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
aiokafka.client.create_conn = _create_connection
