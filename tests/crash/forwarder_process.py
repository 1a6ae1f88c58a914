"""A forwarder over a store of its own, run as a process to be killed: FOLDER URL.

Ends by itself once nothing waits any more.
"""

import asyncio
import sys
from pathlib import Path
from urllib.parse import urlsplit

from actors.clock import SystemClock, SystemRandomness
from actors.forwarder import Forwarder
from actors.forwarding.desk import OutputInfo
from actors.metric_groups import ForwarderMetrics
from actors.model.deliveries import Delivery, Settlement
from actors.outputs.egress import EgressRules
from actors.outputs.environment import OutputEnvironment
from actors.outputs.retry import PROFILES
from actors.outputs.webhook import WebhookOutput
from actors.outputs.webhook_settings import WebhookSettings
from actors.store import outbox
from actors.store.environment import Store
from tests.actors.forwarding.support import connection

MAP_SIZE_BYTES = 256 * 1024 * 1024
LOOK_S = 0.05


class StoreSource:
    """The outbox of a store, as a shard offers it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(
        self, connection: int, after_sequence: int, limit: int, max_bytes: int
    ) -> list[Delivery]:
        """Return the next deliveries of a connection."""
        with self._store.read() as txn:
            found = outbox.read_encoded(txn, connection, after_sequence, limit, max_bytes)
        return outbox.decode(found)

    async def settle(self, settlement: Settlement) -> None:
        """Apply a settlement."""
        with self._store.write() as txn:
            outbox.settle(txn, settlement)

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        with self._store.read() as txn:
            return not outbox.depths(txn)


async def deliver(folder: Path, url: str) -> None:
    """Deliver until nothing waits."""
    source = StoreSource(Store(folder, MAP_SIZE_BYTES))
    clock = SystemClock()
    rules = EgressRules([urlsplit(url).netloc])
    surroundings = OutputEnvironment("hook", clock, rules, folder / "spool")
    output = WebhookOutput(WebhookSettings(url=url), surroundings)
    forwarder = Forwarder(
        OutputInfo("hook", PROFILES["stream"]),
        {"production": output, "development": output},
        [connection()],
        [source],
        clock,
        SystemRandomness(),
        ForwarderMetrics("test"),
    )
    running = asyncio.create_task(forwarder.run())
    while not source.is_empty:  # noqa: ASYNC110  # a store has no event
        await asyncio.sleep(LOOK_S)
    await forwarder.stop()
    await running


if __name__ == "__main__":
    asyncio.run(deliver(Path(sys.argv[1]), sys.argv[2]))
