"""The module `kafka` beside a real broker, with a relay in between that can fail."""

import asyncio
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from tests.actors.outputs.broker import topics
from tests.actors.outputs.broker.broker import Broker, shared_broker
from tests.actors.outputs.harness import Fault, Harness, Received, members

_numbers = count(1)
# Of the topic: an older timestamp is refused for good, and the relay makes it older.
FRESH_ONLY = {"message.timestamp.before.max.ms": "1"}
DELAY_S = 0.05


class KafkaHarness(Harness):
    """A topic of the broker."""

    module = "kafka"
    faults = frozenset({"fatal", "slow", "gone"})
    secrets = {  # noqa: RUF012  # read only
        "username": "cdp",
        "password": "hidden",
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-256",
    }
    wrong = (
        ({"bootstrap_servers": "a b"}, "settings.bootstrap_servers"),
        ({"password": "p"}, "settings.password"),
        ({"topic": "a b"}, "settings.topic"),
    )

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._topic = f"contract-{next(_numbers)}"
        self._relay: asyncio.Server | None = None
        self._open = asyncio.Event()
        self._delay_s = 0.0
        self._connections: set[asyncio.Task[None]] = set()
        self._was_asked = False

    @property
    def _broker(self) -> Broker:
        return shared_broker()

    async def start(self) -> None:
        """Make the topic, and open the relay."""
        await topics.make_topic(self._broker.plain, self._topic)
        await self._listen()

    async def _listen(self) -> None:
        self._open.set()
        self._relay = await asyncio.start_server(self._accept, "127.0.0.1", self._broker.relay_port)

    async def stop(self) -> None:
        """Cut all connections."""
        if self._relay is not None:
            self._relay.close()
            self._relay = None
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def settings(self) -> dict[str, Any]:
        """Write to the topic."""
        return {
            "bootstrap_servers": f"127.0.0.1:{self._broker.relay_port}",
            "topic": self._topic,
            "security_protocol": "PLAINTEXT",
            "allow_insecure": True,
            "timeout_s": 2.0,
        }

    def impatient(self) -> dict[str, Any]:
        """Wait as long as a test can."""
        return {"timeout_s": 0.5}

    async def set_fault(self, fault: Fault | None) -> None:
        """Change the topic, hold what is sent, or cut the connections."""
        self._delay_s = DELAY_S if fault == "fatal" else 0.0
        self._open.set()
        if self._relay is None:
            await self._listen()
        settings = FRESH_ONLY if fault == "fatal" else {}
        await topics.configure(self._broker.plain, self._topic, settings)
        if fault == "slow":
            self._open.clear()
        if fault == "gone":
            await self.stop()

    def is_asked(self) -> bool:
        """Something was sent that is held."""
        return self._was_asked

    async def received(self) -> list[Received]:
        """Return the records of the topic, tests left out."""
        rows = await topics.read(self._broker.plain, self._topic)
        return [
            members(row.headers["delivery_id"].decode(), row.value)
            for row in rows
            if "test" not in row.headers
        ]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a connection has a task of its own"
        self._connections.add(task)
        host, port = self._broker.relayed.split(":")
        try:
            onward = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.close()
            return
        try:
            await asyncio.gather(self._pass(reader, onward[1]), self._pass(onward[0], writer))
        except asyncio.CancelledError:
            pass  # what a task of a server raises is reported as a mistake
        finally:
            onward[1].close()
            writer.close()
            self._connections.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                self._was_asked |= not self._open.is_set()
                await self._open.wait()
                await asyncio.sleep(self._delay_s)
                writer.write(data)
                await writer.drain()
        writer.close()
