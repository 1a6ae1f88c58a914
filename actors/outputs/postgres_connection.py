"""A connection to PostgreSQL that does not wait for a silent server without end."""

import asyncio
import os
import socket
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.abc import RV, PQGen


class PostgresConnection(AsyncConnection[tuple[Any, ...]]):
    """Hangs up on a server that leaves a request unanswered, also a commit or a rollback.

    The server's own timeouts do not help when it is frozen, nor do those of TCP while its kernel
    goes on acknowledging.

    Attributes:
        silence_s: how long to wait for each answer, once logged in; then `TimeoutError`.
    """

    silence_s: float
    _is_hung_up = False

    async def wait(self, gen: PQGen[RV], *arguments: Any, **more: Any) -> RV:
        """See `AsyncConnection`, which waits for all answers here."""
        timer = asyncio.get_running_loop().call_later(self.silence_s, self._hang_up)
        try:
            return await super().wait(gen, *arguments, **more)
        except psycopg.OperationalError as error:
            if self._is_hung_up:
                raise TimeoutError(f"no answer for {self.silence_s:g} s") from error
            raise
        finally:
            timer.cancel()

    def _hang_up(self) -> None:
        # Not `close`: it would take the socket away from the event loop, which watches it, and a
        # cancelled wait would first ask the silent server to cancel the statement.
        self._is_hung_up = True
        with socket.socket(fileno=os.dup(self.fileno())) as connected:
            connected.shutdown(socket.SHUT_RDWR)
